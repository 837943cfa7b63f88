/* api/compile_parts.h - the programs of a model that is compiled ahead of time.
 *
 * A model without training information is one program, "run". With it, there are "run", whose
 * weights are states, so that it sees what steps have made of them; "step"; and "initialise"
 * where the file has one. Of several trainings each has its own: "step0", "step1", …
 */
#ifndef GML_API_COMPILE_PARTS_H
#define GML_API_COMPILE_PARTS_H

#include "api/artifact_link.h"

typedef enum gml_parts_wanted {
    GML_PARTS_ALL,
    GML_PARTS_RUN,  /* the graph alone, as of a model without training: weights are constants */
    GML_PARTS_STEP, /* the steps alone */
} gml_parts_wanted;

typedef struct gml_parts {
    gml_link_part *items;
    gml_str *objects;
    size_t count;
    gml_arena arena;
} gml_parts;

/* Of `load` the sizes count. `options` without object. GML_E_USAGE when there is no step.
 * After a failure there is nothing to reset. */
GML_MUST_CHECK gml_status gml_parts_compile(const char *path, const gml_onnx_options *load,
                                            gml_parts_wanted wanted,
                                            const gml_compile_options *options,
                                            gml_parts *out_parts, gml_diags *diags);
void gml_parts_reset(gml_parts *parts); /* accepts one of zeros */

#endif
