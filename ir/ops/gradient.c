/* ir/ops/gradient.c - Gradient: derivatives of a value of the graph by others.
 *
 * The operands are, n being the number of names in `xs` and `zs` together: n values that the
 * derivatives are taken at, the n values of those names, and the value of the name `y`. The
 * file has the first n alone; the frontend looks the names up, so that renaming and rewriting
 * lose nothing. Result i is the derivative of y by the i-th of `xs`, of the same type; y's
 * elements are summed.
 *
 * passes/differentiate.c replaces the node; nothing computes it. */
#include "ir/ops/expect_util.h"

static const gml_attr_spec attrs[] = {
    {"xs", GML_ATTR_STRINGS, GML_ATTR_REQUIRED, .names_values = true},
    {"zs", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL, .names_values = true},
    {"y", GML_ATTR_STRING, GML_ATTR_REQUIRED, .names_values = true},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_node *node = cx->node;
    size_t n_xs = gml_node_find_attr(node, "xs")->count;
    const gml_attr *zs = gml_node_find_attr(node, "zs");
    size_t n = n_xs + (zs ? zs->count : 0);
    if (node->n_operands != 2 * n + 1)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "%u operands where xs and zs have %zu names together",
                              node->n_operands > n ? node->n_operands - (unsigned)n - 1 : 0, n);
    if (node->n_results > n_xs)
        return gml_infer_fail(cx, GML_E_INVALID, "%u results of %zu names in xs",
                              node->n_results, n_xs);
    for (unsigned k = 0; k < node->n_operands; k++)
        if (!gml_has_operand(node, k))
            return gml_infer_fail(cx, GML_E_INVALID, "operand %u is absent", k);
    for (unsigned i = 0; i < node->n_results; i++) {
        const gml_type *x;
        GML_TRY(gml_infer_tensor(cx, i, &x));
        GML_TRY(gml_infer_require(cx, i, GML_IS_FLOAT));
        GML_TRY(gml_infer_set(cx, i, x->dtype, x->rank, x->dims));
    }
    return gml_infer_require(cx, (unsigned)(2 * n), GML_IS_FLOAT);
}

const gml_op_info gml_op_gradient = {
    .name = "Gradient",
    .domain = "ai.onnx.preview.training",
    .doc = "Derivatives of a value of the graph by others.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_DIFFERENTIATES,
    .attrs = attrs,
    .infer = infer,
};
