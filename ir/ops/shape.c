/* ir/ops/shape.c - Shape. */
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"start", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"end", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

/* `end`, counted from the back when negative, moved into 0 to `rank`. */
static int clamp_end(int64_t end, int rank)
{
    if (end < 0)
        end += rank;
    if (end < 0)
        return 0;
    return end > rank ? rank : (int)end;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    int start = clamp_end(gml_node_int(cx->node, "start", 0), data->rank);
    int end = clamp_end(gml_node_int(cx->node, "end", data->rank), data->rank);
    gml_dim count = end > start ? end - start : 0;
    return gml_infer_set(cx, 0, GML_I64, 1, &count);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *data = gml_operand_type(node, 0);
    int start = clamp_end(gml_node_int(node, "start", 0), data->rank);
    size_t count = (size_t)node->results[result].type.dims[0];
    return gml_pick_dim(x, count ? data->dims + start : NULL, count, index[0]);
}

const gml_op_info gml_op_shape = {
    .name = "Shape",
    .doc = "The sizes of a tensor's axes, or of some in a row.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VALUE_FREE,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
