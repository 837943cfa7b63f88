/* ir/ops/reduceprod.c - ReduceProd: the product along axes. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    const gml_expr *total = gml_reduce_lower(x, GML_REDUCE_PROD, true, index, NULL);
    return gml_cast(x, total, gml_result_dtype(x, result));
}

/* The product of all elements before each along the last axis, or after. */
static gml_value *product_beside(gml_build *b, gml_value *x, bool after)
{
    gml_value *operands[2] = {x, gml_build_scalar(b, GML_I64, 1)};
    gml_attr attrs[2] = {gml_attr_int("exclusive", 1), gml_attr_int("reverse", after)};
    return gml_build_op(b, &gml_op_cumprod, operands, 2, attrs, 2);
}

/* dx = dy times the product of the others, which a division by x would not give at 0. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    gml_dim_pool *pool = &g->node->graph->module->dims;
    int64_t perm[GML_MAX_RANK];
    int64_t back[GML_MAX_RANK];
    gml_dim dims[GML_MAX_RANK];
    gml_dim flat[2] = {1, 1};
    int n_kept = gml_reduce_order(g, perm);
    size_t rank = (size_t)x->type.rank;
    for (size_t d = 0; d < rank; d++) {
        dims[d] = x->type.dims[perm[d]];
        back[perm[d]] = (int64_t)d;
        gml_dim *side = &flat[d >= (size_t)n_kept];
        *side = gml_dim_mul(pool, *side, dims[d]);
    }
    gml_value *rows = gml_build_reshape(b, gml_build_transpose(b, x, perm, rank), flat, 2);
    gml_value *others =
        gml_build_mul(b, product_beside(b, rows, false), product_beside(b, rows, true));
    others = gml_build_transpose(b, gml_build_reshape(b, others, dims, rank), back, rank);
    g->operands[0] = gml_build_mul(b, gml_reduce_spread(g, g->results[0]), others);
    return b->status;
}

const gml_op_info gml_op_reduceprod = {
    .name = "ReduceProd",
    .doc = "The product along axes; of nothing, 1.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = GML_REDUCE_AXES,
    .attrs = gml_reduce_attrs,
    .infer = gml_reduce_infer,
    .lower = lower,
    .grad = grad,
};
