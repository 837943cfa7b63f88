/* ir/ops/constantofshape.c - ConstantOfShape: one value everywhere; a float 0 by default. */
#include "ir/elementwise.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"value", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_dim *shape;
    size_t count;
    GML_TRY(gml_infer_elements(cx, 0, &shape, &count));
    gml_dtype dtype = GML_F32;
    const gml_attr *value = gml_node_find_attr(cx->node, "value");
    if (value) {
        dtype = value->as.t->dtype;
        if (gml_tensor_numel(value->as.t) != 1)
            return gml_infer_fail(cx, GML_E_SHAPE, "the value does not have one element");
        if (!((GML_IS_NUMBER | GML_IS_BOOL) >> gml_dtype_get_class(dtype) & 1u))
            return gml_infer_fail(cx, GML_E_TYPE, "the value has type %s",
                                  gml_dtype_name(dtype));
    }
    if (count > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %zu is above %d", count,
                              GML_MAX_RANK);
    return gml_infer_set(cx, 0, dtype, (int)count, shape);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    (void)index;
    const gml_attr *value = gml_node_find_attr(node, "value");
    return value ? gml_tensor_element(x, value->as.t, 0) : gml_const(x, GML_F32, 0.0);
}

const gml_op_info gml_op_constantofshape = {
    .name = "ConstantOfShape",
    .doc = "A tensor of a given shape with one value everywhere.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1u << 0,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
