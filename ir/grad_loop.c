/* ir/grad_loop.c - gradients of Loop and Scan, and of If.
 *
 * Of what runs a region again and again the gradient is a Scan that takes the iterations in
 * reverse:
 *
 *     states   the gradient of each carried value, from that of the node's result back to that
 *              of the operand; for each value from around the body the sum of its gradients
 *     scanned  what the iterations began with, the slices that they read, the gradients of the
 *              slices that they gave, each read from the other end
 *     stacked  the gradients of the slices that they read, in the order of these
 *
 * Its body is a copy of the node's body, which computes again what the iteration computed,
 * followed by reverse mode over that copy. What an iteration began with (carried values, the
 * iteration's number, random numbers that it drew) is saved by results that are added to the
 * node, but only what the copy turns out to need. So a loop that ran n times, whatever ended
 * it, has n slices to be scanned, and one that never ran hands gradients through.
 *
 * The gradient of If is an If with the same condition, of whose branches each computes its
 * counterpart again, and from it the gradients of what either branch uses. */
#include "ir/grad_graph.h"
#include "ir/ops/build_util.h"
#include "ir/ops/region_util.h"

/* A state of the gradient. */
typedef struct state {
    gml_value *param;
    gml_value *initial; /* NULL: zeros of the carried value's result */
    gml_value *given;   /* the body's result */
    gml_value **out;    /* where the gradient is wanted */
    uint32_t carried;   /* number of the carried value */
} state;

/* A scanned tensor of the gradient. */
typedef struct slice {
    gml_value *param;
    gml_value *stack; /* NULL: `saved` is to be stacked */
    gml_value *saved; /* of the node's body */
    int64_t axis, backwards;
} slice;

/* A stacked result of the gradient. */
typedef struct stacked {
    gml_value *given;
    gml_value **out;
    int64_t axis, backwards;
} stacked;

typedef struct loop_grad {
    gml_grad *g;
    gml_node *node;
    gml_graph *body;
    gml_carries c;
    gml_reverse inner; /* what is active in the body */
    gml_graph *back;   /* the gradient's body */
    gml_value **captured;
    gml_value **sums; /* by captured value: its gradient */
    uint32_t n_captured;
    gml_vec(state) states;
    gml_vec(slice) slices;
    gml_vec(stacked) stacks;
} loop_grad;

static gml_build build_in(const gml_grad *g, gml_graph *graph)
{
    return (gml_build){graph, NULL, g->node->loc, g->b.diags, GML_OK};
}

static int64_t entry(const gml_node *node, const char *name, uint32_t k)
{
    size_t count = 0;
    const int64_t *values = gml_node_ints(node, name, &count);
    return k < count ? values[k] : 0;
}

/* ---- what is carried ----------------------------------------------------------------------
 */

static gml_value *body_param(const loop_grad *l, uint32_t carried)
{
    return l->body->params[l->c.first + carried];
}

static gml_value *body_result(const loop_grad *l, uint32_t k)
{
    return l->body->results[l->c.first_result + k];
}

/* A carried value that keeps its shape can be stacked. */
static bool keeps_shape(const gml_type *before, const gml_type *after)
{
    if (before->kind != GML_TYPE_TENSOR || before->rank < 0 || before->rank >= GML_MAX_RANK ||
        after->kind != GML_TYPE_TENSOR || before->rank != after->rank)
        return false;
    for (int d = 0; d < before->rank; d++)
        if (before->dims[d] != after->dims[d])
            return false;
    return true;
}

static gml_status check_carried(const loop_grad *l, uint32_t k)
{
    const gml_type *type = &body_param(l, k)->type;
    if (type->kind == GML_TYPE_SEQUENCE || keeps_shape(type, &body_result(l, k)->type))
        return GML_OK;
    return gml_fail(l->g->b.diags, GML_E_UNSUPPORTED, l->node->loc,
                    "the gradient needs carried value %u to be a tensor that keeps its shape",
                    k);
}

