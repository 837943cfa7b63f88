/* ir/ops/sizevector.c - gemel.SizeVector: sizes that are not all constant, as an i64 vector.
 *
 * Whoever makes the node (gml_build_dims) gives its result the elements and the type; there is
 * nothing else to know it by. */
#include "ir/view.h"

static gml_status infer(gml_infer *cx)
{
    const gml_value *result = &cx->node->results[0];
    if (!result->elements || result->type.rank != 1)
        return gml_infer_fail(cx, GML_E_INTERNAL, "a vector of sizes without sizes");
    return GML_OK;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_value *value = &node->results[result];
    return gml_pick_dim(x, value->elements, (size_t)value->type.dims[0], index[0]);
}

const gml_op_info gml_op_sizevector = {
    .name = "SizeVector",
    .domain = "gemel",
    .doc = "A vector of sizes known when compiling, constant or not.",
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VALUE_FREE,
    .infer = infer,
    .lower = lower,
};
