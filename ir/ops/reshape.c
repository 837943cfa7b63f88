/* ir/ops/reshape.c - Reshape. */
#include "ir/grad.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"allowzero", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

/* The size that stands for -1. Sizes that both shapes have cancel first, so that a symbolic
 * batch needs no division. */
static gml_status infer_rest(gml_infer *cx, const gml_type *data, const gml_dim *dims, int rank,
                             int rest, gml_dim *out_dim)
{
    bool used[GML_MAX_RANK] = {false};
    gml_dim below = 1;
    for (int i = 0; i < rank; i++) {
        int match = 0;
        while (match < data->rank && (used[match] || data->dims[match] != dims[i]))
            match++;
        if (i == rest)
            continue;
        if (match < data->rank)
            used[match] = true;
        else
            below = gml_dim_mul(cx->dims, below, dims[i]);
    }
    gml_dim above = 1;
    for (int i = 0; i < data->rank; i++)
        if (!used[i])
            above = gml_dim_mul(cx->dims, above, data->dims[i]);
    if (below == 0)
        return gml_infer_fail(cx, GML_E_SHAPE, "-1 stands beside a size of 0");
    if (gml_dim_is_const(above) && gml_dim_is_const(below) && above % below != 0)
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld elements do not fill rows of %lld",
                              (long long)above, (long long)below);
    *out_dim = gml_dim_div(cx->dims, above, below);
    return GML_OK;
}

/* A size that turns out to be 0 would stand for the operand's, `own`. */
static void note_no_copy(gml_infer *cx, gml_dim size, gml_dim own)
{
    if (size != own)
        (void)gml_infer_is_empty(cx, size, own);
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_dim *shape;
    size_t count;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &shape, &count));
    if (count > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %zu is above %d", count,
                              GML_MAX_RANK);
    bool copies = gml_node_int(cx->node, "allowzero", 0) == 0; /* 0 keeps the operand's size */
    gml_dim dims[GML_MAX_RANK];
    int rank = (int)count;
    int rest = -1;
    for (int i = 0; i < rank; i++) {
        dims[i] = shape[i];
        if (shape[i] == 0 && copies) {
            if (i >= data->rank)
                return gml_infer_fail(cx, GML_E_SHAPE,
                                      "size %d is 0, but the operand has rank %d", i,
                                      data->rank);
            dims[i] = data->dims[i];
        } else if (shape[i] == -1 && rest < 0) {
            rest = i;
        } else if (gml_dim_is_const(shape[i]) && shape[i] < 0) {
            return gml_infer_fail(cx, GML_E_SHAPE, "size %d is %lld", i, (long long)shape[i]);
        } else if (copies && !gml_dim_is_const(shape[i])) {
            note_no_copy(cx, shape[i], i < data->rank ? data->dims[i] : 1);
        }
    }
    if (rest >= 0)
        GML_TRY(infer_rest(cx, data, dims, rank, rest, &dims[rest]));
    gml_type type = gml_type_tensor(cx->arena, data->dtype, rank, dims);
    gml_dim before = gml_type_numel(cx->dims, data);
    gml_dim after = gml_type_numel(cx->dims, &type);
    if (gml_infer_differ(cx, before, after))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld elements do not become %lld",
                              (long long)before, (long long)after);
    return gml_infer_set_type(cx, 0, type);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *from[GML_MAX_RANK];
    gml_reshape_index(x, gml_operand_type(node, 0), &node->results[result].type, index, from);
    return gml_at(x, 0, from);
}

const gml_op_info gml_op_reshape = {
    .name = "Reshape",
    .doc = "The same elements in another shape.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = gml_grad_view,
};
