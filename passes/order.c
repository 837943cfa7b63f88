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
#include "ir/op.h"
#include "passes/alive.h"
#include "passes/pass.h"

#include <inttypes.h>
#include <string.h>

/* Nodes tried for a move, and moves. */
#define GML_MAX_TRIED 512
#define GML_MAX_MOVES 8
/* A move lowers what is alive by more than one part in so many. */
#define GML_WORTH     256

typedef struct sorter {
    gml_alive a;
    uint32_t *sequence; /* by place: the node's number */
    bool *is_first;     /* by number: goes first */
} sorter;

/* ---- moves --------------------------------------------------------------------------------
 */

/* Marks node `number` and all that it needs, which come before it. */
static void mark_needed(sorter *s, uint32_t at)
{
    memset(s->is_first, 0, (s->a.n_nodes + 1) * sizeof *s->is_first);
    s->is_first[s->sequence[at]] = true;
    for (uint32_t p = at + 1; p-- > 0;) {
        uint32_t n = s->sequence[p];
        if (!s->is_first[n])
            continue;
        for (size_t i = 0; i < s->a.nodes[n].uses.count; i++) {
            uint32_t maker = s->a.maker[s->a.nodes[n].uses.items[i]];
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
        for (uint32_t p = 0; p < s->a.n_nodes; p++)
            if (s->is_first[s->sequence[p]] == (pass == 0))
                s->a.place[s->sequence[p]] = next++;
}

/* Weighs the order in which the node in place `at` and its needs are first. */
static void try_first(sorter *s, uint32_t at)
{
    mark_needed(s, at);
    set_places(s);
    gml_alive_weigh(&s->a);
}

static void keep_order(sorter *s)
{
    for (uint32_t n = 0; n < s->a.n_nodes; n++)
        s->sequence[s->a.place[n]] = n;
}

/* The best place to move; false when no move is worth it. */
static bool find_move(sorter *s, uint32_t *out_at)
{
    uint64_t best = s->a.most - s->a.most / GML_WORTH;
    uint32_t from = s->a.where;
    bool *needs = gml_new_array(s->a.cx->scratch, bool, s->a.n_nodes + 1); /* that node */
    bool found = false;
    uint32_t tried = 0;
    needs[s->sequence[from]] = true;
    for (uint32_t p = from; p < s->a.n_nodes && tried < GML_MAX_TRIED; p++) {
        uint32_t n = s->sequence[p];
        for (size_t i = 0; i < s->a.nodes[n].uses.count && !needs[n]; i++) {
            uint32_t maker = s->a.maker[s->a.nodes[n].uses.items[i]];
            needs[n] = maker != 0 && needs[maker - 1];
        }
        if (!needs[n])
            continue;
        tried++;
        try_first(s, p);
        if (s->a.most < best) {
            best = s->a.most;
            *out_at = p;
            found = true;
        }
    }
    return found;
}

static void explain(const sorter *s, uint64_t before, uint32_t at)
{
    gml_str *out = s->a.cx->explain;
    const gml_node *node = s->a.nodes[s->sequence[at]].node;
    if (out)
        gml_str_printf(out,
                       "order: %s (%s) and what it needs go first: at most %" PRIu64
                       " bytes of values are alive instead of %" PRIu64 "\n",
                       node->loc.node ? node->loc.node : "a node", node->op->name, s->a.most,
                       before);
}

gml_status gml_pass_order(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    sorter s = {.sequence = NULL};
    if (!graph->first || !gml_alive_begin(&s.a, graph, cx))
        return GML_OK;
    s.sequence = gml_new_array(cx->scratch, uint32_t, s.a.n_nodes + 1);
    s.is_first = gml_new_array(cx->scratch, bool, s.a.n_nodes + 1);
    keep_order(&s);
    bool moved = false;
    for (int i = 0; i < GML_MAX_MOVES; i++) {
        uint64_t before = s.a.most;
        uint32_t at = 0;
        if (!find_move(&s, &at))
            break;
        try_first(&s, at);
        explain(&s, before, at);
        keep_order(&s);
        moved = true;
    }
    for (uint32_t p = 0; moved && p < s.a.n_nodes; p++)
        gml_node_move(s.a.nodes[s.sequence[p]].node, NULL);
    *out_changed = *out_changed || moved;
    return GML_OK;
}
