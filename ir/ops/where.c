/* ir/ops/where.c - Where. */
#include "ir/elementwise.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *types[3];
    gml_dim dims[GML_MAX_RANK];
    int rank;
    GML_TRY(gml_infer_require(cx, 0, GML_IS_BOOL));
    for (unsigned k = 0; k < 3; k++)
        GML_TRY(gml_infer_tensor(cx, k, &types[k]));
    if (types[1]->dtype != types[2]->dtype)
        return gml_infer_fail(cx, GML_E_TYPE,
                              "operand 1 has elements of type %s, operand 2 of %s",
                              gml_dtype_name(types[1]->dtype), gml_dtype_name(types[2]->dtype));
    GML_TRY(gml_infer_broadcast_dims(cx, types[1]->rank, types[1]->dims, types[2]->rank,
                                     types[2]->dims, &rank, dims));
    gml_dim choices[GML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        choices[i] = dims[i];
    GML_TRY(gml_infer_broadcast_dims(cx, types[0]->rank, types[0]->dims, rank, choices, &rank,
                                     dims));
    return gml_infer_set(cx, 0, types[1]->dtype, rank, dims);
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_select(x, args[0], args[1], args[2]);
}

const gml_op_info gml_op_where = {
    .name = "Where",
    .doc = "Elements of one tensor where a condition holds, of another elsewhere.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .scalar = scalar,
};
