#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"sorted", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_NUMBERS | GML_SET(BOOL) | GML_SET_STRING));
    const gml_type *x = gml_operand_type(cx->node, 0);
    gml_dim count = gml_dim_fresh(cx->dims, "unique");
    gml_dim size = gml_dim_fresh(cx->dims, "slices");
    if (gml_node_find_attr(cx->node, "axis") == NULL) {
        if (x->rank != GML_RANK_UNKNOWN)
            size = gml_type_numel(cx->dims, x);
        GML_TRY(gml_infer_set(cx, 0, x->dtype, 1, &count));
    } else if (x->rank == GML_RANK_UNKNOWN) {
        GML_TRY(gml_infer_unranked(cx, 0, x->dtype));
    } else {
        int axis = 0;
        gml_dim dims[GML_MAX_RANK];
        GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), x->rank, &axis));
        size = x->dims[axis];
        for (int d = 0; d < x->rank; d++)
            dims[d] = d == axis ? count : x->dims[d];
        GML_TRY(gml_infer_set(cx, 0, x->dtype, x->rank, dims));
    }
    GML_TRY(gml_infer_set(cx, 1, GML_I64, 1, &count));
    GML_TRY(gml_infer_set(cx, 2, GML_I64, 1, &size));
    return gml_infer_set(cx, 3, GML_I64, 1, &count);
}

/* A gather of the first of each kind: it gets the gradient. */
static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_value *x = operands[0];
    gml_attr axis = gml_attr_int("axis", gml_node_int(g->node, "axis", 0));
    gml_dim all = gml_type_numel(&g->node->graph->module->dims, &x->type);
    gml_node *again = gml_build_node(b, &gml_op_unique, g->node->operands, 1, g->node->attrs,
                                     g->node->n_attrs, 4);
    if (!gml_node_find_attr(g->node, "axis"))
        x = gml_build_reshape(b, x, &all, 1);
    gml_value *parts[2] = {x, &again->results[1]};
    return gml_build_op(b, &gml_op_gather, parts, 2, &axis, 1);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_unique = {
    .name = "Unique",
    .doc = "The distinct elements, or the distinct slices along an axis.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 4,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "unique",
};
