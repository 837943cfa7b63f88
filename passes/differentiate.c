/* passes/differentiate.c - replaces Gradient by the nodes that compute it: reverse mode.
 *
 * ir/grad_graph.h says which nodes are active and walks them. Before, active composites without
 * a gradient of their own are expanded, in regions too, and all active nodes that have no
 * gradient are reported together.
 *
 * What `zs` names counts as given, also where it is made from `xs`: nothing is differentiated
 * through it.
 *
 * Derivatives at other values than those named are taken of a copy of the active nodes. A
 * Gradient may be differentiated again by one after it: the first has become ordinary nodes by
 * then. */
#include "ir/grad_graph.h"
#include "ir/ops/build_util.h"
#include "ir/ops/region_util.h"
#include "passes/expand.h"
#include "passes/pass.h"

typedef struct differentiator {
    gml_pass_cx *cx;
    gml_node *node; /* the Gradient */
    uint32_t n_named;
    gml_value **xs; /* those that are named */
    gml_value *y;
    gml_reverse reverse;
} differentiator;

static gml_value *named(const differentiator *d, uint32_t i)
{
    return d->node->operands[d->n_named + i];
}

static gml_value *differentiated(const differentiator *d)
{
    return d->node->operands[2 * (size_t)d->n_named];
}

static void find_active(differentiator *d)
{
    d->xs = gml_new_array(d->cx->scratch, gml_value *, d->n_named + 1);
    for (uint32_t i = 0; i < d->n_named; i++)
        d->xs[i] = named(d, i);
    d->y = differentiated(d);
    uint32_t n_xs = (uint32_t)gml_node_find_attr(d->node, "xs")->count;
    d->reverse = (gml_reverse){.graph = d->node->graph,
                               .end = d->node,
                               .scratch = d->cx->scratch,
                               .diags = d->cx->diags,
                               .xs = d->xs,
                               .n_xs = n_xs,
                               .zs = d->xs + n_xs,
                               .n_zs = d->n_named - n_xs,
                               .ys = &d->y,
                               .n_ys = 1};
    gml_reverse_analyse(&d->reverse);
}

/* ---- what has no gradient -----------------------------------------------------------------
 */

/* The last node of `graph` that is active, a composite, and has no gradient of its own; looked
 * for in regions too. */
static gml_node *find_composite(const gml_reverse *r)
{
    for (gml_node *node = r->end ? r->end->prev : r->graph->last; node; node = node->prev) {
        if (!gml_reverse_is_active(r, node))
            continue;
        if (!gml_op_has_grad(node->op) && node->op->expand)
            return node;
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (node->attrs[i].kind != GML_ATTR_GRAPH || !gml_op_has_grad(node->op))
                continue;
            gml_reverse inner = gml_reverse_region(r, node, node->attrs[i].as.graph);
            gml_node *found = find_composite(&inner);
            if (found)
                return found;
        }
    }
    return NULL;
}

/* Expands active composites that have no gradient of their own. */
static gml_status expand_active(differentiator *d)
{
    gml_node *node;
    while ((node = find_composite(&d->reverse)) != NULL) {
        GML_TRY(gml_expand_node(node, d->cx));
        find_active(d);
    }
    return GML_OK;
}

static gml_status check_gradients(const differentiator *d, const gml_reverse *r)
{
    gml_status status = GML_OK;
    for (gml_node *node = r->graph->first; node != r->end; node = node->next) {
        if (!gml_reverse_is_active(r, node))
            continue;
        if (!gml_op_has_grad(node->op)) {
            status = gml_fail(d->cx->diags, GML_E_UNSUPPORTED, node->loc,
                              "%s has no gradient, and '%s' depends on it", node->op->name,
                              gml_node_string(d->node, "y").data);
            continue;
        }
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (node->attrs[i].kind != GML_ATTR_GRAPH)
                continue;
            gml_reverse inner = gml_reverse_region(r, node, node->attrs[i].as.graph);
            gml_status inside = check_gradients(d, &inner);
            status = status == GML_OK ? inside : status;
        }
    }
    return status;
}

/* ---- other values -------------------------------------------------------------------------
 */

