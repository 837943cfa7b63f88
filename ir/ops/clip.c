/* ir/ops/clip.c - Clip: min(high, max(low, x)); either bound may be absent. */
#include "ir/elementwise.h"

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_number(cx));
    const gml_type *type = gml_operand_type(cx->node, 0);
    for (unsigned k = 1; k < 3; k++) {
        if (!gml_has_operand(cx->node, k))
            continue;
        const gml_type *bound;
        GML_TRY(gml_infer_tensor(cx, k, &bound));
        if (bound->dtype != type->dtype)
            return gml_infer_fail(cx, GML_E_TYPE, "operand %u has elements of type %s, not %s",
                                  k, gml_dtype_name(bound->dtype), gml_dtype_name(type->dtype));
        if (bound->rank > 0 &&
            (bound->rank > type->rank || gml_type_numel(cx->dims, bound) != 1))
            return gml_infer_fail(cx, GML_E_SHAPE, "operand %u is not a scalar", k);
    }
    return GML_OK;
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *result = args[0];
    if (gml_has_operand(node, 1))
        result = gml_max(x, result, args[1]);
    if (gml_has_operand(node, 2))
        result = gml_min(x, result, args[2]);
    return result;
}

const gml_op_info gml_op_clip = {
    .name = "Clip",
    .doc = "Each element, but not below one scalar and not above another.",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .scalar = scalar,
};
