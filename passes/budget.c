/* passes/budget.c - keeps what is alive within a budget by computing it again.
 *
 * Asked for with cx->memory, in bytes of values alive at once. Where most is alive, some values
 * wait for late readers: kept by the forward pass for the gradients. The kernel of one that
 * waits is run again right before its first late reader, and the value is not there meanwhile.
 * What the kernel reads must be there then; it is kept for longer, or computed again as well.
 * Taken is, one after the other, what saves the most bytes for each operation, until the budget
 * is met or nothing saves any more. Runs last, so that nodes are kernels and their work is
 * known. */
#include "ir/loop.h"
#include "ir/lower.h"
#include "ir/op.h"
#include "ir/ops/region_util.h"
#include "passes/alive.h"
#include "passes/region.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GML_MAX_CHOICES 1024
#define GML_MAX_DEPTH   4   /* kernels behind each other that are run again */
#define GML_MAX_AGAIN   8   /* and together, for one value */
#define GML_WORTH       256 /* what is saved is more than one part in so many of all */
#define GML_SMALL       16  /* an operand is kept for longer if it has no more than this part */

/* Kernels that are run again before the node in place `before`, the first one first. */
typedef struct choice {
    uint32_t again[GML_MAX_AGAIN];
    unsigned n_again;
    uint32_t after, before; /* between these places the results of the last are not there */
    uint64_t saved;         /* bytes where most is alive */
    double work;            /* as work_of has it */
    size_t number;
    uint32_t kept[GML_MAX_AGAIN]; /* values that are kept until `before` */
    unsigned n_kept;
} choice;

typedef struct spender {
    gml_alive a;
    uint32_t *first_late; /* by value id: the place of the first reader behind `where` */
    uint32_t *last_early; /* and that of the last one before it */
    bool *is_captured;    /* by value id: a region reads it */
    double *work;         /* by number; 0: not known yet */
    gml_vec(choice) choices;
    double paid;
    uint64_t before; /* alive at once without this pass */
} spender;

/* ---- what can be done ---------------------------------------------------------------------
 */

static bool can_repeat(const gml_node *node)
{
    if (node->op->host || !(node->op->lower || (node->op->traits & GML_INLINES)))
        return false;
    for (uint32_t r = 0; r < node->n_results; r++)
        if (node->results[r].constant)
            return false;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
            return false;
    return node->n_results > 0;
}

/* Operations of the kernel of a node, and a few for each byte that it moves. */
static double work_of(spender *s, uint32_t number)
{
    if (s->work[number] > 0)
        return s->work[number];
    const gml_node *node = s->a.nodes[number].node;
    gml_arena arena;
    gml_arena_init(&arena);
    unsigned *numbers = gml_new_array(&arena, unsigned, node->n_operands + 1);
    gml_dim flops = 0;
    gml_dim bytes = 0;
    gml_kernel_cost(gml_lower_node(&arena, &s->a.cx->module->dims, node, numbers), &flops,
                    &bytes);
    gml_arena_reset(&arena);
    double work = gml_dim_is_const(flops) && gml_dim_is_const(bytes)
                      ? (double)flops + 4 * (double)bytes
                      : 1e30;
    s->work[number] = work + 1;
    return s->work[number];
}

/* Readers of every value around the place where most is alive. */
static void find_readers(spender *s)
{
    uint32_t n_values = s->a.cx->module->n_values;
    memset(s->first_late, 0, (n_values + 1) * sizeof *s->first_late);
    memset(s->last_early, 0, (n_values + 1) * sizeof *s->last_early);
    for (uint32_t n = 0; n < s->a.n_nodes; n++) /* places are numbers here */
        for (size_t i = 0; i < s->a.nodes[n].uses.count; i++) {
            uint32_t id = s->a.nodes[n].uses.items[i];
            if (n <= s->a.where)
                s->last_early[id] = n;
            else if (s->first_late[id] == 0)
                s->first_late[id] = n;
        }
}

/* Is the value there in place `at`? */
static bool is_there(const spender *s, const gml_value *value, uint32_t at)
{
    uint32_t id = value->id;
    if (s->a.maker[id] == 0 || value->constant || s->a.stays[id])
        return true;
    if (s->a.back_before[id] != 0 && at > s->a.gone_after[id] && at < s->a.back_before[id])
        return false;
    return s->a.last[id] >= at;
}

static bool add_again(spender *s, choice *c, uint32_t number, unsigned depth);

/* Sees to it that an operand is there in place c->before. */
static bool add_operand(spender *s, choice *c, const gml_value *value, unsigned depth)
{
    uint32_t id = value->id;
    if (is_there(s, value, c->before))
        return true;
    bool is_gone = s->a.back_before[id] != 0;
    bool is_small = s->a.bytes[id] * GML_SMALL <= c->saved;
    if (is_small && !is_gone && c->n_kept < GML_MAX_AGAIN) {
        c->kept[c->n_kept++] = id;
        return true;
    }
    return depth > 0 && add_again(s, c, s->a.maker[id] - 1, depth - 1);
}

