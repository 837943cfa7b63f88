/* passes/region.c - puts nodes into a gemel.Fused region. */
#include "passes/region.h"

bool gml_reads_elements(const gml_node *user, uint32_t k)
{
    return !(user->op->value_operands >> (k < 31 ? k : 31) & 1) &&
           !(user->op->traits & GML_VALUE_FREE);
}

gml_region gml_region_begin(gml_pass_cx *cx, gml_node *root)
{
    gml_value *result = &root->results[0];
    gml_region region = {.cx = cx};
    region.node =
        gml_node_create(root->graph, root->next, &gml_op_fused, NULL, 0, 1, root->loc);
    region.node->results[0].name = result->name;
    region.body = gml_graph_create(cx->module, "body", region.node);
    gml_value_replace(result, &region.node->results[0]);
    gml_graph_add_result(region.body, result, NULL);
    return region;
}

/* The value that stands for `value` inside the region. */
static gml_value *inside(gml_region *region, gml_value *value, const gml_node *user, uint32_t k)
{
    bool scalar = value->constant && gml_tensor_numel(value->constant) == 1;
    if (value->graph == region->body || scalar || !gml_reads_elements(user, k))
        return value;
    for (size_t i = 0; i < region->operands.count; i++)
        if (region->operands.items[i] == value)
            return region->body->params[i];
    gml_push(region->cx->scratch, &region->operands, value);
    gml_value *param = gml_graph_add_param(region->body, value->name, value->type);
    param->constant = value->constant;
    param->elements = value->elements;
    return param;
}

void gml_region_move(gml_region *region, gml_node *member)
{
    gml_value **operands =
        gml_new_array(region->cx->scratch, gml_value *, member->n_operands + 1);
    gml_node_transfer(member, region->body);
    for (uint32_t k = 0; k < member->n_operands; k++)
        if (member->operands[k])
            operands[k] = inside(region, member->operands[k], member, k);
    gml_node_set_operands(member, operands, member->n_operands);
}

gml_status gml_region_end(gml_region *region)
{
    gml_node_set_operands(region->node, region->operands.items,
                          (uint32_t)region->operands.count);
    gml_node_set_region(region->node, "body", region->body);
    return gml_node_infer(region->node, region->cx->diags);
}