static gml_status add_states(loop_grad *l)
{
    for (uint32_t k = 0; k < l->c.count; k++) {
        if (!gml_reverse_wants(&l->inner, body_param(l, k)) &&
            !gml_reverse_wants(&l->inner, body_result(l, k)))
            continue;
        GML_TRY(check_carried(l, k));
        state s = {.param = gml_graph_add_param(l->back, NULL, body_param(l, k)->type),
                   .initial = l->g->results[k],
                   .out = &l->g->operands[l->c.first + k],
                   .carried = k};
        gml_push(l->g->scratch, &l->states, s);
    }
    for (uint32_t i = 0; i < l->n_captured; i++) {
        gml_value *value = l->captured[i];
        if (value->type.kind == GML_TYPE_TENSOR && value->type.rank < 0)
            return gml_fail(l->g->b.diags, GML_E_UNSUPPORTED, l->node->loc,
                            "the gradient needs the rank of what the body uses");
        state s = {.param = gml_graph_add_param(l->back, NULL, value->type),
                   .initial = gml_grad_zeros_like(&l->g->b, value),
                   .out = &l->sums[i]};
        gml_push(l->g->scratch, &l->states, s);
    }
    return l->g->b.status;
}

/* ---- the body -----------------------------------------------------------------------------
 */

static gml_value *add_slice(loop_grad *l, slice s, const gml_type *type)
{
    s.param = gml_graph_add_param(l->back, NULL, *type);
    gml_push(l->g->scratch, &l->slices, s);
    return s.param;
}

/* `value` of the node's body, as it was in the iteration. */
static gml_value *add_saved(loop_grad *l, gml_value *value)
{
    return add_slice(l, (slice){.saved = value, .backwards = 1}, &value->type);
}

/* What the copy of the body is given. */
static gml_value **make_arguments(loop_grad *l, gml_build *b)
{
    uint32_t n_params = l->body->n_params;
    uint32_t first_scanned = l->c.first + l->c.count;
    gml_value **arguments = gml_new_array(l->g->scratch, gml_value *, n_params + 1);
    if (l->c.first > 0)
        arguments[0] = add_saved(l, l->body->params[0]);
    for (uint32_t k = first_scanned; k < n_params; k++) {
        uint32_t i = k - first_scanned;
        slice s = {.stack = l->node->operands[k],
                   .axis = entry(l->node, "scan_input_axes", i),
                   .backwards = !entry(l->node, "scan_input_directions", i)};
        arguments[k] = add_slice(l, s, &l->body->params[k]->type);
    }
    if (l->c.first > 1) /* an iteration that ran had a condition that held */
        arguments[1] = gml_build_scalar(b, GML_BOOL, 1);
    for (uint32_t k = l->c.first; k < first_scanned; k++)
        arguments[k] = add_saved(l, l->body->params[k]);
    return arguments;
}

static bool has_region(const gml_node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            return true;
    return false;
}

/* Random numbers are those that the iteration drew. `copy` are the copies of the body's nodes.
 */
static void save_random(loop_grad *l, gml_node *copy)
{
    gml_for_each_node(node, l->body) {
        if ((node->op->traits & GML_EFFECT) && !has_region(node))
            for (uint32_t r = 0; r < node->n_results; r++)
                gml_value_replace(&copy->results[r], add_saved(l, &node->results[r]));
        copy = copy->next;
    }
}

