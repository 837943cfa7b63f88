/* ir/ops/expect_util.c - checks that many operators share. */
#include "ir/ops/expect_util.h"

gml_status gml_expect_dtype(gml_infer *cx, unsigned k, gml_dtype dtype)
{
    const gml_type *type = gml_operand_type(cx->node, k);
    if (type && type->dtype != dtype)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u has element type %s, not %s", k,
                              gml_dtype_name(type->dtype), gml_dtype_name(dtype));
    return GML_OK;
}

gml_status gml_expect_rank(gml_infer *cx, unsigned k, int rank)
{
    if (!gml_has_operand(cx->node, k))
        return GML_OK;
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, k, &type));
    if (type->rank != rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, not %d", k, type->rank,
                              rank);
    return GML_OK;
}

bool gml_dim_differs(gml_dim a, gml_dim b)
{
    return a != b && gml_dim_is_const(a) && gml_dim_is_const(b);
}

gml_status gml_expect_dim(gml_infer *cx, unsigned k, int axis, gml_dim size)
{
    const gml_type *type = gml_operand_type(cx->node, k);
    if (!type || type->rank <= axis)
        return GML_OK;
    if (gml_infer_differ(cx, type->dims[axis], size))
        return gml_infer_fail(cx, GML_E_SHAPE, "dimension %d of operand %u is %lld, not %lld",
                              axis, k, (long long)type->dims[axis], (long long)size);
    return GML_OK;
}

gml_status gml_expect_vector(gml_infer *cx, unsigned k, gml_dim size)
{
    GML_TRY(gml_expect_rank(cx, k, 1));
    return gml_expect_dim(cx, k, 0, size);
}

gml_status gml_expect_size(gml_infer *cx, unsigned k, gml_dim *out_size)
{
    const gml_dim *elements;
    size_t count;
    GML_TRY(gml_infer_elements(cx, k, &elements, &count));
    if (count != 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has %zu elements, not one", k,
                              count);
    *out_size = elements[0];
    return GML_OK;
}

gml_status gml_expect_count(gml_infer *cx, const char *name, int64_t *out_count)
{
    *out_count = gml_node_int(cx->node, name, 0);
    if (*out_count < 1 || *out_count > INT32_MAX)
        return gml_infer_fail(cx, GML_E_RANGE, "%s is %lld, not from 1 to %d", name,
                              (long long)*out_count, INT32_MAX);
    return GML_OK;
}

gml_infer gml_expand_infer(const gml_expand *cx)
{
    return (gml_infer){cx->node, cx->module, cx->arena, cx->dims, cx->diags};
}
