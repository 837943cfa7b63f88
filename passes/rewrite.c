/* passes/rewrite.c - walks a graph and replaces what rules match.
 *
 * A rewrite may make an earlier node match (what it shared has one user less), so the walk is
 * repeated until nothing changes. Replacements are built in front of the root, and thrown away
 * again when their type is not the root's: operators broadcast, and a rule's text does not say
 * so. Use counts are kept up to date; what nobody uses any longer goes at once. */
#include "passes/rewrite.h"

#include "passes/rule.h"

#include <math.h>

/* Rewrites per node, on the average, before rules are taken to feed each other. */
#define GML_MAX_REWRITES 64

typedef struct rewriter {
    gml_pass_cx *cx;
    const gml_rule_table *table;
    gml_rule *rules;
    gml_vec(uint32_t) uses; /* by value id */
    uint64_t budget;
    bool changed;
    gml_match match;
} rewriter;

/* ---- building -----------------------------------------------------------------------------
 */

/* A variable that is a value gives an attribute if it is a constant of one element, which the
 * attribute's kind must hold. */
static bool attr_of_binding(const gml_binding *b, gml_attr_kind kind, gml_attr *out)
{
    double number = 0;
    if (!b->value) {
        *out = b->attr;
        return b->attr.kind == kind;
    }
    if (!gml_constant_number(b->value, &number))
        return false;
    if (kind == GML_ATTR_FLOAT) {
        *out = gml_attr_float("", (float)number);
        return (double)out->as.f == number;
    }
    if (kind != GML_ATTR_INT || number != floor(number) || fabs(number) > 1e9)
        return false;
    *out = gml_attr_int("", (int64_t)number);
    return true;
}

static bool make_attr(rewriter *r, const gml_attr_pattern *p, gml_attr *out)
{
    const gml_binding *args[GML_MAX_FUNCTION_ARGS];
    bool made = true;
    switch (p->kind) {
    case GML_ATTR_IS_NUMBER:
        *out = p->spec->kind == GML_ATTR_INT ? gml_attr_int("", (int64_t)p->number)
                                             : gml_attr_float("", (float)p->number);
        break;
    case GML_ATTR_IS_TEXT: *out = gml_attr_string("", p->text); break;
    case GML_ATTR_IS_VARIABLE:
        made = attr_of_binding(&r->match.bindings[p->variable], p->spec->kind, out);
        break;
    case GML_ATTR_IS_CALL:
        for (unsigned i = 0; i < p->call.function->n_args; i++)
            args[i] = &r->match.bindings[p->call.args[i]];
        made = p->call.function->call(args, &r->cx->module->arena, out) &&
               out->kind == p->spec->kind;
        break;
    }
    out->name = p->spec->name;
    return made;
}

static void keep_text(rewriter *r, gml_attr *attr)
{
    if (attr->kind == GML_ATTR_STRING) /* rules are gone after the pass */
        attr->as.s.data =
            gml_arena_text(&r->cx->module->arena, attr->as.s.data, attr->as.s.len);
}

/* NULL when an attribute cannot be made or inference refuses. */
static gml_value *build(rewriter *r, gml_build *b, const gml_pattern *p)
{
    if (p->kind == GML_PATTERN_VARIABLE)
        return r->match.bindings[p->variable].value;
    if (p->kind == GML_PATTERN_NUMBER)
        return gml_build_scalar(b, r->match.root->results[0].type.dtype, p->number);
    gml_value *operands[GML_MAX_PATTERN_ARGS];
    gml_attr *attrs = gml_new_array(r->cx->scratch, gml_attr, p->attrs.count + 1);
    for (size_t i = 0; i < p->args.count; i++) {
        operands[i] = build(r, b, p->args.items[i]);
        if (!operands[i])
            return NULL;
    }
    for (size_t i = 0; i < p->attrs.count; i++) {
        if (!make_attr(r, &p->attrs.items[i], &attrs[i]))
            return NULL;
        keep_text(r, &attrs[i]);
    }
    gml_value *value =
        gml_build_op(b, p->op, operands, (uint32_t)p->args.count, attrs, p->attrs.count);
    return b->status == GML_OK ? value : NULL;
}

/* The replacement, in front of the root; NULL, with nothing changed, when it does not fit. */
static gml_value *build_replacement(rewriter *r)
{
    gml_node *root = r->match.root;
    gml_node *before = root->prev;
    size_t n_diags = r->cx->diags->list.count;
    gml_build b = {root->graph, root, root->loc, r->cx->diags, GML_OK};
    gml_value *value = build(r, &b, r->match.rule->to);
    const gml_type *type = &root->results[0].type;
    if (value && value->type.kind == GML_TYPE_TENSOR && value->type.rank >= 0 &&
        gml_type_equal(&value->type, type))
        return value;
    while (root->prev != before)
        gml_node_remove(root->prev);
    gml_diags_truncate(r->cx->diags, n_diags);
    return NULL;
}

