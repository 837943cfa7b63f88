/* ir/grad_join.c - the sum of two gradients.
 *
 * Users that each take a part of a value (Split, Slice, Gather of one index) give its gradient
 * as parts with zeros around them. Parts that lie side by side are put together instead of
 * being added: the zeros are never made. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"

/* A value with zeros before and after it along one axis. */
typedef struct part {
    gml_value *inside;
    int axis;
    gml_dim before, after;
} part;

/* Zeros along exactly one axis, as gml_build_pad makes them. */
static bool find_part(const gml_value *value, gml_arena *arena, part *out)
{
    const gml_node *node = value->def;
    if (!node || node->op != &gml_op_pad || node->n_operands != 2 || node->n_attrs != 0)
        return false;
    size_t count = 0;
    const gml_dim *pads = gml_value_elements(node->operands[1], arena, &count);
    int rank = value->type.rank;
    if (!pads || count != 2 * (size_t)rank)
        return false;
    *out = (part){.inside = node->operands[0], .axis = -1};
    for (int d = 0; d < rank; d++) {
        if (pads[d] == 0 && pads[rank + d] == 0)
            continue;
        if (out->axis >= 0 || !gml_dim_is_const(pads[d]) || !gml_dim_is_const(pads[rank + d]) ||
            pads[d] < 0 || pads[rank + d] < 0)
            return false;
        out->axis = d;
        out->before = pads[d];
        out->after = pads[rank + d];
    }
    return out->axis >= 0;
}

/* Appends the operands of a Concat along `axis`, or the value itself. */
static uint32_t append(gml_value **operands, uint32_t n, gml_value *value, int axis)
{
    const gml_node *node = value->def;
    if (!node || node->op != &gml_op_concat || gml_node_int(node, "axis", 0) != axis) {
        operands[n] = value;
        return n + 1;
    }
    for (uint32_t k = 0; k < node->n_operands; k++)
        operands[n + k] = node->operands[k];
    return n + node->n_operands;
}

static uint32_t count_parts(const gml_value *value)
{
    return value->def ? value->def->n_operands + 1 : 1;
}

/* `low` and then `high` along their axis; NULL when they are not side by side. */
static gml_value *put_together(gml_build *b, const part *low, const part *high)
{
    gml_dim size = low->inside->type.dims[low->axis];
    if (!gml_dim_is_const(size) || low->before + size != high->before)
        return NULL;
    gml_arena *arena = &b->graph->module->arena;
    gml_value **operands =
        gml_new_array(arena, gml_value *, count_parts(low->inside) + count_parts(high->inside));
    uint32_t n = append(operands, 0, low->inside, low->axis);
    n = append(operands, n, high->inside, low->axis);
    gml_attr attr = gml_attr_int("axis", low->axis);
    gml_value *both = gml_build_op(b, &gml_op_concat, operands, n, &attr, 1);
    if (low->before == 0 && high->after == 0)
        return both;
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    pads[low->axis] = low->before;
    pads[both->type.rank + low->axis] = high->after;
    return gml_build_pad(b, both, pads);
}

gml_value *gml_grad_add(gml_build *b, gml_value *x, gml_value *y)
{
    gml_arena *arena = &b->graph->module->arena;
    part first;
    part second;
    gml_value *joined = NULL;
    if (find_part(x, arena, &first) && find_part(y, arena, &second) &&
        first.axis == second.axis) {
        joined = put_together(b, &first, &second);
        if (!joined)
            joined = put_together(b, &second, &first);
    }
    return joined ? joined : gml_build_add(b, x, y);
}
