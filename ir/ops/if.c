#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"then_branch", GML_ATTR_GRAPH, GML_ATTR_REQUIRED},
    {"else_branch", GML_ATTR_GRAPH, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status merge_results(gml_infer *cx, const gml_graph *a, const gml_graph *b,
                                size_t mark)
{
    if (a->n_results != cx->node->n_results || b->n_results != cx->node->n_results)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "the branches have %u and %u results, the node has %u",
                              a->n_results, b->n_results, cx->node->n_results);
    for (uint32_t i = 0; i < a->n_results; i++) {
        gml_type merged;
        if (!gml_type_merge(cx, &a->results[i]->type, &b->results[i]->type, &merged))
            return gml_infer_fail(cx, GML_E_TYPE, "the branches give result %u two types", i);
        GML_TRY(gml_infer_set_type(cx, i, gml_type_outside(cx, &merged, mark)));
    }
    return GML_OK;
}

/* A branch that is never taken may be nonsense: exporters leave such. */
static gml_status infer_constant(gml_infer *cx, gml_graph *taken, gml_graph *dead, size_t mark)
{
    GML_TRY(gml_region_infer(cx, taken));
    size_t n_diags = cx->diags->list.count;
    if (gml_region_infer(cx, dead) != GML_OK)
        gml_diags_truncate(cx->diags, n_diags);
    return merge_results(cx, taken, taken, mark);
}

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET(BOOL)));
    gml_graph *then_branch = gml_node_region(cx->node, "then_branch");
    gml_graph *else_branch = gml_node_region(cx->node, "else_branch");
    size_t mark = cx->dims->exprs.count;
    const gml_tensor *condition = cx->node->operands[0]->constant;
    if (condition != NULL && gml_tensor_numel(condition) == 1) {
        bool holds = *(const uint8_t *)condition->data != 0;
        return infer_constant(cx, holds ? then_branch : else_branch,
                              holds ? else_branch : then_branch, mark);
    }
    gml_status status = gml_region_infer(cx, then_branch);
    gml_status second = gml_region_infer(cx, else_branch);
    GML_TRY(status);
    GML_TRY(second);
    return merge_results(cx, then_branch, else_branch, mark);
}

const gml_op_info gml_op_if = {
    .name = "If",
    .doc = "The results of one of two regions.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_BRANCHES | GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_branches,
    .host = "if",
};
