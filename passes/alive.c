/* passes/alive.c - how many bytes of values are alive when. */
#include "passes/alive.h"

#include "ir/loop.h"
#include "ir/lower.h"
#include "ir/op.h"

#include <string.h>

/* A value is large that is more than one part in so many of all that is alive. */
#define GML_LARGE 256

/* ---- what there is ------------------------------------------------------------------------
 */

static bool value_bytes(const gml_value *value, uint64_t *out)
{
    const gml_type *type = &value->type;
    uint64_t elements = 1;
    *out = 0;
    if (value->constant || type->kind != GML_TYPE_TENSOR || type->dtype == GML_STRING)
        return true;
    for (int d = 0; d < type->rank; d++) {
        if (!gml_dim_is_const(type->dims[d]) || type->dims[d] < 0 ||
            (type->dims[d] > 0 && elements > (UINT64_C(1) << 48) / (uint64_t)type->dims[d]))
            return false;
        elements *= (uint64_t)type->dims[d];
    }
    *out = elements * gml_dtype_size(type->dtype);
    return true;
}

static void note_uses(const gml_alive *s, gml_alive_node *it, const gml_node *node)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && node->operands[k]->graph == s->graph)
            gml_push(s->cx->scratch, &it->uses, node->operands[k]->id);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        const gml_graph *region = node->attrs[i].as.graph;
        for (const gml_node *inner = region->first; inner; inner = inner->next)
            note_uses(s, it, inner);
        for (uint32_t r = 0; r < region->n_results; r++)
            if (region->results[r]->graph == s->graph)
                gml_push(s->cx->scratch, &it->uses, region->results[r]->id);
    }
}

/* False when the graph is to stay as it is. */
static bool note_nodes(gml_alive *s)
{
    uint32_t n = 0;
    for (gml_node *node = s->graph->first; node; node = node->next) {
        if (node->op->traits & GML_EFFECT)
            return false;
        s->nodes[n].node = node;
        note_uses(s, &s->nodes[n], node);
        s->place[n] = n;
        n++;
        for (uint32_t r = 0; r < node->n_results; r++) {
            s->maker[node->results[r].id] = n;
            if (!value_bytes(&node->results[r], &s->bytes[node->results[r].id]))
                return false;
        }
    }
    return true;
}

static bool same_type(const gml_value *a, const gml_value *b)
{
    return a->type.dtype == b->type.dtype && a->type.rank == b->type.rank &&
           (a->type.rank == 0 || memcmp(a->type.dims, b->type.dims,
                                        (size_t)a->type.rank * sizeof *a->type.dims) == 0);
}

/* May a large result have an operand's place? */
static bool is_like_operand(const gml_alive *s, const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k] && s->maker[node->operands[k]->id] != 0 &&
                s->bytes[node->results[r].id] >= s->most / GML_LARGE &&
                same_type(&node->results[r], node->operands[k]))
                return true;
    return false;
}

static void note_covers(const gml_alive *s, gml_alive_node *it)
{
    const gml_node *node = it->node;
    if (node->op->host || !is_like_operand(s, node) || node->results[0].constant)
        return;
    gml_arena arena;
    gml_arena_init(&arena);
    unsigned *numbers = gml_new_array(&arena, unsigned, node->n_operands + 1);
    const gml_kernel *kernel = gml_lower_node(&arena, &s->cx->module->dims, node, numbers);
    uint64_t *over = gml_new_array(&arena, uint64_t, kernel->outputs.count + 1);
    gml_kernel_over(kernel, over);
    for (uint32_t r = 0; r < kernel->outputs.count; r++)
        for (uint32_t i = 0; i < kernel->inputs.count && i < 64; i++)
            if (over[r] >> i & 1)
                gml_push(s->cx->scratch, &it->covers,
                         ((gml_cover){node->results[r].id, node->operands[numbers[i]]->id}));
    gml_arena_reset(&arena);
}

static void note_results(gml_alive *s)
{
    const gml_module *module = s->cx->module;
    for (uint32_t r = 0; r < s->graph->n_results; r++)
        s->stays[s->graph->results[r]->id] = true;
    for (size_t i = 0; i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        if (state->param != GML_NO_INDEX && state->result != GML_NO_INDEX)
            s->state_of[s->graph->results[state->result]->id] =
                s->graph->params[state->param]->id + 1;
    }
}

