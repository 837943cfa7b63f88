/* ir/ops/matmul.c - MatMul: numpy's matmul.
 *
 * A (batch…, M, K) times B (batch…, K, N); the batches broadcast. A vector is a row on the
 * left, a column on the right, and its dimension of 1 is dropped from the result.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *a;
    const gml_type *b;
    GML_TRY(gml_infer_tensor(cx, 0, &a));
    GML_TRY(gml_infer_tensor(cx, 1, &b));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_expect_dtype(cx, 1, a->dtype));
    if (a->rank < 1 || b->rank < 1)
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "operands of rank %d and %d: a scalar is no matrix", a->rank,
                              b->rank);
    gml_dim inner = a->dims[a->rank - 1];
    GML_TRY(gml_expect_dim(cx, 1, b->rank > 1 ? b->rank - 2 : 0, inner));
    int batch_a = a->rank > 2 ? a->rank - 2 : 0;
    int batch_b = b->rank > 2 ? b->rank - 2 : 0;
    gml_dim dims[GML_MAX_RANK];
    int rank;
    GML_TRY(gml_infer_broadcast_dims(cx, batch_a, a->dims, batch_b, b->dims, &rank, dims));
    if (a->rank > 1)
        dims[rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        dims[rank++] = b->dims[b->rank - 1];
    return gml_infer_set(cx, 0, a->dtype, rank, dims);
}

/* Writes the batch part of operand `k`'s index and returns its length. `batch` is the result's.
 */
static int batch_index(gml_lower *x, unsigned k, int n_batch, const gml_expr *const *batch,
                       const gml_expr **out_index)
{
    int rank = gml_operand_rank(x, k);
    int n = rank > 2 ? rank - 2 : 0;
    for (int d = 0; d < n; d++)
        out_index[d] = gml_operand_dim(x, k, d) == 1 ? gml_i64(x, 0) : batch[n_batch - n + d];
    return n;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    int rank_a = gml_operand_rank(x, 0);
    int rank_b = gml_operand_rank(x, 1);
    int n_batch = node->results[result].type.rank - (rank_a > 1) - (rank_b > 1);
    gml_dim inner = gml_operand_dim(x, 0, rank_a - 1);
    if (!gml_dim_is_const(inner))
        inner = gml_operand_dim(x, 1, rank_b > 1 ? rank_b - 2 : 0);
    const gml_axis *axis = gml_reduce_axis(x, inner);
    const gml_expr *k = gml_axis_value(x, axis);

    const gml_expr *at_a[GML_MAX_RANK];
    const gml_expr *at_b[GML_MAX_RANK];
    int n_a = batch_index(x, 0, n_batch, index, at_a);
    int n_b = batch_index(x, 1, n_batch, index, at_b);
    if (rank_a > 1)
        at_a[n_a++] = index[n_batch];
    at_a[n_a] = k;
    at_b[n_b++] = k;
    if (rank_b > 1)
        at_b[n_b] = index[n_batch + (rank_a > 1)];

    const gml_expr *a = gml_wide(x, gml_at(x, 0, at_a));
    const gml_expr *b = gml_wide(x, gml_at(x, 1, at_b));
    const gml_expr *sum = gml_reduce(x, GML_REDUCE_SUM, axis, gml_mul(x, a, b));
    return gml_cast(x, sum, gml_result_dtype(x, result));
}

/* Vectors as the matrices that they stand for: a row on the left, a column on the right. */
static gml_value *as_matrix(gml_build *b, gml_value *x, bool row)
{
    int64_t axis = row ? 0 : 1;
    return x->type.rank == 1 ? gml_build_unsqueeze(b, x, &axis, 1) : x;
}

/* All rows of a batch of matrices as those of one. */
static gml_value *join_rows(gml_build *b, gml_value *x)
{
    gml_dim dims[2] = {1, x->type.dims[x->type.rank - 1]};
    for (int d = 0; d < x->type.rank - 1; d++)
        dims[0] = gml_dim_mul(&b->graph->module->dims, dims[0], x->type.dims[d]);
    return gml_build_reshape(b, x, dims, 2);
}

/* A' dY. One matrix for a whole batch gets one product over all rows: a product for each matrix
 * of the batch would have to be kept until they are summed. */
static gml_value *right_gradient(gml_build *b, gml_value *a, const gml_value *right,
                                 gml_value *dy)
{
    if (right->type.rank == 2 && a->type.rank > 2) {
        a = join_rows(b, a);
        dy = join_rows(b, dy);
    }
    return gml_build_matmul(b, gml_grad_swap_last(b, a), dy);
}

/* dA = dY B', dB = A' dY, summed over batches that were broadcast. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *const *in = g->node->operands;
    gml_value *x = as_matrix(b, in[0], true);
    gml_value *y = as_matrix(b, in[1], false);
    gml_value *dz = g->results[0];
    int64_t second_last = -2;
    int64_t last = -1;
    if (in[1]->type.rank == 1)
        dz = gml_build_unsqueeze(b, dz, &last, 1);
    if (in[0]->type.rank == 1)
        dz = gml_build_unsqueeze(b, dz, &second_last, 1);
    for (unsigned k = 0; k < 2; k++) {
        if (!g->wanted[k])
            continue;
        gml_value *d = k == 0 ? gml_build_matmul(b, dz, gml_grad_swap_last(b, y))
                              : right_gradient(b, x, y, dz);
        if (in[k]->type.rank == 1) {
            d = gml_grad_sum_to(b, d, &(k == 0 ? x : y)->type);
            d = gml_grad_reshape_like(b, d, in[k]);
        }
        g->operands[k] = d;
    }
    return b->status;
}

const gml_op_info gml_op_matmul = {
    .name = "MatMul",
    .doc = "The matrix product, as numpy's matmul.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
