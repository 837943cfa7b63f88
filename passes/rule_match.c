/* passes/rule_match.c - whether a rule matches at a node.
 *
 * A pattern may be matched in several ways: operands of a commutative operator both ways round,
 * alternatives. Which one is right may only show later, in another operand or in a condition.
 * So there is a list of goals still to be reached, and whoever has a choice tries each against
 * all that is left. Patterns are small, and most fail at the first operator. */
#include "passes/rule.h"

#include <string.h>

#define GML_SMALL_CONSTANT 512

/* `pattern` is to match `value`; or `condition` is to hold. */
typedef struct goal {
    const gml_pattern *pattern;
    gml_value *value;
    const gml_rule_condition *condition;
    const struct goal *next;
} goal;

static bool reach(gml_match *m, const goal *goals);

/* ---- bindings -----------------------------------------------------------------------------
 */

static bool same_value(const gml_value *a, const gml_value *b)
{
    return a == b || gml_constants_equal(a->constant, b->constant, GML_SMALL_CONSTANT);
}

static void take(gml_match *m, int variable, gml_binding binding)
{
    binding.bound = true;
    m->bindings[variable] = binding;
    m->trail[m->n_trail++] = variable;
}

/* Forgets what was bound and matched since. */
static void undo(gml_match *m, int n_trail, size_t n_nodes)
{
    while (m->n_trail > n_trail)
        m->bindings[m->trail[--m->n_trail]] = (gml_binding){0};
    m->nodes.count = n_nodes;
}

static bool bind_value(gml_match *m, int variable, gml_value *value)
{
    const gml_binding *b = &m->bindings[variable];
    if (b->bound)
        return b->value && same_value(b->value, value);
    take(m, variable, (gml_binding){.value = value});
    return true;
}

static bool bind_attr(gml_match *m, int variable, const gml_attr *attr)
{
    const gml_binding *b = &m->bindings[variable];
    if (b->bound)
        return !b->value && gml_attr_equal(&b->attr, attr);
    take(m, variable, (gml_binding){.attr = *attr});
    return true;
}

/* ---- attributes ---------------------------------------------------------------------------
 */

/* The attribute of `node`, or the default, or one of no kind. */
static gml_attr find_attr(const gml_node *node, const gml_attr_spec *spec)
{
    const gml_attr *given = gml_node_find_attr(node, spec->name);
    if (given)
        return *given;
    gml_attr attr = {.name = spec->name};
    if (spec->presence != GML_ATTR_DEFAULT)
        return attr;
    attr.kind = spec->kind;
    if (spec->kind == GML_ATTR_INT)
        attr.as.i = spec->i;
    else if (spec->kind == GML_ATTR_FLOAT)
        attr.as.f = spec->f;
    else if (spec->kind == GML_ATTR_STRING)
        attr.as.s = (gml_string){spec->s, strlen(spec->s)};
    return attr;
}

static bool attr_is_number(const gml_attr *attr, const gml_attr_pattern *p)
{
    if (attr->kind == GML_ATTR_INT)
        return (double)attr->as.i == p->number;
    return attr->kind == GML_ATTR_FLOAT &&
           gml_number_is(GML_F32, (double)attr->as.f, p->number, p->near);
}

static bool match_attr(gml_match *m, const gml_node *node, const gml_attr_pattern *p)
{
    gml_attr attr = find_attr(node, p->spec);
    switch (p->kind) {
    case GML_ATTR_IS_NUMBER: return attr_is_number(&attr, p);
    case GML_ATTR_IS_TEXT:
        return attr.kind == GML_ATTR_STRING && attr.as.s.len == strlen(p->text) &&
               memcmp(attr.as.s.data, p->text, attr.as.s.len) == 0;
    case GML_ATTR_IS_VARIABLE: return p->variable < 0 || bind_attr(m, p->variable, &attr);
    case GML_ATTR_IS_CALL: break; /* in replacements alone */
    }
    return false;
}

static bool is_named(const gml_pattern *p, const char *name)
{
    for (size_t i = 0; i < p->attrs.count; i++)
        if (strcmp(p->attrs.items[i].spec->name, name) == 0)
            return true;
    return false;
}

static bool match_attrs(gml_match *m, const gml_node *node, const gml_pattern *p)
{
    for (size_t i = 0; i < p->attrs.count; i++)
        if (!match_attr(m, node, &p->attrs.items[i]))
            return false;
    for (uint32_t i = 0; i < node->n_attrs && !p->any_attrs; i++) {
        const gml_attr *attr = &node->attrs[i];
        const gml_attr_spec *spec = node->op->attrs;
        if (is_named(p, attr->name))
            continue;
        while (spec && spec->name && strcmp(spec->name, attr->name) != 0)
            spec++;
        if (!spec || !spec->name || spec->presence != GML_ATTR_DEFAULT)
            return false;
        gml_attr standard = find_attr(&(gml_node){.op = node->op}, spec);
        if (!gml_attr_equal(attr, &standard))
            return false;
    }
    return true;
}

/* ---- goals --------------------------------------------------------------------------------
 */

