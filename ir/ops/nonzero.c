#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    const gml_type *x = gml_operand_type(cx->node, 0);
    gml_dim dims[2] = {x->rank, gml_dim_fresh(cx->dims, "nonzero")};
    if (x->rank == GML_RANK_UNKNOWN)
        dims[0] = gml_dim_fresh(cx->dims, "rank");
    return gml_infer_set(cx, 0, GML_I64, 2, dims);
}

const gml_op_info gml_op_nonzero = {
    .name = "NonZero",
    .doc = "The positions of the elements that are not zero, one a column.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "nonzero",
};
