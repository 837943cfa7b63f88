/* weights/mapping.h - which tensor of a file is which of a network's (maps.def).
 *
 * Everything lives in the table's arena. */
#ifndef GML_WEIGHTS_MAPPING_H
#define GML_WEIGHTS_MAPPING_H

#include "weights/table.h"

typedef struct gml_weight_place {
    const gml_weight *weight;
    const char *target; /* the network's name; NULL: it is not taken */
    const char *reason; /* of LEFT; NULL otherwise */
    gml_weight_fate fate;
    bool is_used; /* somebody asked for it */
} gml_weight_place;

typedef struct gml_weight_mapping {
    const char *map;                    /* NULL: nothing is mapped */
    const char *prefix;                 /* of the file's names: "model." */
    gml_vec(gml_weight_place *) places; /* one for each weight of the table */
    gml_map by_target;                  /* taken ones */
} gml_weight_mapping;

/* GML_E_USAGE for a map or pattern that is not known or fits nothing, GML_E_INVALID when no map
 * fits the file, or several prefixes do. */
GML_MUST_CHECK gml_status gml_weight_table_map(gml_weight_table *table,
                                               const gml_weights_mapping *options,
                                               gml_weight_mapping *out);
/* A row FACT of `map`; NULL when there is none. */
const char *gml_weight_map_fact(const char *map, const char *key);

/* Whether `name` fits `pattern`; what `{i}` and `*` stood for goes to out_parts[0] and [1],
 * which may be NULL. */
bool gml_weight_pattern_fits(const char *pattern, const char *name, gml_string *out_parts);

#endif
