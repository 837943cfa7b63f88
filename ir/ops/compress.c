#include "ir/infer_host.h"

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

const gml_op_info gml_op_compress = {
    .name = "Compress",
    .doc = "The slices along an axis, or the elements, where a condition holds.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "compress",
};