/* Adds a kernel to those that are run again, behind those that it needs. */
static bool add_again(spender *s, choice *c, uint32_t number, unsigned depth)
{
    const gml_node *node = s->a.nodes[number].node;
    for (unsigned i = 0; i < c->n_again; i++)
        if (c->again[i] == number)
            return true;
    if (!can_repeat(node))
        return false;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !add_operand(s, c, node->operands[k], depth))
            return false;
    if (c->n_again == GML_MAX_AGAIN)
        return false;
    c->again[c->n_again++] = number;
    c->work += work_of(s, number);
    return true;
}

/* What running node `number` again would do; false when that is nothing. */
static bool weigh_choice(spender *s, uint32_t number, choice *c)
{
    const gml_node *node = s->a.nodes[number].node;
    *c = (choice){.before = UINT32_MAX};
    for (uint32_t r = 0; r < node->n_results; r++) {
        uint32_t id = node->results[r].id;
        if (s->first_late[id] == 0 && s->last_early[id] == 0)
            continue; /* nobody wants it */
        if (s->a.stays[id] || s->is_captured[id] || s->a.needed[id] != 0 ||
            s->a.back_before[id] != 0 || s->first_late[id] == 0 ||
            s->last_early[id] >= s->a.where)
            return false;
        uint32_t after = s->last_early[id] > number ? s->last_early[id] : number;
        c->after = after > c->after ? after : c->after;
        c->before = s->first_late[id] < c->before ? s->first_late[id] : c->before;
        c->saved += s->a.bytes[id];
    }
    return c->saved >= s->a.most / GML_WORTH && add_again(s, c, number, GML_MAX_DEPTH);
}

static bool find_choice(spender *s, choice *out)
{
    double best = 0;
    find_readers(s);
    for (uint32_t n = 0; n < s->a.where; n++) {
        choice c;
        if (!weigh_choice(s, n, &c))
            continue;
        double gain = (double)c.saved / c.work;
        if (gain > best) {
            best = gain;
            *out = c;
        }
    }
    return best > 0;
}

static void take(spender *s, const choice *c)
{
    const gml_node *node = s->a.nodes[c->again[c->n_again - 1]].node;
    for (uint32_t r = 0; r < node->n_results; r++) {
        s->a.gone_after[node->results[r].id] = c->after;
        s->a.back_before[node->results[r].id] = c->before;
    }
    for (unsigned i = 0; i < c->n_again; i++) /* what they read is needed there */
        for (size_t u = 0; u < s->a.nodes[c->again[i]].uses.count; u++) {
            uint32_t id = s->a.nodes[c->again[i]].uses.items[u];
            bool is_read = s->a.maker[id] != 0 && s->a.last[id] >= c->before;
            if (is_read && s->a.needed[id] < c->before)
                s->a.needed[id] = c->before;
        }
    for (unsigned i = 0; i < c->n_kept; i++)
        if (s->a.needed[c->kept[i]] < c->before)
            s->a.needed[c->kept[i]] = c->before;
    s->paid += c->work;
    gml_push(s->a.cx->scratch, &s->choices, *c);
    s->choices.items[s->choices.count - 1].number = s->choices.count;
}

/* ---- doing it -----------------------------------------------------------------------------
 */

static int by_place(const void *left, const void *right)
{
    const choice *a = left;
    const choice *b = right;
    if (a->before != b->before)
        return a->before < b->before ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number); /* later ones read earlier ones */
}

/* From place c->before on the late readers have the new values. `now` is by value id. */
static gml_status run_again(spender *s, const choice *c, gml_value **now, uint32_t n_values)
{
    gml_node *before = s->a.nodes[c->before].node;
    gml_value **copies = gml_new_array(s->a.cx->scratch, gml_value *, n_values + 1);
    memcpy(copies, now, n_values * sizeof *copies);
    for (unsigned i = 0; i < c->n_again; i++) {
        gml_build b = {s->a.graph, before, before->loc, s->a.cx->diags, GML_OK};
        GML_TRY(gml_build_copy(&b, s->a.nodes[c->again[i]].node, copies, n_values));
    }
    const gml_node *last = s->a.nodes[c->again[c->n_again - 1]].node;
    for (uint32_t r = 0; r < last->n_results; r++)
        now[last->results[r].id] = copies[last->results[r].id];
    return GML_OK;
}

