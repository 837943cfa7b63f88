/* ir/ops/fused.c - gemel.Fused: a region that becomes one kernel.
 *
 * The region's parameters stand for the operands; its nodes are lowered in place, where their
 * elements are needed, so nothing inside is stored. Made by passes/fuse.c.
 *
 * With `shared` leading dimensions, 0 included, it is computed in stages, one a node
 * (ir/lower_node.c). Made by passes/stage.c and passes/sums.c. */
#include "ir/op.h"

static const gml_attr_spec attrs[] = {
    {"body", GML_ATTR_GRAPH, GML_ATTR_REQUIRED},
    {"shared", GML_ATTR_INT, 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_graph *body = gml_node_region(cx->node, "body");
    if (body->n_results != cx->node->n_results)
        return gml_infer_fail(cx, GML_E_INVALID, "the region has %u results, the node has %u",
                              body->n_results, cx->node->n_results);
    for (uint32_t r = 0; r < body->n_results; r++)
        GML_TRY(gml_infer_set_type(cx, r, body->results[r]->type));
    return GML_OK;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    return gml_at_value(x, gml_node_region(node, "body")->results[result], index);
}

const gml_op_info gml_op_fused = {
    .name = "Fused",
    .domain = "gemel",
    .doc = "A region computed by one kernel.",
    .min_in = 0,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_INLINES,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
