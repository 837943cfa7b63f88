#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(BOOL)));
    const gml_type *x = gml_operand_type(cx->node, 0);
    if (gml_node_find_attr(cx->node, "axis") == NULL)
        return gml_infer_fresh(cx, 0, x->dtype, 1, "compressed");
    if (x->rank == GML_RANK_UNKNOWN)
        return gml_infer_unranked(cx, 0, x->dtype);
    int axis = 0;
    gml_dim dims[GML_MAX_RANK];
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), x->rank, &axis));
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == axis ? gml_dim_fresh(cx->dims, "compressed") : x->dims[d];
    return gml_infer_set(cx, 0, x->dtype, x->rank, dims);
}

/* A gather of the slices, or of all elements in a row, where the condition holds. */
static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_value *x = operands[0];
    gml_attr axis = gml_attr_int("axis", gml_node_int(g->node, "axis", 0));
    int64_t first = 0;
    gml_dim all = gml_type_numel(&g->node->graph->module->dims, &x->type);
    gml_value *where = gml_build_unary(b, &gml_op_nonzero, operands[1]);
    if (!gml_node_find_attr(g->node, "axis"))
        x = gml_build_reshape(b, x, &all, 1);
    gml_value *parts[2] = {x, gml_build_squeeze(b, where, &first, 1)};
    return gml_build_op(b, &gml_op_gather, parts, 2, &axis, 1);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_compress = {
    .name = "Compress",
    .doc = "The slices along an axis, or the elements, where a condition holds.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "compress",
};
