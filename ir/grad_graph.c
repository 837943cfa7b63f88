/* ir/grad_graph.c - reverse mode over a graph. */
#include "ir/grad_graph.h"

#include "ir/ops/build_util.h"

#include <string.h>

static bool is_float_tensor(const gml_value *value)
{
    return value->type.kind == GML_TYPE_TENSOR &&
           gml_dtype_get_class(value->type.dtype) == GML_CLASS_FLOAT;
}

static bool is_marked(const bool *marks, uint32_t n, const gml_value *value)
{
    return value && value->id < n && marks[value->id];
}

bool gml_reverse_leads(const gml_reverse *r, const gml_value *value)
{
    return is_marked(r->depends, r->n_values, value) &&
           is_marked(r->needed, r->n_values, value);
}

bool gml_reverse_wants(const gml_reverse *r, const gml_value *value)
{
    return gml_reverse_leads(r, value) && gml_grad_is_possible(&value->type);
}

/* ---- what is active -----------------------------------------------------------------------
 */

/* Calls `visit` for every value that `node` and its regions use. */
static void visit_used(const gml_node *node, void (*visit)(void *context, gml_value *value),
                       void *context)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k])
            visit(context, node->operands[k]);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        const gml_graph *region = node->attrs[i].as.graph;
        for (const gml_node *inside = region->first; inside; inside = inside->next)
            visit_used(inside, visit, context);
        for (uint32_t k = 0; k < region->n_results; k++)
            visit(context, region->results[k]);
    }
}

typedef struct marks {
    bool *items;
    uint32_t n;
    bool any;
} marks;

static void see_mark(void *context, gml_value *value)
{
    marks *m = context;
    m->any |= is_marked(m->items, m->n, value);
}

static void set_mark(void *context, gml_value *value)
{
    marks *m = context;
    if (value->id < m->n)
        m->items[value->id] = true;
}

static bool uses_any(const gml_node *node, bool *items, uint32_t n)
{
    marks m = {items, n, false};
    visit_used(node, see_mark, &m);
    return m.any;
}

/* Making a value that is differentiated by is not active by that alone. */
bool gml_reverse_is_active(const gml_reverse *r, const gml_node *node)
{
    bool leads = false;
    for (uint32_t k = 0; k < node->n_results; k++)
        leads |= gml_reverse_leads(r, &node->results[k]);
    return leads && uses_any(node, r->depends, r->n_values);
}

static bool is_given(const gml_reverse *r, const gml_value *value)
{
    for (uint32_t i = 0; i < r->n_zs; i++)
        if (r->zs[i] == value)
            return true;
    return false;
}

static void mark_depending(gml_reverse *r)
{
    for (gml_node *node = r->graph->first; node != r->end; node = node->next) {
        if (!uses_any(node, r->depends, r->n_values))
            continue;
        for (uint32_t k = 0; k < node->n_results; k++)
            r->depends[node->results[k].id] |= !is_given(r, &node->results[k]) &&
                                               (is_float_tensor(&node->results[k]) ||
                                                node->results[k].type.kind != GML_TYPE_TENSOR);
    }
}

static void mark_needed(gml_reverse *r)
{
    marks m = {r->needed, r->n_values, false};
    for (gml_node *node = r->end ? r->end->prev : r->graph->last; node; node = node->prev)
        if (gml_reverse_is_active(r, node))
            visit_used(node, set_mark, &m);
}

static void make_marks(gml_reverse *r)
{
    r->n_values = r->graph->module->n_values;
    r->depends = gml_new_array(r->scratch, bool, r->n_values + 1);
    r->needed = gml_new_array(r->scratch, bool, r->n_values + 1);
}

void gml_reverse_analyse(gml_reverse *r)
{
    make_marks(r);
    for (uint32_t i = 0; i < r->n_xs; i++)
        r->depends[r->xs[i]->id] = true;
    mark_depending(r);
    for (uint32_t i = 0; i < r->n_ys; i++)
        r->needed[r->ys[i]->id] = true;
    mark_needed(r);
}

/* ---- regions ------------------------------------------------------------------------------
 */

/* Marks `to` where `from` is marked; true when that is new. */
static bool carry_mark(bool *items, const gml_value *from, const gml_value *to)
{
    bool is_new = items[from->id] && !items[to->id];
    items[to->id] |= items[from->id];
    return is_new;
}

