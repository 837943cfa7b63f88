/* ir/ops/region_util.h - copies of regions, in place of a call. */
#ifndef GML_IR_OPS_REGION_UTIL_H
#define GML_IR_OPS_REGION_UTIL_H

#include "ir/op.h"

/* Copies the nodes of `region` to where `b` builds, with `args` (one a parameter) for its
 * parameters, and infers their types; nested regions are copied too. `out_results` gets one
 * value a result. Values from around the region stay as they are; the region may belong to
 * another module that lives on. */
void gml_build_region(gml_build *b, const gml_graph *region, gml_value *const *args,
                      gml_value **out_results);

/* A copy of one node of the module, regions included, whose operands are their entries of
 * `copies`, by value id below `n_values`, where there is one; its results become entries. */
gml_status gml_build_copy(gml_build *b, const gml_node *node, gml_value **copies,
                          uint32_t n_values);

#endif
