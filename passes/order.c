/* passes/order.c - moves a branch to the front when fewer values are alive at once then.
 *
 * A graph written branch after branch keeps all that the first one has for its gradients while
 * the second one runs. When a branch that ends in little runs first, its own values are gone
 * before the others come. Any node may go first together with everything that it needs, so a
 * move is named by one node: tried are those that need the node where most is alive, and the
 * one that lowers the most is taken, as long as there is one.
 *
 * What is alive is counted in bytes of values, without what kernels need for themselves; a
 * large result that may be computed over an operand (ir/loop.h) takes its place. A state costs
 * nothing, unless its old value is read after the new one is there. Graphs with sizes that are
 * not known, or with effects, stay as they are. */
#include "ir/loop.h"
#include "ir/lower.h"
#include "ir/op.h"
#include "passes/pass.h"

#include <inttypes.h>
#include <string.h>

/* Nodes tried for a move, and moves. */
#define GML_MAX_TRIED 512
#define GML_MAX_MOVES 8
/* A move lowers what is alive by more than one part in so many. */
#define GML_WORTH     256
/* A value is large that is more than one part in so many of all that is alive. */
#define GML_LARGE     256

/* A result that may be computed over an operand, by their ids. */
typedef struct cover {
    uint32_t result, operand;
} cover;

/* A node of the graph, by its number in the order at hand. */
typedef struct item {
    gml_node *node;
    gml_vec(uint32_t) uses; /* ids of values that other nodes make, and of parameters */
    gml_vec(cover) covers;
} item;

typedef struct sorter {
    gml_graph *graph;
    gml_pass_cx *cx;
    item *items;
    uint32_t n_items;
    uint32_t *maker;    /* by value id: number of its node + 1; 0: a parameter or constant */
    uint64_t *bytes;    /* by value id */
    bool *stays;        /* by value id: to be kept to the end */
    uint32_t *state_of; /* by value id of a new value: the id of the old + 1 */
    uint32_t *last;     /* by value id, in the order that is weighed: its last reader */
    uint32_t *place;    /* by number: where the node is in it */
    uint32_t *sequence; /* by place: the node's number */
    int64_t *change;    /* by place: bytes that appear or, negative, are gone after */
    bool *is_first;     /* by number: goes first */
    uint64_t most;      /* alive at once in the order weighed last */
    uint32_t where;     /* in which place */
} sorter;

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

static void note_uses(const sorter *s, item *it, const gml_node *node)
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
static bool note_nodes(sorter *s)
{
    uint32_t n = 0;
    for (gml_node *node = s->graph->first; node; node = node->next) {
        if (node->op->traits & GML_EFFECT)
            return false;
        s->items[n].node = node;
        note_uses(s, &s->items[n], node);
        s->sequence[n] = n;
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
static bool is_like_operand(const sorter *s, const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k] && s->maker[node->operands[k]->id] != 0 &&
                s->bytes[node->results[r].id] >= s->most / GML_LARGE &&
                same_type(&node->results[r], node->operands[k]))
                return true;
    return false;
}

static void note_covers(const sorter *s, item *it)
{
    const gml_node *node = it->node;
    if (node->op->host || node->results[0].constant || !is_like_operand(s, node))
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
                         ((cover){node->results[r].id, node->operands[numbers[i]]->id}));
    gml_arena_reset(&arena);
}

static void note_results(sorter *s)
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

static sorter begin(gml_graph *graph, gml_pass_cx *cx)
{
    uint32_t n = count_nodes(graph);
    uint32_t n_values = cx->module->n_values + 1;
    sorter s = {.graph = graph, .cx = cx, .n_items = n};
    s.items = gml_new_array(cx->scratch, item, n + 1);
    s.maker = gml_new_array(cx->scratch, uint32_t, n_values);
    s.bytes = gml_new_array(cx->scratch, uint64_t, n_values);
    s.stays = gml_new_array(cx->scratch, bool, n_values);
    s.state_of = gml_new_array(cx->scratch, uint32_t, n_values);
    s.last = gml_new_array(cx->scratch, uint32_t, n_values);
    s.place = gml_new_array(cx->scratch, uint32_t, n + 1);
    s.sequence = gml_new_array(cx->scratch, uint32_t, n + 1);
    s.change = gml_new_array(cx->scratch, int64_t, n + 2);
    s.is_first = gml_new_array(cx->scratch, bool, n + 1);
    return s;
}

/* ---- what is alive ------------------------------------------------------------------------
 */

/* Adds what value `id`, made in place `born`, keeps alive. */
static void add_value(const sorter *s, uint32_t id, uint32_t born)
{
    uint32_t old = s->state_of[id];
    uint32_t end = s->stays[id] ? s->n_items - 1 : born > s->last[id] ? born : s->last[id];
    if (old != 0 && s->last[old - 1] <= born)
        return;
    s->change[born] += (int64_t)s->bytes[id];
    s->change[end + 1] -= (int64_t)s->bytes[id];
}