/* Parameters depend on what their operands do, or, if carried, what the last iteration did. */
static void analyse_depending(gml_reverse *r, const gml_node *node, const gml_carries *c)
{
    bool again = true;
    for (uint32_t k = c->first; k < r->graph->n_params; k++)
        r->depends[r->graph->params[k]->id] =
            is_marked(r->depends, r->n_values, node->operands[k]);
    while (again) {
        mark_depending(r);
        again = false;
        for (uint32_t k = 0; k < c->count; k++)
            again |= carry_mark(r->depends, r->graph->results[c->first_result + k],
                                r->graph->params[c->first + k]);
    }
}

/* Results are needed where the node's are, or, if carried, where the next iteration needs them.
 */
static void analyse_needed(gml_reverse *r, const gml_reverse *outer, const gml_node *node,
                           const gml_carries *c)
{
    bool again = true;
    for (uint32_t k = 0; k < node->n_results; k++)
        if (is_marked(outer->needed, outer->n_values, &node->results[k]))
            r->needed[r->graph->results[c->first_result + k]->id] = true;
    while (again) {
        mark_needed(r);
        again = false;
        for (uint32_t k = 0; k < c->count; k++)
            again |= carry_mark(r->needed, r->graph->params[c->first + k],
                                r->graph->results[c->first_result + k]);
    }
}

gml_reverse gml_reverse_region(const gml_reverse *outer, const gml_node *node,
                               gml_graph *region)
{
    gml_reverse r = {.graph = region, .scratch = outer->scratch, .diags = outer->diags};
    gml_carries carries = {0};
    if (node->op->carries)
        carries = node->op->carries(node);
    make_marks(&r);
    memcpy(r.depends, outer->depends, outer->n_values * sizeof *r.depends);
    analyse_depending(&r, node, &carries);
    analyse_needed(&r, outer, node, &carries);
    return r;
}

/* Collects what `region` uses from outside. */
typedef struct collecting {
    const gml_reverse *inner;
    const gml_graph *region;
    bool *seen; /* by value id */
    gml_vec(gml_value *) values;
} collecting;

static bool is_inside(const gml_graph *graph, const gml_graph *region)
{
    while (graph && graph != region)
        graph = graph->owner ? graph->owner->graph : NULL;
    return graph != NULL;
}

static void collect(void *context, gml_value *value)
{
    collecting *c = context;
    if (value->id >= c->inner->n_values || c->seen[value->id] ||
        !gml_reverse_wants(c->inner, value) || is_inside(value->graph, c->region))
        return;
    c->seen[value->id] = true;
    gml_push(c->inner->scratch, &c->values, value);
}

gml_value **gml_reverse_captured(const gml_reverse *outer, const gml_node *node,
                                 uint32_t *out_count)
{
    collecting c = {.seen =
                        gml_new_array(outer->scratch, bool, node->graph->module->n_values + 1)};
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        gml_graph *region = node->attrs[i].as.graph;
        gml_reverse inner = gml_reverse_region(outer, node, region);
        c.inner = &inner;
        c.region = region;
        for (const gml_node *inside = region->first; inside; inside = inside->next)
            visit_used(inside, collect, &c);
        for (uint32_t k = 0; k < region->n_results; k++)
            collect(&c, region->results[k]);
    }
    *out_count = (uint32_t)c.values.count;
    return c.values.items;
}

/* ---- the walk back ------------------------------------------------------------------------
 */

static gml_value **gradient_of(gml_reverse *r, const gml_value *value)
{
    while (r->gradients.count <= value->id)
        gml_push(r->scratch, &r->gradients, NULL);
    return &r->gradients.items[value->id];
}

/* Adds to the gradient of `value` what may be of a shape that it broadcasts to, and in another
 * float type. */
static void add_gradient(gml_reverse *r, gml_build *b, gml_value *value, gml_value *gradient)
{
    gml_value **sum = gradient_of(r, value);
    if (gradient->type.kind != GML_TYPE_TENSOR) {
        *sum = *sum ? gml_grad_add(b, *sum, gradient) : gradient;
        return;
    }
    const gml_type *type = &value->type;
    while (type->kind == GML_TYPE_OPTIONAL)
        type = type->element;
    if (type->rank < 0 || gradient->type.rank < 0) {
        if (b->status == GML_OK)
            b->status = gml_fail(b->diags, GML_E_UNSUPPORTED, b->loc,
                                 "the gradient needs a rank that is not known when compiling");
        return;
    }
    gradient = gml_grad_sum_to(b, gradient, type);
    gradient = gml_build_cast(b, gradient, type->dtype);
    *sum = *sum ? gml_grad_add(b, *sum, gradient) : gradient;
}

