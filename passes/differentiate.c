/* passes/differentiate.c - replaces Gradient by the nodes that compute it: reverse mode.
 *
 * A node is active when it depends on what is differentiated by and the differentiated value
 * depends on it. Active nodes are walked backwards; each turns the gradients of its results
 * into those of its operands (ir/grad.h), which add up where a value has several users.
 * Composites without a gradient of their own are expanded first. All active nodes that have no
 * gradient are reported together.
 *
 * What `zs` names counts as given, also where it is made from `xs`: nothing is differentiated
 * through it.
 *
 * Derivatives at other values than those named are taken of a copy of the active nodes. A
 * Gradient may be differentiated again by one after it: the first has become ordinary nodes by
 * then. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "passes/expand.h"
#include "passes/pass.h"

typedef struct differentiator {
    gml_pass_cx *cx;
    gml_node *node; /* the Gradient */
    uint32_t n_named;
    gml_vec(gml_value *) gradients; /* by value id: so far */
    bool *depends;                  /* by value id: on what is differentiated by */
    bool *needed;                   /* by value id: the differentiated value depends on it */
    uint32_t n_values;              /* that the two know */
} differentiator;

static gml_value *named(const differentiator *d, uint32_t i)
{
    return d->node->operands[d->n_named + i];
}

static gml_value *differentiated(const differentiator *d)
{
    return d->node->operands[2 * (size_t)d->n_named];
}

static bool is_active_value(const differentiator *d, const gml_value *value)
{
    return value->id < d->n_values && d->depends[value->id] && d->needed[value->id];
}

static bool is_float_tensor(const gml_value *value)
{
    return value->type.kind == GML_TYPE_TENSOR &&
           gml_dtype_get_class(value->type.dtype) == GML_CLASS_FLOAT;
}

/* ---- what is active -----------------------------------------------------------------------
 */

/* Whether `node`, or a region of it, uses a value that `depends`. */
static bool uses_any(const gml_node *node, const bool *depends, uint32_t n)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && node->operands[k]->id < n && depends[node->operands[k]->id])
            return true;
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        const gml_graph *region = node->attrs[i].as.graph;
        for (const gml_node *inside = region->first; inside; inside = inside->next)
            if (uses_any(inside, depends, n))
                return true;
        for (uint32_t r = 0; r < region->n_results; r++)
            if (region->results[r]->id < n && depends[region->results[r]->id])
                return true;
    }
    return false;
}

/* Making a value that is differentiated by is not active by that alone. */
static bool is_active(const differentiator *d, const gml_node *node)
{
    bool leads = false;
    for (uint32_t r = 0; r < node->n_results; r++)
        leads |= is_active_value(d, &node->results[r]);
    return leads && uses_any(node, d->depends, d->n_values);
}

/* Marks every value that `node` and its regions use. */
static void mark_used(const gml_node *node, bool *needed)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k])
            needed[node->operands[k]->id] = true;
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        const gml_graph *region = node->attrs[i].as.graph;
        for (const gml_node *inside = region->first; inside; inside = inside->next)
            mark_used(inside, needed);
        for (uint32_t r = 0; r < region->n_results; r++)
            needed[region->results[r]->id] = true;
    }
}

static void find_active(differentiator *d)
{
    uint32_t n = d->cx->module->n_values;
    d->n_values = n;
    d->depends = gml_new_array(d->cx->scratch, bool, n + 1);
    d->needed = gml_new_array(d->cx->scratch, bool, n + 1);
    bool *given = gml_new_array(d->cx->scratch, bool, n + 1);
    for (uint32_t i = 0; i < d->n_named; i++) {
        bool is_x = i < gml_node_find_attr(d->node, "xs")->count;
        (is_x ? d->depends : given)[named(d, i)->id] = true;
    }
    for (gml_node *node = d->node->graph->first; node != d->node; node = node->next)
        if (uses_any(node, d->depends, n))
            for (uint32_t r = 0; r < node->n_results; r++)
                d->depends[node->results[r].id] |=
                    !given[node->results[r].id] &&
                    (is_float_tensor(&node->results[r]) ||
                     node->results[r].type.kind != GML_TYPE_TENSOR);
    d->needed[differentiated(d)->id] = true;
    for (gml_node *node = d->node->prev; node; node = node->prev)
        if (is_active(d, node))
            mark_used(node, d->needed);
}

/* Expands active composites that have no gradient of their own. */
static gml_status expand_active(differentiator *d)
{
    for (gml_node *node = d->node->prev; node;) {
        gml_node *prev = node->prev;
        if (is_active(d, node) && !gml_op_has_grad(node->op) && node->op->expand) {
            GML_TRY(gml_expand_node(node, d->cx));
            find_active(d);
            prev = d->node->prev; /* what it expanded into is looked at in turn */
        }
        node = prev;
    }
    return GML_OK;
}

