#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {"largest", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"sorted", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_NUMBERS));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(I64)));
    const gml_type *x = gml_operand_type(cx->node, 0);
    if (x->rank == GML_RANK_UNKNOWN) {
        GML_TRY(gml_infer_unranked(cx, 0, x->dtype));
        return gml_infer_unranked(cx, 1, GML_I64);
    }
    int axis = 0;
    gml_dim dims[GML_MAX_RANK];
    gml_dim k = gml_infer_size(cx, 1, 0, "k");
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -1), x->rank, &axis));
    if (gml_dim_is_const(k) &&
        (k < 0 || (gml_dim_is_const(x->dims[axis]) && k > x->dims[axis])))
        return gml_infer_fail(cx, GML_E_RANGE, "k is %lld, but axis %d has %lld elements",
                              (long long)k, axis, (long long)x->dims[axis]);
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == axis ? k : x->dims[d];
    GML_TRY(gml_infer_set(cx, 0, x->dtype, x->rank, dims));
    return gml_infer_set(cx, 1, GML_I64, x->rank, dims);
}

/* Each element's gradient goes to where the element was. */
static gml_status grad(gml_grad *g)
{
    gml_value *indices = &g->node->results[1];
    if (!g->results[0])
        return GML_OK;
    if (indices->name && !*indices->name)
        indices->name = NULL; /* now somebody wants it */
    gml_value *operands[3] = {gml_grad_zeros_like(&g->b, g->node->operands[0]), indices,
                              g->results[0]};
    gml_attr axis = gml_attr_int("axis", gml_node_int(g->node, "axis", -1));
    g->operands[0] = gml_build_op(&g->b, &gml_op_scatterelements, operands, 3, &axis, 1);
    return g->b.status;
}

const gml_op_info gml_op_topk = {
    .name = "TopK",
    .doc = "The k largest or smallest elements along an axis, and where they are.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 2,
    .max_out = 2,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "topk",
};
