/* weights/table.h - what the readers of weight files fill: tensors and texts by name.
 *
 * weights/ is a layer of its own between base/ and api/: it parses what nobody vouches for, and
 * knows neither graphs nor programs, so that it can be fuzzed and read alone. Of runtime/ it
 * sees the arithmetic of tensor sizes.
 */
#ifndef GML_WEIGHTS_TABLE_H
#define GML_WEIGHTS_TABLE_H

#include "base/diag.h"
#include "base/map.h"
#include "gemel/weights.h"

#define GML_WEIGHTS_MAX_ENTRIES ((size_t)1 << 18)
#define GML_WEIGHTS_MAX_NAME    512 /* bytes */

typedef struct gml_weight_table {
    const char *file; /* for messages */
    gml_diags *diags;
    gml_arena *arena;
    gml_vec(gml_weight *) weights;
    gml_vec(gml_weights_text) texts;
    gml_map by_name; /* of the weights */
    size_t n_copied; /* bytes of elements that were copied, not mapped */
} gml_weight_table;

/* Everything is borrowed. */
void gml_weight_table_init(gml_weight_table *table, const char *file, gml_arena *arena,
                           gml_diags *diags);
/* GML_E_INVALID when the name is taken or too long, or the table is full. The name is copied.
 */
GML_MUST_CHECK gml_status gml_weight_table_add(gml_weight_table *table, const char *name,
                                               const gml_tensor *tensor, bool is_turned);
/* Both are copied; a long value is cut. */
GML_MUST_CHECK gml_status gml_weight_table_add_text(gml_weight_table *table, const char *name,
                                                    const char *value, size_t len);
/* A failure of the thing called `name`; NULL: of the file. */
gml_status gml_weight_table_fail(const gml_weight_table *table, gml_status status,
                                 const char *name, const char *format, ...) GML_PRINTF(4, 5);

#endif