/* Operands in order, or the first two swapped, and what is left after them. */
static bool reach_operands(gml_match *m, const gml_pattern *p, gml_node *node, bool swapped,
                           const goal *next)
{
    goal operands[GML_MAX_PATTERN_ARGS];
    size_t n = p->args.count;
    for (size_t i = 0; i < n; i++) {
        size_t k = swapped && i < 2 ? 1 - i : i;
        if (!node->operands[k])
            return false;
        operands[i] = (goal){p->args.items[i], node->operands[k], NULL,
                             i + 1 < n ? &operands[i + 1] : next};
    }
    return reach(m, n ? operands : next);
}

static bool reach_node(gml_match *m, const gml_pattern *p, gml_value *value, const goal *next)
{
    gml_node *node = value->def;
    if (!node || node->op != p->op || node->graph != m->root->graph || node->n_results != 1 ||
        node->n_operands != p->args.count)
        return false;
    int n_trail = m->n_trail;
    size_t n_nodes = m->nodes.count;
    gml_push(m->arena, &m->nodes, node);
    bool reached = (p->variable < 0 || bind_value(m, p->variable, value)) &&
                   match_attrs(m, node, p) &&
                   (reach_operands(m, p, node, false, next) ||
                    ((p->op->traits & GML_COMMUTATIVE) && p->args.count == 2 &&
                     reach_operands(m, p, node, true, next)));
    if (!reached)
        undo(m, n_trail, n_nodes);
    return reached;
}

static bool reach_condition(gml_match *m, const gml_rule_condition *c, const goal *next)
{
    if (c->pattern) {
        goal inside = {c->pattern, m->bindings[c->variable].value, NULL, next};
        return inside.value && reach(m, &inside);
    }
    const gml_binding *args[GML_MAX_FUNCTION_ARGS];
    for (unsigned i = 0; i < c->call.function->n_args; i++)
        args[i] = &m->bindings[c->call.args[i]];
    return c->call.function->call(args, m->arena, NULL) && reach(m, next);
}

/* ---- the end of a match -------------------------------------------------------------------
 */

static bool is_matched_before(const gml_match *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (m->nodes.items[k] == m->nodes.items[i])
            return true;
    return false;
}

static uint32_t count_inner_uses(const gml_match *m, const gml_value *value)
{
    uint32_t count = 0;
    for (size_t i = 0; i < m->nodes.count; i++) {
        const gml_node *node = m->nodes.items[i];
        if (is_matched_before(m, i))
            continue;
        for (uint32_t k = 0; k < node->n_operands; k++)
            count += node->operands[k] == value;
    }
    return count;
}

/* What is inside the pattern goes away with its root, so that nothing is computed twice. */
static bool is_private(const gml_match *m)
{
    if (m->rule->shared || m->rule->to->kind != GML_PATTERN_NODE)
        return true;
    for (size_t i = 0; i < m->nodes.count; i++) {
        const gml_value *value = &m->nodes.items[i]->results[0];
        if (m->nodes.items[i] != m->root && m->uses[value->id] != count_inner_uses(m, value))
            return false;
    }
    return true;
}

/* Everything in `goals` can be reached at once. */
static bool reach(gml_match *m, const goal *goals)
{
    if (!goals)
        return is_private(m);
    if (goals->condition)
        return reach_condition(m, goals->condition, goals->next);
    const gml_pattern *p = goals->pattern;
    int n_trail = m->n_trail;
    switch (p->kind) {
    case GML_PATTERN_ANY: return reach(m, goals->next);
    case GML_PATTERN_NUMBER:
        return gml_constant_is(goals->value, p->number, p->near) && reach(m, goals->next);
    case GML_PATTERN_NODE: return reach_node(m, p, goals->value, goals->next);
    case GML_PATTERN_VARIABLE:
        if (bind_value(m, p->variable, goals->value) && reach(m, goals->next))
            return true;
        undo(m, n_trail, m->nodes.count);
        return false;
    case GML_PATTERN_EITHER:
        for (size_t i = 0; i < p->args.count; i++) {
            goal choice = {p->args.items[i], goals->value, NULL, goals->next};
            if (reach(m, &choice))
                return true;
        }
        return false;
    }
    return false;
}

static bool may_root(const gml_pattern *p, const gml_op_info *op)
{
    if (p->kind != GML_PATTERN_EITHER)
        return p->kind == GML_PATTERN_NODE && p->op == op;
    for (size_t i = 0; i < p->args.count; i++)
        if (may_root(p->args.items[i], op))
            return true;
    return false;
}

bool gml_match_rule(gml_match *m)
{
    if (!may_root(m->rule->from, m->root->op))
        return false;
    size_t n = m->rule->conditions.count;
    goal *goals = gml_new_array(m->arena, goal, n + 1);
    goals[0] = (goal){m->rule->from, &m->root->results[0], NULL, n ? &goals[1] : NULL};
    for (size_t i = 0; i < n; i++)
        goals[i + 1] = (goal){.condition = &m->rule->conditions.items[i],
                              .next = i + 1 < n ? &goals[i + 2] : NULL};
    m->nodes.count = 0;
    m->n_trail = 0;
    memset(m->bindings, 0, sizeof m->bindings);
    return reach(m, goals);
}