static uint32_t count_nodes(const gml_graph *graph)
{
    uint32_t n = 0;
    for (const gml_node *node = graph->first; node; node = node->next)
        n++;
    return n;
}

/* ---- what is alive ------------------------------------------------------------------------
 */

/* Adds what value `id`, made in place `born`, keeps alive. */
static void add_value(const gml_alive *s, uint32_t id, uint32_t born)
{
    uint32_t old = s->state_of[id];
    uint32_t end = s->stays[id] ? s->n_nodes - 1 : born > s->last[id] ? born : s->last[id];
    if (old != 0 && s->last[old - 1] <= born)
        return;
    s->change[born] += (int64_t)s->bytes[id];
    s->change[end + 1] -= (int64_t)s->bytes[id];
    if (s->back_before[id] != 0) {
        s->change[s->gone_after[id] + 1] -= (int64_t)s->bytes[id];
        s->change[s->back_before[id]] += (int64_t)s->bytes[id];
    }
}

/* What dies in place `at` under a result of its node is not there beside it. */
static void take_covered(const gml_alive *s, const gml_alive_node *it, uint32_t at)
{
    uint32_t taken = 0; /* one operand for a result: the first that dies */
    for (size_t i = 0; i < it->covers.count; i++) {
        gml_cover c = it->covers.items[i];
        if (c.result + 1 == taken || s->maker[c.operand] == 0 || s->stays[c.operand] ||
            s->last[c.operand] != at)
            continue;
        taken = c.result + 1;
        s->change[at] -= (int64_t)s->bytes[c.operand];
        s->change[at + 1] += (int64_t)s->bytes[c.operand];
    }
}

void gml_alive_weigh(gml_alive *s)
{
    memcpy(s->last, s->needed, (s->cx->module->n_values + 1) * sizeof *s->last);
    memset(s->change, 0, (s->n_nodes + 2) * sizeof *s->change);
    for (uint32_t n = 0; n < s->n_nodes; n++)
        for (size_t i = 0; i < s->nodes[n].uses.count; i++) {
            uint32_t *last = &s->last[s->nodes[n].uses.items[i]];
            *last = s->place[n] > *last ? s->place[n] : *last;
        }
    for (uint32_t n = 0; n < s->n_nodes; n++)
        for (uint32_t r = 0; r < s->nodes[n].node->n_results; r++)
            add_value(s, s->nodes[n].node->results[r].id, s->place[n]);
    for (uint32_t n = 0; n < s->n_nodes; n++)
        take_covered(s, &s->nodes[n], s->place[n]);
    int64_t alive = 0;
    s->most = 0;
    s->where = 0;
    for (uint32_t p = 0; p < s->n_nodes; p++) {
        alive += s->change[p];
        if (alive > (int64_t)s->most) {
            s->most = (uint64_t)alive;
            s->where = p;
        }
    }
}

/* ---- beginning ----------------------------------------------------------------------------
 */

static void allocate(gml_alive *s)
{
    gml_arena *arena = s->cx->scratch;
    uint32_t n = s->n_nodes;
    uint32_t n_values = s->cx->module->n_values + 1;
    s->nodes = gml_new_array(arena, gml_alive_node, n + 1);
    s->maker = gml_new_array(arena, uint32_t, n_values);
    s->bytes = gml_new_array(arena, uint64_t, n_values);
    s->stays = gml_new_array(arena, bool, n_values);
    s->state_of = gml_new_array(arena, uint32_t, n_values);
    s->gone_after = gml_new_array(arena, uint32_t, n_values);
    s->back_before = gml_new_array(arena, uint32_t, n_values);
    s->needed = gml_new_array(arena, uint32_t, n_values);
    s->last = gml_new_array(arena, uint32_t, n_values);
    s->place = gml_new_array(arena, uint32_t, n + 1);
    s->change = gml_new_array(arena, int64_t, n + 2);
}

bool gml_alive_begin(gml_alive *s, gml_graph *graph, gml_pass_cx *cx)
{
    *s = (gml_alive){.graph = graph, .cx = cx, .n_nodes = count_nodes(graph)};
    allocate(s);
    if (!note_nodes(s))
        return false;
    note_results(s);
    gml_alive_weigh(s);
    for (uint32_t n = 0; n < s->n_nodes; n++)
        note_covers(s, &s->nodes[n]); /* of what is large beside `most` */
    gml_alive_weigh(s);
    return true;
}
