#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    const gml_type *indices = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES | GML_SET_STRING));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(I64)));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    GML_TRY(gml_infer_tensor(cx, 1, &indices));
    if (x->rank < 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "a scalar has no features");
    gml_dim count = gml_type_numel(cx->dims, indices);
    if (x->rank == 1)
        return gml_infer_set(cx, 0, x->dtype, 2, (const gml_dim[]){1, count});
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == x->rank - 1 ? count : x->dims[d];
    return gml_infer_set(cx, 0, x->dtype, x->rank, dims);
}

static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    const gml_type *y = &g->node->results[0].type;
    gml_value *parts[2] = {operands[0],
                           gml_build_reshape(b, operands[1], &y->dims[y->rank - 1], 1)};
    gml_attr axis = gml_attr_int("axis", -1);
    gml_value *picked = gml_build_op(b, &gml_op_gather, parts, 2, &axis, 1);
    return gml_build_reshape(b, picked, y->dims, (size_t)y->rank);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_arrayfeatureextractor = {
    .name = "ArrayFeatureExtractor",
    .domain = "ai.onnx.ml",
    .doc = "Picks features of the last axis.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .grad = grad,
    .host = "arrayfeatureextractor",
};