/* What dies in place `at` under a result of its node is not there beside it. */
static void take_covered(const sorter *s, const item *it, uint32_t at)
{
    uint32_t taken = 0; /* one operand for a result: the first that dies */
    for (size_t i = 0; i < it->covers.count; i++) {
        cover c = it->covers.items[i];
        if (c.result + 1 == taken || s->maker[c.operand] == 0 || s->stays[c.operand] ||
            s->last[c.operand] != at)
            continue;
        taken = c.result + 1;
        s->change[at] -= (int64_t)s->bytes[c.operand];
        s->change[at + 1] += (int64_t)s->bytes[c.operand];
    }
}

/* Sets `most` and `where` for the order in `place`. */
static void weigh(sorter *s)
{
    memset(s->last, 0, (s->cx->module->n_values + 1) * sizeof *s->last);
    memset(s->change, 0, (s->n_items + 2) * sizeof *s->change);
    for (uint32_t n = 0; n < s->n_items; n++)
        for (size_t i = 0; i < s->items[n].uses.count; i++) {
            uint32_t *last = &s->last[s->items[n].uses.items[i]];
            *last = s->place[n] > *last ? s->place[n] : *last;
        }
    for (uint32_t n = 0; n < s->n_items; n++)
        for (uint32_t r = 0; r < s->items[n].node->n_results; r++)
            add_value(s, s->items[n].node->results[r].id, s->place[n]);
    for (uint32_t n = 0; n < s->n_items; n++)
        take_covered(s, &s->items[n], s->place[n]);
    int64_t alive = 0;
    s->most = 0;
    s->where = 0;
    for (uint32_t p = 0; p < s->n_items; p++) {
        alive += s->change[p];
        if (alive > (int64_t)s->most) {
            s->most = (uint64_t)alive;
            s->where = p;
        }
    }
}

/* ---- moves --------------------------------------------------------------------------------
 */

/* Marks node `number` and all that it needs, which come before it. */
static void mark_needed(sorter *s, uint32_t at)
{
    memset(s->is_first, 0, (s->n_items + 1) * sizeof *s->is_first);
    s->is_first[s->sequence[at]] = true;
    for (uint32_t p = at + 1; p-- > 0;) {
        uint32_t n = s->sequence[p];
        if (!s->is_first[n])
            continue;
        for (size_t i = 0; i < s->items[n].uses.count; i++) {
            uint32_t maker = s->maker[s->items[n].uses.items[i]];
            if (maker != 0)
                s->is_first[maker - 1] = true;
        }
    }
}

/* Places as they are when the marked nodes go first. */
static void set_places(sorter *s)
{
    uint32_t next = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t p = 0; p < s->n_items; p++)
            if (s->is_first[s->sequence[p]] == (pass == 0))
                s->place[s->sequence[p]] = next++;
}

/* Weighs the order in which the node in place `at` and its needs are first. */
static void try_first(sorter *s, uint32_t at)
{
    mark_needed(s, at);
    set_places(s);
    weigh(s);
}

static void keep_order(sorter *s)
{
    for (uint32_t n = 0; n < s->n_items; n++)
        s->sequence[s->place[n]] = n;
}

/* The best place to move; false when no move is worth it. */
static bool find_move(sorter *s, uint32_t *out_at)
{
    uint64_t best = s->most - s->most / GML_WORTH;
    uint32_t from = s->where;
    bool *needs = gml_new_array(s->cx->scratch, bool, s->n_items + 1); /* that node */
    bool found = false;
    uint32_t tried = 0;
    needs[s->sequence[from]] = true;
    for (uint32_t p = from; p < s->n_items && tried < GML_MAX_TRIED; p++) {
        uint32_t n = s->sequence[p];
        for (size_t i = 0; i < s->items[n].uses.count && !needs[n]; i++) {
            uint32_t maker = s->maker[s->items[n].uses.items[i]];
            needs[n] = maker != 0 && needs[maker - 1];
        }
        if (!needs[n])
            continue;
        tried++;
        try_first(s, p);
        if (s->most < best) {
            best = s->most;
            *out_at = p;
            found = true;
        }
    }
    return found;
}

static void explain(const sorter *s, uint64_t before, uint32_t at)
{
    gml_str *out = s->cx->explain;
    const gml_node *node = s->items[s->sequence[at]].node;
    if (out)
        gml_str_printf(out,
                       "order: %s (%s) and what it needs go first: at most %" PRIu64
                       " bytes of values are alive instead of %" PRIu64 "\n",
                       node->loc.node ? node->loc.node : "a node", node->op->name, s->most,
                       before);
}

gml_status gml_pass_order(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    sorter s = begin(graph, cx);
    if (s.n_items == 0 || !note_nodes(&s))
        return GML_OK;
    note_results(&s);
    set_places(&s);
    weigh(&s);
    for (uint32_t n = 0; n < s.n_items; n++)
        note_covers(&s, &s.items[n]);
    weigh(&s);
    bool moved = false;
    for (int i = 0; i < GML_MAX_MOVES; i++) {
        uint64_t before = s.most;
        uint32_t at = 0;
        if (!find_move(&s, &at))
            break;
        try_first(&s, at);
        explain(&s, before, at);
        keep_order(&s);
        moved = true;
    }
    for (uint32_t p = 0; moved && p < s.n_items; p++)
        gml_node_move(s.items[s.sequence[p]].node, NULL);
    *out_changed = *out_changed || moved;
    return GML_OK;
}