static gml_status walk_node(gml_reverse *r, gml_node *node)
{
    gml_value **results = gml_new_array(r->scratch, gml_value *, node->n_results + 1);
    bool *wanted = gml_new_array(r->scratch, bool, node->n_operands + 1);
    gml_value **operands = gml_new_array(r->scratch, gml_value *, node->n_operands + 1);
    bool any = false;
    for (uint32_t k = 0; k < node->n_results; k++) {
        results[k] = *gradient_of(r, &node->results[k]);
        any |= results[k] != NULL;
    }
    if (!any)
        return GML_OK;
    for (uint32_t k = 0; k < node->n_operands; k++)
        wanted[k] = gml_reverse_wants(r, node->operands[k]);
    gml_grad g = {.b = {r->graph, r->end, node->loc, r->diags, GML_OK},
                  .node = node,
                  .scratch = r->scratch,
                  .results = results,
                  .wanted = wanted,
                  .operands = operands,
                  .reverse = r};
    /* what `grad` puts in place of the node has no other gradient to give */
    gml_value *const *given = node->operands;
    uint32_t n_given = node->n_operands;
    GML_TRY(node->op->grad ? node->op->grad(&g) : gml_grad_scalar(&g));
    for (uint32_t k = 0; k < n_given; k++)
        if (wanted[k] && operands[k])
            add_gradient(r, &g.b, given[k], operands[k]);
    for (uint32_t k = 0; k < g.n_captured; k++)
        if (g.captured_gradients[k])
            add_gradient(r, &g.b, g.captured[k], g.captured_gradients[k]);
    return g.b.status;
}

gml_status gml_reverse_run(gml_reverse *r, gml_value *const *seeds, gml_value **out_gradients)
{
    gml_build b = {r->graph, r->end, {0}, r->diags, GML_OK};
    for (uint32_t i = 0; i < r->n_ys; i++)
        if (seeds[i])
            add_gradient(r, &b, r->ys[i], seeds[i]);
    GML_TRY(b.status);
    gml_node **nodes = NULL;
    size_t n = 0;
    for (gml_node *node = r->graph->first; node != r->end; node = node->next)
        n++;
    nodes = gml_new_array(r->scratch, gml_node *, n + 1);
    n = 0;
    for (gml_node *node = r->graph->first; node != r->end; node = node->next)
        if (gml_reverse_is_active(r, node))
            nodes[n++] = node;
    while (n > 0)
        GML_TRY(walk_node(r, nodes[--n]));
    for (uint32_t i = 0; i < r->n_xs; i++)
        out_gradients[i] = *gradient_of(r, r->xs[i]);
    return GML_OK;
}

/* The operands are differentiated by as Identity of them, which nothing but the formula uses:
 * so the walk ends there. */
gml_status gml_grad_by_formula(gml_grad *g, gml_grad_formula formula)
{
    gml_build *b = &g->b;
    uint32_t n = g->node->n_operands;
    gml_value **operands = gml_new_array(g->scratch, gml_value *, n + 1);
    gml_value **xs = gml_new_array(g->scratch, gml_value *, n + 1);
    gml_value **gradients = gml_new_array(g->scratch, gml_value *, n + 1);
    uint32_t n_xs = 0;
    if (!g->results[0])
        return GML_OK;
    for (uint32_t k = 0; k < n; k++) {
        operands[k] = g->node->operands[k];
        if (g->wanted[k])
            xs[n_xs++] = operands[k] = gml_build_unary(b, &gml_op_identity, operands[k]);
    }
    gml_value *y = formula(g, operands);
    GML_TRY(b->status);
    gml_reverse r = {.graph = b->graph,
                     .end = b->before,
                     .scratch = g->scratch,
                     .diags = b->diags,
                     .xs = xs,
                     .n_xs = n_xs,
                     .ys = &y,
                     .n_ys = 1};
    gml_reverse_analyse(&r);
    GML_TRY(gml_reverse_run(&r, &g->results[0], gradients));
    n_xs = 0;
    for (uint32_t k = 0; k < n; k++)
        if (g->wanted[k])
            g->operands[k] = gradients[n_xs++];
    return GML_OK;
}
