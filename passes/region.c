/* passes/region.c - puts nodes into a gemel.Fused region. */
#include "passes/region.h"

bool gml_reads_elements(const gml_node *user, uint32_t k)
{
    return !(user->op->value_operands >> (k < 31 ? k : 31) & 1) &&
           !(user->op->traits & GML_VALUE_FREE);
}

void gml_mark_captured(const gml_graph *region, bool *marks)
{
    for (const gml_node *node = region->first; node; node = node->next) {
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                marks[node->operands[k]->id] = true;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                gml_mark_captured(node->attrs[i].as.graph, marks);
    }
    for (uint32_t r = 0; r < region->n_results; r++)
        marks[region->results[r]->id] = true;
}

bool gml_same_dims(const gml_type *a, const gml_type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

int gml_rows_of(const gml_node *node)
{
    if (!(node->op->traits & GML_REDUCES) || (node->op->traits & GML_CONTRACTION) ||
        !node->op->lower || node->n_results != 1 || !gml_has_operand(node, 0))
        return -1;
    const gml_type *in = &node->operands[0]->type;
    const gml_type *out = &node->results[0].type;
    if (in->kind != GML_TYPE_TENSOR || out->rank != in->rank || in->rank == 0)
        return -1;
    if (gml_same_dims(in, out)) {
        int64_t axis = gml_node_int(node, "axis", INT64_MIN);
        return axis == -1 || axis == in->rank - 1 ? in->rank - 1 : -1;
    }
    int rows = 0;
    while (in->dims[rows] == out->dims[rows])
        rows++;
    for (int d = rows; d < in->rank; d++)
        if (out->dims[d] != 1)
            return -1;
    return rows;
}

bool gml_can_root(const gml_node *node)
{
    if (node->n_results != 1 || !(node->op->scalar || node->op->lower) ||
        (node->op->traits & (GML_EFFECT | GML_INLINES)))
        return false;
    const gml_type *type = &node->results[0].type;
    return type->kind == GML_TYPE_TENSOR && type->rank >= 0 &&
           gml_dtype_get_class(type->dtype) != GML_CLASS_STRING && !node->results[0].constant;
}

gml_region gml_region_begin(gml_pass_cx *cx, gml_node *root, gml_value *const *sides,
                            uint32_t n_sides)
{
    gml_value *result = &root->results[0];
    gml_region region = {.cx = cx, .sides = sides, .n_sides = n_sides};
    region.node = gml_node_create(root->graph, root->next, &gml_op_fused, NULL, 0, 1 + n_sides,
                                  root->loc);
    region.node->results[0].name = result->name;
    region.body = gml_graph_create(cx->module, "body", region.node);
    gml_value_replace(result, &region.node->results[0]);
    gml_graph_add_result(region.body, result, NULL);
    for (uint32_t i = 0; i < n_sides; i++) {
        region.node->results[1 + i].name = sides[i]->name;
        gml_graph_add_result(region.body, sides[i], NULL);
    }
    return region;
}

/* The value that stands for `value` inside the region. */
static gml_value *inside(gml_region *region, gml_value *value, const gml_node *user, uint32_t k)
{
    bool scalar = value->constant && gml_tensor_numel(value->constant) == 1;
    if (value->def == region->node) /* the root's, whose users were given the node's already */
        return region->body->results[0];
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

/* What is outside reads what the node makes of `old`. A user may still stand before the node:
 * then it is to move into a region after it. */
static void replace_outside(gml_node *node, const gml_value *old, gml_value *replacement)
{
    gml_graph *graph = node->graph;
    for (gml_node *user = graph->first; user; user = user->next)
        for (uint32_t k = 0; k < user->n_operands; k++)
            if (user->operands[k] == old)
                user->operands[k] = replacement;
    for (uint32_t r = 0; r < graph->n_results; r++)
        if (graph->results[r] == old)
            graph->results[r] = replacement;
}

gml_status gml_region_end(gml_region *region)
{
    for (uint32_t i = 0; i < region->n_sides; i++)
        replace_outside(region->node, region->sides[i], &region->node->results[1 + i]);
    gml_node_set_operands(region->node, region->operands.items,
                          (uint32_t)region->operands.count);
    gml_node_set_region(region->node, "body", region->body);
    return gml_node_infer(region->node, region->cx->diags);
}