/* A copy of `node`, in front of the Gradient, whose operands are the copies where there are
 * any. What is named stays what is given for it. */
static gml_status copy_node(differentiator *d, const gml_node *node, gml_value **copies)
{
    gml_build b = {node->graph, d->node, node->loc, d->cx->diags, GML_OK};
    gml_value **given = gml_new_array(d->cx->scratch, gml_value *, node->n_results + 1);
    for (uint32_t r = 0; r < node->n_results; r++)
        given[r] = copies[node->results[r].id];
    GML_TRY(gml_build_copy(&b, node, copies, d->reverse.n_values));
    for (uint32_t r = 0; r < node->n_results; r++)
        if (given[r])
            copies[node->results[r].id] = given[r];
    return GML_OK;
}

/* Replaces what is differentiated by a copy that is computed from the values given. */
static gml_status move_to_values(differentiator *d)
{
    bool same = true;
    for (uint32_t i = 0; i < d->n_named; i++)
        same = same && d->node->operands[i] == named(d, i);
    if (same)
        return GML_OK;
    gml_value **copies = gml_new_array(d->cx->scratch, gml_value *, d->reverse.n_values + 1);
    for (uint32_t i = 0; i < d->n_named; i++)
        copies[named(d, i)->id] = d->node->operands[i];
    for (gml_node *node = d->node->graph->first; node != d->node; node = node->next)
        if (gml_reverse_is_active(&d->reverse, node))
            GML_TRY(copy_node(d, node, copies));
    uint32_t n = d->node->n_operands;
    gml_value *y = copies[differentiated(d)->id];
    gml_value **operands = gml_new_array(d->cx->scratch, gml_value *, n);
    for (uint32_t k = 0; k + 1 < n; k++)
        operands[k] = d->node->operands[k % d->n_named];
    operands[n - 1] = y ? y : differentiated(d);
    gml_node_set_operands(d->node, operands, n);
    find_active(d);
    return GML_OK;
}

/* ---- the whole ----------------------------------------------------------------------------
 */

/* 1 for every element of y. */
static gml_value *first_gradient(gml_build *b, gml_value *y)
{
    gml_value *one = gml_build_scalar(b, y->type.dtype, 1);
    return y->type.rank == 0 ? one : gml_grad_expand_like(b, one, y);
}

static gml_status differentiate(gml_node *node, gml_pass_cx *cx)
{
    differentiator d = {.cx = cx, .node = node, .n_named = node->n_operands / 2};
    find_active(&d);
    GML_TRY(expand_active(&d));
    GML_TRY(move_to_values(&d));
    GML_TRY(check_gradients(&d, &d.reverse));
    gml_build b = {node->graph, node, node->loc, cx->diags, GML_OK};
    if (d.y->type.rank < 0)
        return gml_fail(cx->diags, GML_E_UNSUPPORTED, node->loc,
                        "the rank of '%s' is not known when compiling",
                        gml_node_string(node, "y").data);
    gml_value *first = first_gradient(&b, d.y);
    gml_value **gradients = gml_new_array(cx->scratch, gml_value *, d.n_named + 1);
    GML_TRY(b.status);
    GML_TRY(gml_reverse_run(&d.reverse, &first, gradients));
    for (uint32_t r = 0; r < node->n_results; r++) {
        gml_value *x = named(&d, r);
        gml_value *gradient = gradients[r];
        if (!gradient)
            gradient = gml_build_zeros(&b, x->type.dtype, x->type.dims, (size_t)x->type.rank);
        if (!gradient->name && gradient->def && gradient->def->graph == node->graph)
            gradient->name = node->results[r].name;
        gml_value_replace(&node->results[r], gradient);
    }
    gml_node_retire(node);
    return b.status;
}

static gml_status differentiate_graph(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                GML_TRY(differentiate_graph(node->attrs[i].as.graph, cx, out_changed));
        if (!(node->op->traits & GML_DIFFERENTIATES))
            continue;
        GML_TRY(differentiate(node, cx));
        *out_changed = true;
    }
    return GML_OK;
}

gml_status gml_pass_differentiate(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    return differentiate_graph(graph, cx, out_changed);
}
