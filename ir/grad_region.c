/* ir/grad_region.c - gradients of If and SequenceMap.
 *
 * That of If is an If with the same condition, of whose branches each computes its counterpart
 * again, and from it the gradients of what either branch uses. That of SequenceMap is a
 * SequenceMap over the items and the gradients of what was made of them; what all items use
 * gets the sum. */
#include "ir/grad_region.h"

#include "ir/ops/build_util.h"
#include "ir/ops/region_util.h"

gml_build gml_grad_region_build(const gml_grad *g, gml_graph *graph)
{
    return (gml_build){graph, NULL, g->node->loc, g->b.diags, GML_OK};
}

bool gml_node_has_region(const gml_node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            return true;
    return false;
}

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

gml_status gml_grad_region_prune(const gml_grad *g, gml_graph *graph, uint32_t **out_uses)
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
            if (gml_node_has_region(node))
                uses = gml_graph_count_uses(graph, g->scratch);
        }
        node = prev;
    }
    *out_uses = uses;
    return refuse_random(g, graph);
}

/* ---- If -----------------------------------------------------------------------------------
 */

static gml_status fill_branch(gml_grad *g, gml_graph *branch, gml_graph *back,
                              gml_value **captured, uint32_t n_captured)
{
    gml_build b = gml_grad_region_build(g, back);
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
    return gml_grad_region_prune(g, back, &uses);
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

/* ---- SequenceMap --------------------------------------------------------------------------
 */

/* What the gradients are taken by: parameters of the body that want them, then what the body
 * uses from around it. */
typedef struct mapping {
    gml_grad *g;
    gml_graph *body, *back;
    gml_value **xs;   /* in the gradient's body; there is one result for each */
    uint32_t *places; /* which operand, or which captured value behind them */
    uint32_t n_xs;
    gml_value **captured;
    uint32_t n_captured;
    gml_vec(gml_value *) operands; /* of the gradient */
} mapping;

static gml_value *add_operand(mapping *m, gml_value *value, const gml_type *type)
{
    gml_push(m->g->scratch, &m->operands, value);
    return gml_graph_add_param(m->back, NULL, *type);
}

/* What the copy of the body is given; what the gradients are taken by. */
static gml_value **add_arguments(mapping *m, const gml_reverse *inner)
{
    uint32_t n_params = m->body->n_params;
    gml_value **arguments = gml_new_array(m->g->scratch, gml_value *, n_params + 1);
    for (uint32_t k = 0; k < n_params; k++) {
        gml_value *param = m->body->params[k];
        arguments[k] = add_operand(m, m->g->node->operands[k], &param->type);
        if (!gml_reverse_wants(inner, param))
            continue;
        m->places[m->n_xs] = k;
        m->xs[m->n_xs++] = arguments[k];
    }
    for (uint32_t i = 0; i < m->n_captured; i++) {
        m->places[m->n_xs] = n_params + i;
        m->xs[m->n_xs++] = m->captured[i];
    }
    return arguments;
}

/* Reverse mode over the copy; its gradients become the results. */
static gml_status differentiate_items(mapping *m, gml_build *b, gml_reverse *r,
                                      gml_value *const *seeds)
{
    gml_value **gradients = gml_new_array(m->g->scratch, gml_value *, m->n_xs + 1);
    r->graph = m->back;
    r->scratch = m->g->scratch;
    r->diags = b->diags;
    r->xs = m->xs;
    r->n_xs = m->n_xs;
    gml_reverse_analyse(r);
    GML_TRY(gml_reverse_run(r, seeds, gradients));
    for (uint32_t i = 0; i < m->n_xs; i++)
        gml_graph_add_result(
            m->back, gradients[i] ? gradients[i] : gml_grad_zeros_like(b, m->xs[i]), NULL);
    return b->status;
}

static gml_status fill_map(mapping *m)
{
    gml_grad *g = m->g;
    gml_build b = gml_grad_region_build(g, m->back);
    gml_reverse inner = gml_reverse_region(g->reverse, g->node, m->body);
    gml_value **results = gml_new_array(g->scratch, gml_value *, m->body->n_results + 1);
    gml_value **seeds = gml_new_array(g->scratch, gml_value *, m->body->n_results + 1);
    gml_reverse r = {.ys = results};
    gml_build_region(&b, m->body, add_arguments(m, &inner), results);
    for (uint32_t k = 0; k < m->body->n_results; k++) {
        gml_value *y = m->body->results[k];
        if (!g->results[k] || !gml_reverse_wants(&inner, y))
            continue;
        seeds[r.n_ys] = add_operand(m, g->results[k], &y->type);
        results[r.n_ys++] = results[k];
    }
    GML_TRY(b.status);
    GML_TRY(differentiate_items(m, &b, &r, seeds));
    uint32_t *uses;
    return gml_grad_region_prune(g, m->back, &uses);
}

/* The sum of the items, which have the type of `value`; of none, zeros. */
static gml_value *sum_items(gml_build *b, gml_value *items, gml_value *value)
{
    int64_t first = 0;
    gml_value *operands[2] = {items, gml_grad_zeros_like(b, value)};
    gml_attr given[2] = {gml_attr_int("axis", 0), gml_attr_int("new_axis", 1)};
    gml_value *all = gml_build_op(b, &gml_op_sequenceinsert, operands, 2, NULL, 0);
    all = gml_build_op(b, &gml_op_concatfromsequence, &all, 1, given, 2);
    return gml_build_reduce(b, &gml_op_reducesum, all, &first, 1, false);
}

gml_status gml_grad_map_items(gml_grad *g)
{
    gml_node *from = g->node;
    mapping m = {.g = g, .body = gml_node_region(from, "body")};
    m.back = gml_graph_create(from->graph->module, "body", from);
    m.captured = gml_reverse_captured(g->reverse, from, &m.n_captured);
    m.xs = gml_new_array(g->scratch, gml_value *, from->n_operands + m.n_captured + 1);
    m.places = gml_new_array(g->scratch, uint32_t, from->n_operands + m.n_captured + 1);
    gml_value **sums = gml_new_array(g->scratch, gml_value *, m.n_captured + 1);
    GML_TRY(fill_map(&m));
    if (m.n_xs == 0)
        return GML_OK;
    gml_node *node = gml_node_create(g->b.graph, g->b.before, from->op, m.operands.items,
                                     (uint32_t)m.operands.count, m.n_xs, g->b.loc);
    m.back->owner = node;
    gml_node_set_region(node, "body", m.back);
    GML_TRY(gml_node_infer(node, g->b.diags));
    for (uint32_t i = 0; i < m.n_xs; i++) {
        uint32_t k = m.places[i];
        gml_value *gradient = &node->results[i];
        if (k >= from->n_operands)
            sums[k - from->n_operands] =
                sum_items(&g->b, gradient, m.captured[k - from->n_operands]);
        else if (from->operands[k]->type.kind == GML_TYPE_SEQUENCE)
            g->operands[k] = gradient;
        else
            g->operands[k] = sum_items(&g->b, gradient, from->operands[k]);
    }
    g->captured = m.captured;
    g->captured_gradients = sums;
    g->n_captured = m.n_captured;
    return g->b.status;
}