static gml_status check_gradients(const differentiator *d)
{
    gml_status status = GML_OK;
    for (gml_node *node = d->node->graph->first; node != d->node; node = node->next)
        if (is_active(d, node) && !gml_op_has_grad(node->op))
            status = gml_fail(d->cx->diags, GML_E_UNSUPPORTED, node->loc,
                              "%s has no gradient, and '%s' depends on it", node->op->name,
                              gml_node_string(d->node, "y").data);
    return status;
}

/* ---- other values -------------------------------------------------------------------------
 */

/* A copy of `node`, in front of the Gradient, whose operands are the copies where there are
 * any. */
static gml_status copy_node(differentiator *d, const gml_node *node, gml_value **copies)
{
    gml_value **operands = gml_new_array(d->cx->scratch, gml_value *, node->n_operands + 1);
    for (uint32_t k = 0; k < node->n_operands; k++) {
        gml_value *operand = node->operands[k];
        bool moved = operand && operand->id < d->n_values && copies[operand->id];
        operands[k] = moved ? copies[operand->id] : operand;
    }
    gml_node *copy = gml_node_create(node->graph, d->node, node->op, operands, node->n_operands,
                                     node->n_results, node->loc);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            return gml_fail(d->cx->diags, GML_E_UNSUPPORTED, d->node->loc,
                            "derivatives at other values through %s", node->op->name);
        gml_node_set_attr(copy, &node->attrs[i]);
    }
    GML_TRY(gml_node_infer(copy, d->cx->diags));
    for (uint32_t r = 0; r < node->n_results; r++)
        if (!copies[node->results[r].id])
            copies[node->results[r].id] = &copy->results[r];
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
    gml_value **copies = gml_new_array(d->cx->scratch, gml_value *, d->n_values + 1);
    for (uint32_t i = 0; i < d->n_named; i++)
        copies[named(d, i)->id] = d->node->operands[i];
    for (gml_node *node = d->node->graph->first; node != d->node; node = node->next)
        if (is_active(d, node))
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

/* ---- the walk back ------------------------------------------------------------------------
 */

static gml_value **gradient_of(differentiator *d, const gml_value *value)
{
    while (d->gradients.count <= value->id)
        gml_push(d->cx->scratch, &d->gradients, NULL);
    return &d->gradients.items[value->id];
}

/* Adds to the gradient of `value` what may be of a shape that it broadcasts to, and in another
 * float type. */
static void add_gradient(differentiator *d, gml_build *b, gml_value *value, gml_value *gradient)
{
    gradient = gml_grad_sum_to(b, gradient, &value->type);
    gradient = gml_build_cast(b, gradient, value->type.dtype);
    gml_value **sum = gradient_of(d, value);
    *sum = *sum ? gml_build_add(b, *sum, gradient) : gradient;
}

static gml_status walk_node(differentiator *d, gml_node *node)
{
    gml_value **results = gml_new_array(d->cx->scratch, gml_value *, node->n_results + 1);
    bool *wanted = gml_new_array(d->cx->scratch, bool, node->n_operands + 1);
    gml_value **operands = gml_new_array(d->cx->scratch, gml_value *, node->n_operands + 1);
    bool any = false;
    for (uint32_t r = 0; r < node->n_results; r++) {
        results[r] = *gradient_of(d, &node->results[r]);
        any |= results[r] != NULL;
    }
    if (!any)
        return GML_OK;
    for (uint32_t k = 0; k < node->n_operands; k++)
        wanted[k] = node->operands[k] && is_active_value(d, node->operands[k]) &&
                    is_float_tensor(node->operands[k]);
    gml_grad g = {.b = {node->graph, d->node, node->loc, d->cx->diags, GML_OK},
                  .node = node,
                  .scratch = d->cx->scratch,
                  .results = results,
                  .wanted = wanted,
                  .operands = operands};
    GML_TRY(node->op->grad ? node->op->grad(&g) : gml_grad_scalar(&g));
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (wanted[k] && operands[k])
            add_gradient(d, &g.b, node->operands[k], operands[k]);
    return g.b.status;
}

/* 1 for every element of y. */
static gml_value *first_gradient(gml_build *b, const gml_value *y)
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
    GML_TRY(check_gradients(&d));
    gml_build b = {node->graph, node, node->loc, cx->diags, GML_OK};
    gml_value *y = differentiated(&d);
    *gradient_of(&d, y) = first_gradient(&b, y);
    gml_node *last = b.status == GML_OK && y->def ? y->def : NULL;
    for (gml_node *at = last; at; at = at->prev)
        if (is_active(&d, at))
            GML_TRY(walk_node(&d, at));
    for (uint32_t r = 0; r < node->n_results; r++) {
        gml_value *x = named(&d, r);
        gml_value *gradient = *gradient_of(&d, x);
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
