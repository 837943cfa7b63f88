/* ir/ops/pow.c - Pow: the result has the base's type, whatever the exponent's. */
#include "ir/elementwise.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *base;
    const gml_type *exponent;
    gml_dim dims[GML_MAX_RANK];
    int rank;
    for (unsigned k = 0; k < 2; k++)
        GML_TRY(gml_infer_require(cx, k, GML_IS_NUMBER));
    GML_TRY(gml_infer_tensor(cx, 0, &base));
    GML_TRY(gml_infer_tensor(cx, 1, &exponent));
    GML_TRY(gml_infer_broadcast_dims(cx, base->rank, base->dims, exponent->rank, exponent->dims,
                                     &rank, dims));
    return gml_infer_set(cx, 0, base->dtype, rank, dims);
}

/* The type to compute in: the base's where it holds the exponents; f64 for integers to a power
 * that may be a fraction. Wrapping i64 agrees with every integer type in its low bits. */
static gml_dtype compute_type(gml_dtype base, gml_dtype exponent)
{
    if (gml_dtype_is_float(base))
        return gml_accumulator(base);
    if (gml_dtype_is_float(exponent))
        return GML_F64;
    return base == exponent ? base : GML_I64;
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    gml_dtype dtype = compute_type(args[0]->dtype, args[1]->dtype);
    const gml_expr *base = gml_cast(x, args[0], dtype);
    const gml_expr *exponent = gml_cast(x, args[1], dtype);
    return gml_cast(x, gml_binary(x, GML_X_POW, base, exponent), args[0]->dtype);
}

const gml_op_info gml_op_pow = {
    .name = "Pow",
    .doc = "Each element of the first tensor to the power of the second's.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .scalar = scalar,
};
