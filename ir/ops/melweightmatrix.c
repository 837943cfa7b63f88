#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"output_datatype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    gml_dtype dtype = GML_F32;
    for (unsigned k = 0; k < 5; k++)
        GML_TRY(gml_infer_expect(cx, k, k < 3 ? GML_SET_INDEX : GML_SET_FLOATS));
    GML_TRY(gml_infer_attr_dtype(cx, "output_datatype", GML_F32, GML_SET_NUMBERS, &dtype));
    gml_dim length = gml_infer_size(cx, 1, 0, "dft");
    gml_dim dims[2] = {gml_dim_add(cx->dims, gml_dim_div(cx->dims, length, 2), 1),
                       gml_infer_size(cx, 0, 0, "mel")};
    return gml_infer_set(cx, 0, dtype, 2, dims);
}

const gml_op_info gml_op_melweightmatrix = {
    .name = "MelWeightMatrix",
    .doc = "Weights that add the bins of a spectrum up to mel bands.",
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "melweightmatrix",
};
