#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FLOATS));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    if (x->rank < 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "rank %d is below 2", x->rank);
    return gml_infer_set(cx, 0, x->dtype, x->rank - 2, x->dims);
}

/* Minors of matrices this large are n times n matrices each. */
#define GML_MAX_COFACTORS 64

/* The numbers 0 to n - 1 without the i-th, as row i. */
static gml_value *all_but_one(gml_grad *g, int64_t n)
{
    int64_t *rest = gml_new_array(g->scratch, int64_t, (size_t)(n * (n - 1)) + 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k + 1 < n; k++)
            rest[i * (n - 1) + k] = k + (k >= i);
    gml_value *flat = gml_build_ints(&g->b, rest, (size_t)(n * (n - 1)));
    return gml_build_reshape(&g->b, flat, (const gml_dim[]){n, n - 1}, 2);
}

static gml_value *signs(gml_grad *g, gml_dtype dtype, int64_t n)
{
    int64_t *values = gml_new_array(g->scratch, int64_t, (size_t)(n * n) + 1);
    for (int64_t i = 0; i < n * n; i++)
        values[i] = (i / n + i % n) % 2 ? -1 : 1;
    gml_value *flat = gml_build_ints(&g->b, values, (size_t)(n * n));
    flat = gml_build_reshape(&g->b, flat, (const gml_dim[]){n, n}, 2);
    return gml_build_cast(&g->b, flat, dtype);
}

/* dx is dy times the cofactors: determinants of what is left without a row and a column, which
 * singular matrices have too. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    int rank = x->type.rank;
    gml_dim n = x->type.dims[rank - 1];
    int64_t last[2] = {-2, -1};
    if (!gml_dim_is_const(n) || n > GML_MAX_COFACTORS || rank + 2 > GML_MAX_RANK)
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs matrices of a known size of at most %d",
                        GML_MAX_COFACTORS);
    gml_value *dy = gml_build_unsqueeze(b, g->results[0], last, 2);
    if (n <= 1) {
        g->operands[0] = gml_grad_expand_like(b, dy, x);
        return b->status;
    }
    gml_value *minors = x;
    for (int side = 0; side < 2; side++) { /* (…, n, n - 1, n), (…, n, n - 1, n, n - 1) */
        gml_value *parts[2] = {minors, all_but_one(g, n)};
        gml_attr axis = gml_attr_int("axis", side == 0 ? rank - 2 : rank);
        minors = gml_build_op(b, &gml_op_gather, parts, 2, &axis, 1);
    }
    int64_t perm[GML_MAX_RANK];
    for (int d = 0; d < rank + 2; d++)
        perm[d] = d;
    perm[rank - 1] = rank;
    perm[rank] = rank - 1;
    minors = gml_build_transpose(b, minors, perm, (size_t)rank + 2);
    gml_value *cofactors = gml_build_unary(b, &gml_op_det, minors);
    cofactors = gml_build_mul(b, cofactors, signs(g, x->type.dtype, n));
    g->operands[0] = gml_build_mul(b, dy, cofactors);
    return b->status;
}

const gml_op_info gml_op_det = {
    .name = "Det",
    .doc = "The determinants of square matrices.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .grad = grad,
    .host = "det",
};
