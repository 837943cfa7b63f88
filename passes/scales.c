/* passes/scales.c - scales of products' operands go behind the products. */
#include "passes/scales.h"

#include "ir/view.h"
#include "passes/operand.h"
#include "passes/region.h"
#include "passes/tiles.h"

#include <math.h>

/* A result has at most so many times the elements that were scaled before. */
#define GML_MOST_RESULTS 16
#define GML_MAX_VIEWS    16

static bool is_product(const gml_node *node)
{
    gml_tiles tiles;
    return node->op == &gml_op_matmul && gml_tiles_find(node, &tiles);
}

/* The operand of `node` that it multiplies by one number; -1: it is no such node. */
static int scaled_operand(const gml_node *node)
{
    if (node->op != &gml_op_mul || node->results[0].type.dtype != GML_F32)
        return -1;
    for (int k = 0; k < 2; k++) {
        const gml_value *by = node->operands[1 - k];
        if (by->constant && gml_tensor_numel(by->constant) == 1 &&
            isfinite(gml_tensor_number(by->constant, 0)) && !node->operands[k]->constant &&
            gml_same_dims(&node->operands[k]->type, &node->results[0].type))
            return k;
    }
    return -1;
}

static bool is_result(const gml_graph *graph, const gml_value *value)
{
    for (uint32_t r = 0; r < graph->n_results; r++)
        if (graph->results[r] == value)
            return true;
    return false;
}

/* All that read `value`, through views, are products. */
static bool feeds_products(const gml_graph *graph, const gml_value *value, unsigned depth)
{
    if (depth == 0 || is_result(graph, value))
        return false;
    for (const gml_node *user = value->def->next; user; user = user->next)
        for (uint32_t k = 0; k < user->n_operands; k++) {
            if (user->operands[k] != value || (is_product(user) && k < 2))
                continue;
            for (uint32_t r = 0; r < user->n_results; r++)
                if (gml_operand_step(graph, &user->results[r]) != (int)k ||
                    !feeds_products(graph, &user->results[r], depth - 1))
                    return false;
        }
    return true;
}

typedef struct mover {
    gml_graph *graph;
    gml_pass_cx *cx;
    gml_node *scale;
    int at; /* its operand that is scaled */
} mover;

/* Which operand of `node`, a product, is made of what is scaled; -1: none. */
static int operand_of(const mover *m, const gml_node *node)
{
    for (int k = 0; k < 2; k++)
        if (gml_operand_source(m->graph, node->operands[k]) == &m->scale->results[0])
            return k;
    return -1;
}

/* No result is so large that scaling it is more work than was scaling the operand. */
static bool is_worth_it(const mover *m)
{
    int64_t elements = gml_known_elements(&m->scale->results[0].type);
    for (const gml_node *node = m->scale->next; node; node = node->next)
        if (is_product(node) && operand_of(m, node) >= 0 &&
            gml_known_elements(&node->results[0].type) > GML_MOST_RESULTS * elements)
            return false;
    return elements > 0;
}

/* The product of what is not scaled, and the scale of that. */
static gml_status move_behind(const mover *m, gml_node *product, int k)
{
    gml_value *from = m->scale->operands[m->at];
    gml_build b = {.graph = m->graph, .before = product, .diags = m->cx->diags};
    gml_value *operand =
        gml_operand_repeat(&b, product->operands[k], &m->scale->results[0], from);
    gml_node *copy = gml_node_create(m->graph, product, product->op, product->operands,
                                     product->n_operands, 1, product->loc);
    copy->operands[k] = operand;
    copy->results[0].type = product->results[0].type;
    b.loc = product->loc;
    gml_value *result =
        gml_build_binary(&b, &gml_op_mul, &copy->results[0], m->scale->operands[1 - m->at]);
    if (b.status != GML_OK)
        return b.status;
    result->name = product->results[0].name;
    gml_value_replace(&product->results[0], result);
    return GML_OK;
}

static gml_status move_scale(const mover *m, bool *out_changed)
{
    unsigned n = 0;
    for (gml_node *node = m->scale->next; node; node = node->next) {
        int k = is_product(node) ? operand_of(m, node) : -1;
        if (k < 0)
            continue;
        GML_TRY(move_behind(m, node, k));
        n++;
    }
    *out_changed = true;
    if (m->cx->explain)
        gml_str_printf(m->cx->explain, "autocast: the scale of %s goes behind %u product%s\n",
                       m->scale->loc.node ? m->scale->loc.node : "?", n, n == 1 ? "" : "s");
    return GML_OK;
}

gml_status gml_scales_move(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    bool *is_captured = gml_new_array(cx->scratch, bool, cx->module->n_values + 1);
    uint32_t n_values = cx->module->n_values;
    for (const gml_node *node = graph->first; node; node = node->next)
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                gml_mark_captured(node->attrs[i].as.graph, is_captured);
    for (gml_node *node = graph->first; node; node = node->next) {
        if (node->n_results != 1 || node->results[0].id >= n_values ||
            is_captured[node->results[0].id])
            continue;
        mover m = {graph, cx, node, scaled_operand(node)};
        if (m.at >= 0 && gml_operand_step(graph, &node->results[0]) < 0 &&
            feeds_products(graph, &node->results[0], GML_MAX_VIEWS) && is_worth_it(&m))
            GML_TRY(move_scale(&m, out_changed));
    }
    return GML_OK;
}
