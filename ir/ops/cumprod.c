#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"exclusive", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"reverse", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_NUMBERS));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_INDEX));
    return gml_infer_same(cx);
}

/* The step of the scan below: carried is t, read are dy_j and x_j. */
static gml_graph *make_step(gml_grad *g, const gml_type *item, bool exclusive)
{
    gml_graph *body = gml_graph_create(g->node->graph->module, "body", g->node);
    gml_build b = {body, NULL, g->node->loc, g->b.diags, GML_OK};
    gml_value *t = gml_graph_add_param(body, NULL, *item);
    gml_value *dy = gml_graph_add_param(body, NULL, *item);
    gml_value *x = gml_graph_add_param(body, NULL, *item);
    gml_value *s = gml_build_add(&b, dy, exclusive ? gml_build_mul(&b, x, t) : t);
    gml_graph_add_result(body, exclusive ? s : gml_build_mul(&b, x, s), NULL);
    gml_graph_add_result(body, exclusive ? t : s, NULL);
    g->b.status = g->b.status == GML_OK ? b.status : g->b.status;
    return body;
}

/* dx_j is the product of all before times the sum, over what comes after, of dy_i times the
 * product between. The sum follows from that of the next: s_j = dy_j + x_{j+1} s_{j+1}. No
 * division, so zeros are fine. With `exclusive` everything is one element later. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    gml_value *x = node->operands[0];
    gml_arena *arena = &node->graph->module->arena;
    bool exclusive = gml_node_int(node, "exclusive", 0) != 0;
    int64_t reverse = gml_node_int(node, "reverse", 0) != 0;
    size_t count = 0;
    const gml_dim *axis = gml_value_elements(node->operands[1], arena, &count);
    if (count != 1 || !gml_dim_is_const(axis[0]) || x->type.rank < 1)
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "the gradient needs an axis that is known when compiling");
    int64_t *axes = gml_new_array(arena, int64_t, 2);
    int64_t *directions = gml_new_array(arena, int64_t, 2);
    gml_dim dims[GML_MAX_RANK];
    int rank = 0;
    axes[0] = axes[1] = axis[0] < 0 ? axis[0] + x->type.rank : axis[0];
    directions[0] = directions[1] = !reverse;
    for (int d = 0; d < x->type.rank; d++)
        if (d != axes[0])
            dims[rank++] = x->type.dims[d];
    gml_type item = gml_type_tensor(arena, x->type.dtype, rank, dims);
    gml_value *zeros = gml_build_zeros(b, item.dtype, item.dims, (size_t)rank);
    gml_value *operands[3] = {zeros, g->results[0], x};
    gml_graph *body = make_step(g, &item, exclusive);
    GML_TRY(b->status);
    gml_node *scan =
        gml_node_create(b->graph, b->before, &gml_op_scan, operands, 3, 2, node->loc);
    body->owner = scan;
    gml_node_set_region(scan, "body", body);
    gml_node_set_int(scan, "num_scan_inputs", 2);
    gml_node_set_ints(scan, "scan_input_axes", axes, 2);
    gml_node_set_ints(scan, "scan_input_directions", directions, 2);
    gml_node_set_ints(scan, "scan_output_axes", axes, 1);
    gml_node_set_ints(scan, "scan_output_directions", directions, 1);
    GML_TRY(gml_node_infer(scan, b->diags));
    gml_value *before[2] = {x, node->operands[1]};
    gml_attr given[2] = {gml_attr_int("exclusive", 1), gml_attr_int("reverse", reverse)};
    gml_value *product = gml_build_op(b, &gml_op_cumprod, before, 2, given, 2);
    g->operands[0] = gml_build_mul(b, product, &scan->results[1]);
    return b->status;
}

const gml_op_info gml_op_cumprod = {
    .name = "CumProd",
    .doc = "Running products along an axis.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "cumprod",
};