/* The seeds by result of the body; NULL is zero. */
static gml_value **make_seeds(loop_grad *l)
{
    gml_value **seeds = gml_new_array(l->g->scratch, gml_value *, l->body->n_results + 1);
    for (size_t i = 0; i < l->states.count; i++) {
        const state *s = &l->states.items[i];
        if (i < l->states.count - l->n_captured &&
            gml_reverse_wants(&l->inner, body_result(l, s->carried)))
            seeds[l->c.first_result + s->carried] = s->param;
    }
    for (uint32_t k = l->c.count; k < l->node->n_results; k++) {
        uint32_t i = k - l->c.count;
        slice s = {.stack = l->g->results[k],
                   .axis = entry(l->node, "scan_output_axes", i),
                   .backwards = !entry(l->node, "scan_output_directions", i)};
        if (s.stack && gml_reverse_wants(&l->inner, body_result(l, k)))
            seeds[l->c.first_result + k] = add_slice(l, s, &body_result(l, k)->type);
    }
    return seeds;
}

/* Reverse mode over the copy: gradients by parameter of the body, then by captured value. */
static gml_status differentiate_copy(loop_grad *l, gml_value **arguments, gml_value **results,
                                     gml_value **out_gradients)
{
    gml_arena *scratch = l->g->scratch;
    gml_value **seeds = make_seeds(l);
    uint32_t n_params = l->body->n_params;
    gml_value **xs = gml_new_array(scratch, gml_value *, n_params + l->n_captured + 1);
    gml_value **ys = gml_new_array(scratch, gml_value *, l->body->n_results + 1);
    gml_value **gradients = gml_new_array(scratch, gml_value *, n_params + l->n_captured + 1);
    uint32_t *places = gml_new_array(scratch, uint32_t, n_params + l->n_captured + 1);
    gml_reverse r = {.graph = l->back, .scratch = scratch, .diags = l->g->b.diags};
    for (uint32_t k = 0; k < n_params; k++)
        if (gml_reverse_wants(&l->inner, l->body->params[k])) {
            places[r.n_xs] = k;
            xs[r.n_xs++] = arguments[k];
        }
    for (uint32_t i = 0; i < l->n_captured; i++) {
        places[r.n_xs] = n_params + i;
        xs[r.n_xs++] = l->captured[i];
    }
    for (uint32_t k = 0; k < l->body->n_results; k++)
        if (seeds[k]) {
            seeds[r.n_ys] = seeds[k];
            ys[r.n_ys++] = results[k];
        }
    r.xs = xs;
    r.ys = ys;
    gml_reverse_analyse(&r);
    GML_TRY(gml_reverse_run(&r, seeds, gradients));
    for (uint32_t i = 0; i < r.n_xs; i++)
        out_gradients[places[i]] = gradients[i];
    return GML_OK;
}

/* The body's results: states, then what is stacked. */
static void add_results(loop_grad *l, gml_build *b, gml_value **gradients)
{
    uint32_t n_params = l->body->n_params;
    size_t n_carried = l->states.count - l->n_captured;
    for (size_t i = 0; i < l->states.count; i++) {
        state *s = &l->states.items[i];
        gml_value *gradient =
            gradients[i < n_carried ? l->c.first + s->carried : n_params + (i - n_carried)];
        if (i < n_carried)
            s->given = gradient ? gradient : gml_grad_zeros_like(b, s->param);
        else
            s->given = gradient ? gml_grad_add(b, s->param, gradient) : s->param;
        gml_graph_add_result(l->back, s->given, NULL);
    }
    for (uint32_t k = l->c.first + l->c.count; k < n_params; k++) {
        uint32_t i = k - l->c.first - l->c.count;
        if (!gradients[k])
            continue;
        stacked s = {.given = gradients[k],
                     .out = &l->g->operands[k],
                     .axis = entry(l->node, "scan_input_axes", i),
                     .backwards = !entry(l->node, "scan_input_directions", i)};
        gml_push(l->g->scratch, &l->stacks, s);
        gml_graph_add_result(l->back, s.given, NULL);
    }
}

