/* passes/bundle.c - puts updates of states that are alike behind each other.
 *
 * What follows each other and differs in shapes alone becomes one launch (api/build_parts.c):
 * the moving average of all weights, say, or AdamW of all. A node that computes nothing but new
 * values of states moves to the first that is like it. It never waits for what it reads, so
 * that no operand lives longer for it; where an operand is made only later (an optimizer
 * without clipping takes each gradient as soon as it is there) it stays, and says so. Nor does
 * it overtake a node that reads what it replaces: a new value that lies right on the old one
 * must come last. */
#include "ir/op.h"
#include "passes/pass.h"

#include <string.h>

/* The last of the nodes that are alike, and what all must be made before. */
typedef struct bundle {
    gml_node *last;
    uint32_t first; /* place of the first */
} bundle;

typedef struct bundler {
    gml_graph *graph;
    gml_pass_cx *cx;
    uint32_t *made;      /* by value id: place of its node + 1; 0: a parameter */
    uint32_t *last_read; /* by value id: place of its last reader + 1, but for the node that
                            replaces it; 0: nobody */
    gml_value **old_of;  /* by value id: of a state's new value, the old one */
    gml_map bundles;     /* by what the nodes do */
} bundler;

static void note_reads(bundler *b, const gml_graph *graph, uint32_t place);

static bool replaces(const bundler *b, const gml_node *node, const gml_value *old)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        if (b->old_of[node->results[r].id] == old)
            return true;
    return false;
}

static void note_node(bundler *b, const gml_node *node, uint32_t place)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !replaces(b, node, node->operands[k]))
            b->last_read[node->operands[k]->id] = place + 1;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            note_reads(b, node->attrs[i].as.graph, place);
}

static void note_reads(bundler *b, const gml_graph *graph, uint32_t place)
{
    for (const gml_node *node = graph->first; node; node = node->next)
        note_node(b, node, place);
    for (uint32_t r = 0; r < graph->n_results; r++)
        b->last_read[graph->results[r]->id] = place + 1;
}

static void note_graph(bundler *b)
{
    const gml_module *module = b->cx->module;
    uint32_t place = 0;
    for (size_t i = 0; i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        if (state->param != GML_NO_INDEX && state->result != GML_NO_INDEX)
            b->old_of[b->graph->results[state->result]->id] = b->graph->params[state->param];
    }
    for (const gml_node *node = b->graph->first; node; node = node->next, place++) {
        for (uint32_t r = 0; r < node->n_results; r++)
            b->made[node->results[r].id] = place + 1;
        note_node(b, node, place);
    }
}

static bool is_update(const bundler *b, const gml_node *node)
{
    if (node->op->host || (node->op->traits & GML_EFFECT))
        return false;
    for (uint32_t r = 0; r < node->n_results; r++)
        if (!b->old_of[node->results[r].id])
            return false;
    return true;
}

/* What a node does, whatever the shapes: nodes that are alike may still differ, and then are
 * not one launch. */
static void describe(const gml_node *node, gml_str *out)
{
    gml_str_printf(out, "%s:%u ", node->op->name, node->n_results);
    if (!(node->op->traits & GML_INLINES))
        return;
    for (const gml_node *member = gml_node_region(node, "body")->first; member;
         member = member->next)
        if (strcmp(member->op->name, "Reshape") != 0)
            gml_str_printf(out, "%s ", member->op->name);
}

/* The name of an operand that keeps `node` from going to place `to`; NULL: it may. */
static const gml_value *find_hindrance(const bundler *b, const gml_node *node, uint32_t to)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && b->made[node->operands[k]->id] > to)
            return node->operands[k];
    uint32_t own = b->made[node->results[0].id];
    for (uint32_t r = 0; r < node->n_results; r++) {
        const gml_value *old = b->old_of[node->results[r].id];
        if (b->last_read[old->id] > to && b->last_read[old->id] < own)
            return old;
    }
    return NULL;
}

static void explain(const bundler *b, const gml_node *node, const bundle *to,
                    const gml_value *hindrance)
{
    if (b->cx->explain)
        gml_str_printf(b->cx->explain,
                       "bundle: %s (%s) stays out of the launch of %s: %s is %s\n",
                       node->loc.node ? node->loc.node : "?", node->op->name,
                       to->last->loc.node ? to->last->loc.node : "?",
                       hindrance->name ? hindrance->name : "an operand",
                       hindrance->def ? "made later" : "read later");
}

static void take(bundler *b, gml_node *node, bool *out_changed)
{
    gml_str text;
    gml_str_init(&text);
    describe(node, &text);
    uint32_t place = b->made[node->results[0].id] - 1;
    bundle *to = gml_map_find(&b->bundles, text.text);
    if (!to) {
        to = gml_new(b->cx->scratch, bundle);
        *to = (bundle){node, place};
        (void)gml_map_set(&b->bundles, text.text, to);
        gml_str_reset(&text);
        return;
    }
    gml_str_reset(&text);
    const gml_value *hindrance = find_hindrance(b, node, to->first);
    if (hindrance) {
        explain(b, node, to, hindrance);
        *to = (bundle){node, place}; /* those behind may still go there */
        return;
    }
    if (to->last->next != node) {
        gml_node_move(node, to->last->next);
        *out_changed = true;
    }
    to->last = node;
}

gml_status gml_pass_bundle(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    uint32_t n = cx->module->n_values;
    if (graph != cx->module->main || cx->module->states.count == 0)
        return GML_OK;
    bundler b = {.graph = graph, .cx = cx};
    b.made = gml_new_array(cx->scratch, uint32_t, n + 1);
    b.last_read = gml_new_array(cx->scratch, uint32_t, n + 1);
    b.old_of = gml_new_array(cx->scratch, gml_value *, n + 1);
    gml_map_init(&b.bundles, cx->scratch);
    note_graph(&b);
    gml_for_each_node(node, graph) {
        if (is_update(&b, node))
            take(&b, node, out_changed);
    }
    return GML_OK;
}
