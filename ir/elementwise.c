/* ir/elementwise.c - checks and formulas that elementwise operators share. */
#include "ir/elementwise.h"

gml_status gml_infer_require(gml_infer *cx, unsigned k, unsigned classes)
{
    if (!gml_has_operand(cx->node, k))
        return GML_OK;
    const gml_type *type = gml_operand_type(cx->node, k);
    if (type->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u is not a tensor", k);
    if (!(classes >> gml_dtype_get_class(type->dtype) & 1u))
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u has elements of type %s", k,
                              gml_dtype_name(type->dtype));
    return GML_OK;
}

static gml_status require_all(gml_infer *cx, unsigned classes)
{
    for (uint32_t k = 0; k < cx->node->n_operands; k++)
        GML_TRY(gml_infer_require(cx, k, classes));
    return GML_OK;
}

static gml_status infer_same(gml_infer *cx, unsigned classes)
{
    GML_TRY(gml_infer_require(cx, 0, classes));
    return gml_infer_same(cx);
}

static gml_status infer_broadcast(gml_infer *cx, unsigned classes)
{
    GML_TRY(require_all(cx, classes));
    return gml_infer_broadcast(cx);
}

gml_status gml_infer_float(gml_infer *cx)
{
    return infer_same(cx, GML_IS_FLOAT);
}

gml_status gml_infer_signed(gml_infer *cx)
{
    return infer_same(cx, GML_IS_SIGNED);
}

gml_status gml_infer_number(gml_infer *cx)
{
    return infer_same(cx, GML_IS_NUMBER);
}

gml_status gml_infer_int(gml_infer *cx)
{
    return infer_same(cx, GML_IS_INT);
}

gml_status gml_infer_logic(gml_infer *cx)
{
    return infer_same(cx, GML_IS_BOOL);
}

gml_status gml_infer_float_test(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    gml_type type = *gml_operand_type(cx->node, 0);
    type.dtype = GML_BOOL;
    return gml_infer_set_type(cx, 0, type);
}

gml_status gml_infer_floats_broadcast(gml_infer *cx)
{
    return infer_broadcast(cx, GML_IS_FLOAT);
}

gml_status gml_infer_numbers_broadcast(gml_infer *cx)
{
    return infer_broadcast(cx, GML_IS_NUMBER);
}

gml_status gml_infer_ints_broadcast(gml_infer *cx)
{
    return infer_broadcast(cx, GML_IS_INT);
}

gml_status gml_infer_logic_broadcast(gml_infer *cx)
{
    return infer_broadcast(cx, GML_IS_BOOL);
}

gml_status gml_infer_numbers_compare(gml_infer *cx)
{
    GML_TRY(require_all(cx, GML_IS_NUMBER));
    return gml_infer_compare(cx);
}

const gml_expr *gml_wide(gml_lower *x, const gml_expr *a)
{
    return gml_cast(x, a, gml_accumulator(a->dtype));
}

bool gml_dtype_is_float(gml_dtype dtype)
{
    return gml_dtype_get_class(dtype) == GML_CLASS_FLOAT;
}

bool gml_dtype_is_int(gml_dtype dtype)
{
    return GML_IS_INT >> gml_dtype_get_class(dtype) & 1u;
}

const gml_expr *gml_sigmoid(gml_lower *x, const gml_expr *a)
{
    const gml_expr *one = gml_like(x, a, 1.0);
    const gml_expr *e = gml_unary(x, GML_X_EXP, gml_unary(x, GML_X_NEG, a));
    return gml_div(x, one, gml_add(x, one, e));
}

/* exp never sees a positive number, so it cannot overflow. */
const gml_expr *gml_softplus(gml_lower *x, const gml_expr *a)
{
    const gml_expr *magnitude = gml_unary(x, GML_X_ABS, a);
    const gml_expr *e = gml_unary(x, GML_X_EXP, gml_unary(x, GML_X_NEG, magnitude));
    const gml_expr *log1p = gml_unary(x, GML_X_LOG, gml_add(x, gml_like(x, a, 1.0), e));
    return gml_add(x, gml_max(x, a, gml_like(x, a, 0.0)), log1p);
}