static gml_status fill_body(loop_grad *l)
{
    gml_build b = build_in(l->g, l->back);
    GML_TRY(add_states(l));
    gml_value **arguments = make_arguments(l, &b);
    gml_value **results = gml_new_array(l->g->scratch, gml_value *, l->body->n_results + 1);
    gml_value **gradients =
        gml_new_array(l->g->scratch, gml_value *, l->body->n_params + l->n_captured + 1);
    gml_node *before = l->back->last;
    gml_build_region(&b, l->body, arguments, results);
    GML_TRY(b.status);
    save_random(l, before ? before->next : l->back->first);
    GML_TRY(differentiate_copy(l, arguments, results, gradients));
    add_results(l, &b, gradients);
    return b.status;
}

/* ---- what is not needed -------------------------------------------------------------------
 */

static gml_status refuse_random(const gml_grad *g, const gml_graph *graph)
{
    for (const gml_node *node = graph->first; node; node = node->next) {
        bool draws = node->op->traits & GML_EFFECT;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH) {
                draws = false;
                GML_TRY(refuse_random(g, node->attrs[i].as.graph));
            }
        if (draws)
            return gml_fail(g->b.diags, GML_E_UNSUPPORTED, node->loc,
                            "the gradient needs the random numbers that were drawn in a branch "
                            "or in a nested loop");
    }
    return GML_OK;
}

/* Removes what `graph` computes for nobody; what stays draws no random numbers. */
static gml_status prune(const gml_grad *g, gml_graph *graph, uint32_t **out_uses)
{
    uint32_t *uses = gml_graph_count_uses(graph, g->scratch);
    for (gml_node *node = graph->last; node;) {
        gml_node *prev = node->prev;
        uint32_t n_uses = 0;
        for (uint32_t r = 0; r < node->n_results; r++)
            n_uses += uses[node->results[r].id];
        if (n_uses == 0) {
            for (uint32_t k = 0; k < node->n_operands; k++)
                if (node->operands[k])
                    uses[node->operands[k]->id]--;
            gml_node_remove(node);
            if (has_region(node))
                uses = gml_graph_count_uses(graph, g->scratch);
        }
        node = prev;
    }
    *out_uses = uses;
    return refuse_random(g, graph);
}

/* Drops slices that nobody reads, but one that says how many iterations there were. */
static void drop_slices(loop_grad *l, const uint32_t *uses)
{
    uint32_t n_params = (uint32_t)l->states.count;
    size_t n = 0;
    for (size_t i = 0; i < l->slices.count; i++) {
        slice s = l->slices.items[i];
        if (uses[s.param->id] == 0 && (n > 0 || i + 1 < l->slices.count))
            continue;
        s.param->index = n_params;
        l->back->params[n_params++] = s.param;
        l->slices.items[n++] = s;
    }
    l->slices.count = n;
    l->back->n_params = n_params;
}

/* ---- both nodes ---------------------------------------------------------------------------
 */

/* `count` entries more, which are 0, where the node has a list of that name. */
static void grow_list(gml_node *node, const gml_node *old, const char *name, size_t more)
{
    size_t count = 0;
    const int64_t *values = gml_node_ints(old, name, &count);
    if (!values)
        return;
    int64_t *grown = gml_new_array(&node->graph->module->arena, int64_t, count + more);
    for (size_t i = 0; i < count; i++)
        grown[i] = values[i];
    gml_node_set_ints(node, name, grown, count + more);
}