/* ---- uses ---------------------------------------------------------------------------------
 */

static void count_new_values(rewriter *r)
{
    while (r->uses.count < r->cx->module->n_values)
        gml_push(r->cx->scratch, &r->uses, 0);
}

/* Removes `node` and what only it used. */
static void drop(rewriter *r, gml_node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            return;
    for (uint32_t i = 0; i < node->n_results; i++)
        if (r->uses.items[node->results[i].id])
            return;
    if (node->op->traits & GML_EFFECT)
        return;
    gml_node_retire(node);
    for (uint32_t k = 0; k < node->n_operands; k++) {
        gml_value *operand = node->operands[k];
        if (operand && --r->uses.items[operand->id] == 0 && operand->def &&
            operand->graph == node->graph)
            drop(r, operand->def);
    }
}

/* The names of a graph's results stay what they are. */
static void keep_names(gml_value *old, gml_value *value)
{
    gml_graph *graph = old->graph;
    if (value->def && !value->name && old->name && *old->name)
        value->name = old->name;
    for (uint32_t i = 0; i < graph->n_results; i++)
        if (graph->results[i] == old && !graph->result_names[i] && value->name != old->name)
            graph->result_names[i] = old->name;
}

/* ---- rewriting ----------------------------------------------------------------------------
 */

static void explain(const rewriter *r)
{
    const gml_node *root = r->match.root;
    const char *name = root->loc.node ? root->loc.node : root->results[0].name;
    if (r->cx->explain)
        gml_str_printf(r->cx->explain, "%s: %s (%s): %s becomes %s\n", r->table->name,
                       name ? name : "?", root->op->name, r->match.rule->row->from,
                       r->match.rule->row->to);
}

/* Puts `value` in the root's place. Returns where to go on: at the first new node, since rules
 * may fire there. */
static gml_node *replace(rewriter *r, gml_node *before, gml_value *value)
{
    gml_node *root = r->match.root;
    gml_value *old = &root->results[0];
    gml_node *first = before ? before->next : root->graph->first;
    count_new_values(r);
    for (gml_node *node = first; node != root; node = node->next)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                r->uses.items[node->operands[k]->id]++;
    explain(r);
    keep_names(old, value);
    gml_value_replace(old, value);
    r->uses.items[value->id] += r->uses.items[old->id];
    r->uses.items[old->id] = 0;
    if (first == root)
        first = root->next;
    drop(r, root);
    r->changed = true;
    return first;
}

/* Applies the first rule that fires at `node`; false when none does. */
static bool rewrite_node(rewriter *r, gml_node *node, gml_node **out_next)
{
    const gml_value *result = &node->results[0];
    bool open = node->n_results == 1 && node->n_operands && !result->constant &&
                !result->elements && result->type.kind == GML_TYPE_TENSOR &&
                r->uses.items[result->id];
    for (size_t i = 0; open && i < r->table->count; i++) {
        r->match.rule = &r->rules[i];
        r->match.root = node;
        r->match.uses = r->uses.items;
        gml_node *before = node->prev;
        gml_value *value = gml_match_rule(&r->match) ? build_replacement(r) : NULL;
        if (value) {
            *out_next = replace(r, before, value);
            return true;
        }
        count_new_values(r);
    }
    return false;
}

static gml_status rewrite_graph(rewriter *r, gml_graph *graph)
{
    for (gml_node *node = graph->first; node;) {
        gml_node *next = node->next;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
                GML_TRY(rewrite_graph(r, node->attrs[i].as.graph));
        gml_loc loc = node->loc;
        if (rewrite_node(r, node, &next) && r->budget-- == 0)
            return gml_fail(r->cx->diags, GML_E_INTERNAL, loc,
                            "rewriting does not end: %s becomes %s", r->match.rule->row->from,
                            r->match.rule->row->to);
        node = next;
    }
    return GML_OK;
}

gml_status gml_rewrite(gml_graph *graph, gml_pass_cx *cx, const gml_rule_table *table,
                       bool *out_changed)
{
    rewriter r = {.cx = cx, .table = table, .match = {.arena = cx->scratch}};
    r.rules = gml_new_array(cx->scratch, gml_rule, table->count + 1);
    for (size_t i = 0; i < table->count; i++)
        GML_TRY(
            gml_rule_parse(&table->rows[i], table->name, cx->scratch, &r.rules[i], cx->diags));
    r.uses.items = gml_graph_count_uses(graph, cx->scratch);
    r.uses.count = r.uses.capacity = cx->module->n_values;
    r.budget = (uint64_t)GML_MAX_REWRITES * (cx->module->n_values + 1);
    do {
        r.changed = false;
        GML_TRY(rewrite_graph(&r, graph));
        *out_changed = *out_changed || r.changed;
    } while (r.changed);
    return GML_OK;
}
