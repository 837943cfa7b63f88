#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"delimiter", GML_ATTR_STRING, GML_ATTR_OPTIONAL},
    {"maxsplit", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = gml_operand_type(cx->node, 0);
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_STRING));
    GML_TRY(gml_infer_shaped(cx, 1, 0, GML_I64));
    if (x->rank == GML_RANK_UNKNOWN)
        return gml_infer_unranked(cx, 0, GML_STRING);
    if (x->rank >= GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %d is above the limit of %d",
                              x->rank + 1, GML_MAX_RANK);
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[d];
    dims[x->rank] = gml_dim_fresh(cx->dims, "parts");
    return gml_infer_set(cx, 0, GML_STRING, x->rank + 1, dims);
}

const gml_op_info gml_op_stringsplit = {
    .name = "StringSplit",
    .doc = "The parts of strings between delimiters, and how many each has.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 2,
    .max_out = 2,
    .attrs = attrs,
    .infer = infer,
    .host = "stringsplit",
};
