/* ir/ops/size.c - Size. */
#include "ir/op.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    return gml_infer_set(cx, 0, GML_I64, 0, NULL);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    (void)index;
    return gml_size(x, gml_type_numel(x->kernel->dims, gml_operand_type(node, 0)));
}

const gml_op_info gml_op_size = {
    .name = "Size",
    .doc = "The number of a tensor's elements.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VALUE_FREE,
    .infer = infer,
    .lower = lower,
};