/* Puts a node in the place of the old one that stacks what the gradient needs besides. */
static gml_status save_slices(loop_grad *l)
{
    gml_node *old = l->node;
    uint32_t n = old->n_results;
    for (size_t i = 0; i < l->slices.count; i++) {
        slice *s = &l->slices.items[i];
        if (s->stack)
            continue;
        const gml_type *type = &s->saved->type;
        if (!s->saved->def && s->saved->index >= l->c.first)
            GML_TRY(check_carried(l, s->saved->index - l->c.first));
        if (type->kind != GML_TYPE_TENSOR || type->rank < 0 || type->rank >= GML_MAX_RANK)
            return gml_fail(l->g->b.diags, GML_E_UNSUPPORTED, old->loc,
                            "the gradient needs a value of the body that cannot be stacked");
        gml_graph_add_result(l->body, s->saved, NULL);
        n++;
    }
    if (n == old->n_results)
        return GML_OK;
    gml_node *node =
        gml_node_create(old->graph, old, old->op, old->operands, old->n_operands, n, old->loc);
    for (uint32_t i = 0; i < old->n_attrs; i++)
        gml_node_set_attr(node, &old->attrs[i]);
    grow_list(node, old, "scan_output_axes", n - old->n_results);
    grow_list(node, old, "scan_output_directions", n - old->n_results);
    l->body->owner = node;
    for (uint32_t r = 0; r < old->n_results; r++)
        node->results[r].name = old->results[r].name;
    GML_TRY(gml_node_infer(node, l->g->b.diags));
    for (uint32_t r = 0; r < old->n_results; r++) {
        /* users' types speak of the sizes that these have, under the old names */
        node->results[r].type = old->results[r].type;
        gml_value_replace(&old->results[r], &node->results[r]);
    }
    uint32_t next = old->n_results;
    for (size_t i = 0; i < l->slices.count; i++)
        if (!l->slices.items[i].stack)
            l->slices.items[i].stack = &node->results[next++];
    gml_node_remove(old);
    l->node = node;
    return GML_OK;
}

static void set_lists(gml_node *node, const loop_grad *l)
{
    gml_arena *arena = &node->graph->module->arena;
    size_t n_in = l->slices.count;
    size_t n_out = l->stacks.count;
    int64_t *lists[4];
    for (int i = 0; i < 4; i++)
        lists[i] = gml_new_array(arena, int64_t, (i < 2 ? n_in : n_out) + 1);
    for (size_t i = 0; i < n_in; i++) {
        lists[0][i] = l->slices.items[i].axis;
        lists[1][i] = l->slices.items[i].backwards;
    }
    for (size_t i = 0; i < n_out; i++) {
        lists[2][i] = l->stacks.items[i].axis;
        lists[3][i] = l->stacks.items[i].backwards;
    }
    gml_node_set_int(node, "num_scan_inputs", (int64_t)n_in);
    gml_node_set_ints(node, "scan_input_axes", lists[0], n_in);
    gml_node_set_ints(node, "scan_input_directions", lists[1], n_in);
    if (n_out > 0) {
        gml_node_set_ints(node, "scan_output_axes", lists[2], n_out);
        gml_node_set_ints(node, "scan_output_directions", lists[3], n_out);
    }
}

static gml_status build_scan(loop_grad *l)
{
    gml_build *b = &l->g->b;
    size_t n_states = l->states.count;
    size_t n_operands = n_states + l->slices.count;
    gml_value **operands = gml_new_array(l->g->scratch, gml_value *, n_operands + 1);
    for (size_t i = 0; i < n_states; i++) {
        const state *s = &l->states.items[i];
        operands[i] =
            s->initial ? s->initial : gml_grad_zeros_like(b, &l->node->results[s->carried]);
    }
    for (size_t i = 0; i < l->slices.count; i++)
        operands[n_states + i] = l->slices.items[i].stack;
    GML_TRY(b->status);
    gml_node *node =
        gml_node_create(b->graph, b->before, &gml_op_scan, operands, (uint32_t)n_operands,
                        (uint32_t)(n_states + l->stacks.count), b->loc);
    l->back->owner = node;
    gml_node_set_region(node, "body", l->back);
    set_lists(node, l);
    GML_TRY(gml_node_infer(node, b->diags));
    for (size_t i = 0; i < n_states; i++)
        *l->states.items[i].out = &node->results[i];
    for (size_t i = 0; i < l->stacks.count; i++)
        *l->stacks.items[i].out = &node->results[n_states + i];
    return GML_OK;
}

