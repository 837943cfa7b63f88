/* ir/ops/global_util.c - pools over whole channels. */
#include "ir/ops/global_util.h"

#include "ir/elementwise.h"

gml_status gml_global_infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    if (type->rank < 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, less than 3",
                              type->rank);
    gml_dim dims[GML_MAX_RANK] = {type->dims[0], type->dims[1]};
    for (int d = 2; d < type->rank; d++)
        dims[d] = 1;
    return gml_infer_set(cx, 0, type->dtype, type->rank, dims);
}

gml_value *gml_global_build(gml_build *b, const gml_op_info *op, gml_value *x)
{
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = 0;
    for (int d = 2; d < x->type.rank; d++)
        axes[n_axes++] = d;
    return gml_build_reduce(b, op, x, axes, n_axes, true);
}
