/* ir/ops/optimizer_util.c - operands of the optimizers. */
#include "ir/ops/optimizer_util.h"

#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

static gml_status expect_one(gml_infer *cx, unsigned k)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, k, &type));
    gml_dim count = gml_type_numel(cx->dims, type);
    if (gml_infer_differ(cx, count, 1))
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has %lld elements, not one", k,
                              (long long)count);
    return GML_OK;
}

gml_status gml_optimizer_infer(gml_infer *cx, unsigned n_groups)
{
    const gml_node *node = cx->node;
    GML_TRY(expect_one(cx, 0));
    GML_TRY(expect_one(cx, 1));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_NUMBER));
    unsigned n = (node->n_operands - 2) / n_groups;
    if (n == 0 || node->n_operands != 2 + n * n_groups || node->n_results != n * (n_groups - 1))
        return gml_infer_fail(cx, GML_E_INVALID,
                              "%u operands and %u results are no groups of %u and %u",
                              node->n_operands - 2, node->n_results, n_groups, n_groups - 1);
    for (unsigned i = 0; i < n; i++) {
        const gml_type *value;
        GML_TRY(gml_infer_tensor(cx, 2 + i, &value));
        GML_TRY(gml_infer_require(cx, 2 + i, GML_IS_FLOAT));
        for (unsigned g = 0; g < n_groups; g++) {
            unsigned k = 2 + g * n + i;
            if (!gml_has_operand(node, k))
                return gml_infer_fail(cx, GML_E_INVALID, "operand %u is missing", k);
            GML_TRY(gml_expect_dtype(cx, k, value->dtype));
            GML_TRY(gml_expect_rank(cx, k, value->rank));
            for (int d = 0; d < value->rank; d++)
                GML_TRY(gml_expect_dim(cx, k, d, value->dims[d]));
            if (g + 1 < n_groups)
                GML_TRY(gml_infer_set(cx, g * n + i, value->dtype, value->rank, value->dims));
        }
    }
    return GML_OK;
}

gml_status gml_optimizer_expand(gml_expand *cx, unsigned n_groups, gml_optimizer_step *step)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    unsigned n = (node->n_operands - 2) / n_groups;
    for (unsigned i = 0; i < n; i++) {
        gml_value *in[GML_OPTIMIZER_MAX];
        gml_value *out[GML_OPTIMIZER_MAX];
        for (unsigned g = 0; g < n_groups; g++)
            in[g] = node->operands[2 + g * n + i];
        step(&b, node, in, out);
        for (unsigned g = 0; g + 1 < n_groups; g++)
            cx->results[g * n + i] = out[g];
    }
    return b.status;
}

gml_value *gml_optimizer_rate(gml_build *b, const gml_node *node, gml_dtype dtype)
{
    return gml_build_cast(b, gml_build_as_scalar(b, node->operands[0]), dtype);
}

gml_value *gml_optimizer_count(gml_build *b, const gml_node *node, gml_dtype dtype)
{
    return gml_build_cast(b, gml_build_as_scalar(b, node->operands[1]), dtype);
}

gml_value *gml_optimizer_gradient(gml_build *b, const gml_node *node, gml_value *const *in)
{
    double norm = (double)gml_node_float(node, "norm_coefficient", 0);
    return norm == 0 ? in[1] : gml_build_add(b, gml_build_mul_scalar(b, in[0], norm), in[1]);
}

gml_value *gml_optimizer_after(gml_build *b, const gml_node *node, gml_value *x,
                               gml_value *other)
{
    gml_value *count = gml_build_as_scalar(b, node->operands[1]);
    gml_value *zero = gml_build_scalar(b, count->type.dtype, 0);
    return gml_build_where(b, gml_build_binary(b, &gml_op_greater, count, zero), x, other);
}