gml_status gml_grad_loop(gml_grad *g)
{
    loop_grad l = {.g = g,
                   .node = g->node,
                   .body = gml_node_region(g->node, "body"),
                   .c = g->node->op->carries(g->node)};
    uint32_t *uses;
    l.inner = gml_reverse_region(g->reverse, g->node, l.body);
    l.captured = gml_reverse_captured(g->reverse, g->node, &l.n_captured);
    l.sums = gml_new_array(g->scratch, gml_value *, l.n_captured + 1);
    l.back = gml_graph_create(g->node->graph->module, "body", g->node);
    GML_TRY(fill_body(&l));
    GML_TRY(prune(g, l.back, &uses));
    drop_slices(&l, uses);
    if (l.states.count + l.stacks.count == 0)
        return GML_OK;
    GML_TRY(save_slices(&l));
    GML_TRY(build_scan(&l));
    g->captured = l.captured;
    g->captured_gradients = l.sums;
    g->n_captured = l.n_captured;
    return GML_OK;
}

/* ---- If -----------------------------------------------------------------------------------
 */

static gml_status fill_branch(gml_grad *g, gml_graph *branch, gml_graph *back,
                              gml_value **captured, uint32_t n_captured)
{
    gml_build b = build_in(g, back);
    gml_reverse inner = gml_reverse_region(g->reverse, g->node, branch);
    gml_value **results = gml_new_array(g->scratch, gml_value *, branch->n_results + 1);
    gml_value **seeds = gml_new_array(g->scratch, gml_value *, branch->n_results + 1);
    gml_value **gradients = gml_new_array(g->scratch, gml_value *, n_captured + 1);
    gml_build_region(&b, branch, NULL, results);
    uint32_t n_ys = 0;
    for (uint32_t k = 0; k < branch->n_results; k++) {
        if (!g->results[k] || !gml_reverse_wants(&inner, branch->results[k]))
            continue;
        seeds[n_ys] = g->results[k];
        results[n_ys++] = results[k];
    }
    GML_TRY(b.status);
    gml_reverse r = {.graph = back,
                     .scratch = g->scratch,
                     .diags = g->b.diags,
                     .xs = captured,
                     .n_xs = n_captured,
                     .ys = results,
                     .n_ys = n_ys};
    gml_reverse_analyse(&r);
    GML_TRY(gml_reverse_run(&r, seeds, gradients));
    for (uint32_t i = 0; i < n_captured; i++)
        gml_graph_add_result(
            back, gradients[i] ? gradients[i] : gml_grad_zeros_like(&b, captured[i]), NULL);
    uint32_t *uses;
    GML_TRY(b.status);
    return prune(g, back, &uses);
}

gml_status gml_grad_branches(gml_grad *g)
{
    static const char *const names[2] = {"then_branch", "else_branch"};
    uint32_t n_captured;
    gml_value **captured = gml_reverse_captured(g->reverse, g->node, &n_captured);
    gml_value **gradients = gml_new_array(g->scratch, gml_value *, n_captured + 1);
    gml_graph *branches[2];
    for (int i = 0; i < 2; i++) {
        branches[i] = gml_graph_create(g->node->graph->module, names[i], g->node);
        GML_TRY(fill_branch(g, gml_node_region(g->node, names[i]), branches[i], captured,
                            n_captured));
    }
    if (n_captured == 0)
        return GML_OK;
    gml_node *node = gml_node_create(g->b.graph, g->b.before, g->node->op, g->node->operands, 1,
                                     n_captured, g->b.loc);
    for (int i = 0; i < 2; i++) {
        branches[i]->owner = node;
        gml_node_set_region(node, names[i], branches[i]);
    }
    GML_TRY(gml_node_infer(node, g->b.diags));
    for (uint32_t i = 0; i < n_captured; i++)
        gradients[i] = &node->results[i];
    g->captured = captured;
    g->captured_gradients = gradients;
    g->n_captured = n_captured;
    return GML_OK;
}
