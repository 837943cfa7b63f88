/* api/build_model.h - the module inside a gml_builder, for what compiles or runs it directly.
 */
#ifndef GML_API_BUILD_MODEL_H
#define GML_API_BUILD_MODEL_H

#include "base/str.h"
#include "gemel/build.h"
#include "ir/graph.h"

/* Fills the weights (once; `options` may be NULL and gives the progress), verifies the graph
 * and lends the module, which dies with the builder. `*out_module` is NULL after a failure. */
GML_MUST_CHECK gml_status gml_builder_module(gml_builder *builder,
                                             const gml_save_options *options,
                                             gml_module **out_module);
/* Appends what gml_builder_save would write, for graphs that live in memory alone. */
GML_MUST_CHECK gml_status gml_builder_write(gml_builder *builder, gml_str *out);

#endif
