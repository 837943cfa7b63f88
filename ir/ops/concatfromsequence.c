#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"new_axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *item = NULL;
    GML_TRY(gml_infer_item(cx, 0, &item));
    if (item->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "the items are no tensors");
    if (item->rank == GML_RANK_UNKNOWN)
        return gml_infer_unranked(cx, 0, item->dtype);
    bool stacks = gml_node_int(cx->node, "new_axis", 0) != 0;
    int rank = item->rank + (stacks ? 1 : 0);
    int axis = 0;
    gml_dim dims[GML_MAX_RANK + 1];
    gml_type fresh = gml_type_freshen(cx, item);
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), rank, &axis));
    for (int d = 0, from = 0; d < rank; d++) {
        if (d != axis)
            dims[d] = fresh.dims[from++];
        else
            dims[d] = gml_dim_fresh(cx->dims, "joined");
        if (d == axis && !stacks)
            from++;
    }
    return gml_infer_set(cx, 0, item->dtype, rank, dims);
}

const gml_op_info gml_op_concatfromsequence = {
    .name = "ConcatFromSequence",
    .doc = "The items of a sequence, concatenated or stacked.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "concatfromsequence",
};
