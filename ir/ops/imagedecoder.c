#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"pixel_format", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "RGB"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET(U8)));
    gml_dim dims[3] = {gml_dim_fresh(cx->dims, "height"), gml_dim_fresh(cx->dims, "width"),
                       gml_node_string_is(cx->node, "pixel_format", "Grayscale") ? 1 : 3};
    return gml_infer_set(cx, 0, GML_U8, 3, dims);
}

const gml_op_info gml_op_imagedecoder = {
    .name = "ImageDecoder",
    .doc = "The pixels of an encoded picture, height by width by channels.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "imagedecoder",
};
