/* passes/operand.c - from an operand of a product back to the value that it is made of. */
#include "passes/operand.h"

#include "ir/view.h"
#include "passes/costly.h"
#include "passes/region.h"

#include <math.h>

#define GML_MAX_STEPS 16

static bool is_power_of_two(const gml_value *value)
{
    int exponent = 0;
    if (!value->constant || gml_tensor_numel(value->constant) != 1)
        return false;
    double x = gml_tensor_number(value->constant, 0);
    return isfinite(x) && x > 0 && frexp(x, &exponent) == 0.5;
}

int gml_operand_step(const gml_graph *graph, const gml_value *value)
{
    const gml_node *node = value->def;
    if (!node || node->graph != graph || value->constant)
        return -1;
    if (node->op == &gml_op_split || gml_is_cheap_view(node)) {
        bool is_data = gml_has_operand(node, 0) && gml_reads_elements(node, 0) &&
                       !node->operands[0]->constant &&
                       gml_type_is_static(&node->operands[0]->type);
        return is_data && node->operands[0]->type.dtype == GML_F32 ? 0 : -1;
    }
    if (node->op != &gml_op_mul)
        return -1;
    for (int k = 0; k < 2; k++)
        if (gml_same_dims(&node->operands[k]->type, &value->type) &&
            is_power_of_two(node->operands[1 - k]))
            return k;
    return -1;
}

gml_value *gml_operand_source(const gml_graph *graph, gml_value *value)
{
    for (int i = 0; i < GML_MAX_STEPS; i++) {
        int k = gml_operand_step(graph, value);
        if (k < 0)
            break;
        value = value->def->operands[k];
    }
    return value;
}

/* Lines of memory stay lines, or pieces of lines. */
static bool is_plain(const gml_node *node)
{
    const gml_op_info *op = node->op;
    return op == &gml_op_reshape || op == &gml_op_squeeze || op == &gml_op_unsqueeze ||
           op == &gml_op_slice || op == &gml_op_split || op == &gml_op_transpose;
}

bool gml_operand_is_plain(const gml_graph *graph, const gml_value *value,
                          const gml_value *source)
{
    const gml_type *type = &source->type;
    while (value != source && is_plain(value->def))
        value = value->def->operands[gml_operand_step(graph, value)];
    return value == source && type->rank > 0 && type->dims[type->rank - 1] % 8 == 0;
}

gml_value *gml_operand_part(gml_build *b, const gml_value *value, gml_value *whole)
{
    int64_t axis = gml_node_int(value->def, "axis", 0);
    int64_t start = 0;
    axis += axis < 0 ? value->type.rank : 0;
    for (uint32_t r = 0; r < value->index; r++)
        start += value->def->results[r].type.dims[axis];
    return gml_build_slice(b, whole, axis, start, start + value->type.dims[axis]);
}

gml_value *gml_operand_repeat(gml_build *b, gml_value *value, gml_value *source,
                              gml_value *wide)
{
    if (value == source)
        return wide;
    gml_node *node = value->def;
    int at = gml_operand_step(b->graph, value);
    gml_value *operand = gml_operand_repeat(b, node->operands[at], source, wide);
    b->loc = node->loc;
    if (node->op == &gml_op_split)
        return gml_operand_part(b, value, operand);
    gml_node *copy = gml_node_create(b->graph, b->before, node->op, node->operands,
                                     node->n_operands, 1, node->loc);
    copy->operands[at] = operand;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        gml_node_set_attr(copy, &node->attrs[i]);
    copy->results[0].type = value->type;
    copy->is_again = node->op->scalar != NULL;
    return &copy->results[0];
}