/* Nodes in their order, each before it reads: so that `now` is what is there. */
static gml_status run_all_again(spender *s)
{
    uint32_t n_values = s->a.cx->module->n_values;
    gml_value **now = gml_new_array(s->a.cx->scratch, gml_value *, n_values + 1);
    size_t next = 0;
    if (s->choices.count == 0)
        return GML_OK;
    qsort(s->choices.items, s->choices.count, sizeof *s->choices.items, by_place);
    for (uint32_t n = 0; n < s->a.n_nodes; n++) {
        while (next < s->choices.count && s->choices.items[next].before == n)
            GML_TRY(run_again(s, &s->choices.items[next++], now, n_values));
        gml_node *node = s->a.nodes[n].node;
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k] && node->operands[k]->id < n_values &&
                now[node->operands[k]->id])
                node->operands[k] = now[node->operands[k]->id];
    }
    return GML_OK;
}

/* ---- what is said -------------------------------------------------------------------------
 */

static const char *name_of(const gml_node *node)
{
    return node->loc.node ? node->loc.node : "a node";
}

static void tell_choices(spender *s, gml_str *out)
{
    for (size_t i = 0; i < s->choices.count; i++) {
        const choice *c = &s->choices.items[i];
        const gml_node *last = s->a.nodes[c->again[c->n_again - 1]].node;
        gml_str_printf(out, "memory: computed again: %s (%s), %.1f MB", name_of(last),
                       last->op->name, (double)c->saved / 1e6);
        for (unsigned k = 0; k + 1 < c->n_again; k++)
            gml_str_printf(out, "%s%s", k ? ", " : ", with ",
                           name_of(s->a.nodes[c->again[k]].node));
        gml_str_puts(out, "\n");
    }
}

/* What waits for late readers where most is alive now. */
static void tell_kept(spender *s, gml_str *out)
{
    uint64_t bytes = 0;
    unsigned count = 0;
    find_readers(s);
    for (uint32_t n = 0; n < s->a.where; n++)
        for (uint32_t r = 0; r < s->a.nodes[n].node->n_results; r++) {
            uint32_t id = s->a.nodes[n].node->results[r].id;
            if (s->first_late[id] == 0 || s->a.back_before[id] != 0)
                continue;
            bytes += s->a.bytes[id];
            count++;
        }
    gml_str_printf(out, "memory: kept: %u values, %.1f MB\n", count, (double)bytes / 1e6);
}

static void tell(spender *s)
{
    gml_str *out = s->a.cx->report;
    double all = 0;
    if (!out)
        return;
    for (uint32_t n = 0; n < s->a.n_nodes; n++)
        if (can_repeat(s->a.nodes[n].node))
            all += work_of(s, n);
    tell_kept(s, out);
    tell_choices(s, out);
    const gml_node *node = s->a.nodes[s->a.where].node;
    gml_str_printf(out,
                   "memory: %.1f MB of values are alive at once, before %.1f; most at %s (%s); "
                   "%.2f %% more work\n",
                   (double)s->a.most / 1e6, (double)s->before / 1e6, name_of(node),
                   node->op->name, all > 0 ? s->paid / all * 100 : 0);
    if (s->a.most > s->a.cx->memory)
        gml_str_printf(out,
                       "memory: the budget of %.1f MB is not met: nothing else can be computed "
                       "again\n",
                       (double)s->a.cx->memory / 1e6);
}

gml_status gml_pass_budget(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    spender s = {.paid = 0};
    if (cx->memory == 0 || !graph->first)
        return GML_OK;
    if (!gml_alive_begin(&s.a, graph, cx)) {
        if (cx->report)
            gml_str_puts(cx->report, "memory: sizes are not known, or nodes have effects: "
                                     "nothing is computed again\n");
        return GML_OK;
    }
    uint32_t n_values = cx->module->n_values + 1;
    s.first_late = gml_new_array(cx->scratch, uint32_t, n_values);
    s.last_early = gml_new_array(cx->scratch, uint32_t, n_values);
    s.is_captured = gml_new_array(cx->scratch, bool, n_values);
    s.work = gml_new_array(cx->scratch, double, s.a.n_nodes + 1);
    s.before = s.a.most;
    for (uint32_t n = 0; n < s.a.n_nodes; n++)
        for (uint32_t i = 0; i < s.a.nodes[n].node->n_attrs; i++)
            if (s.a.nodes[n].node->attrs[i].kind == GML_ATTR_GRAPH)
                gml_mark_captured(s.a.nodes[n].node->attrs[i].as.graph, s.is_captured);
    choice c;
    while (s.a.most > cx->memory && s.choices.count < GML_MAX_CHOICES && find_choice(&s, &c)) {
        take(&s, &c);
        gml_alive_weigh(&s.a);
    }
    tell(&s);
    *out_changed = *out_changed || s.choices.count > 0;
    return run_all_again(&s);
}
