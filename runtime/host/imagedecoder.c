#include "runtime/host/host_util.h"
#include "runtime/image.h"

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL; /* (height, width, channels) */
    GML_TRY(gml_host_require(call, 0, &x));
    bool is_grey = gml_host_string_is(call, "pixel_format", "Grayscale");
    bool is_bgr = gml_host_string_is(call, "pixel_format", "BGR");
    if (!is_grey && !is_bgr && gml_host_attr(call, "pixel_format") != NULL &&
        !gml_host_string_is(call, "pixel_format", "RGB"))
        return gml_host_fail(call, GML_E_INVALID,
                             "pixel_format is none of RGB, BGR and Grayscale");
    gml_image image = {
        .bytes = x->data, .size = (size_t)gml_tensor_numel(x), .scratch = scratch};
    gml_status status = gml_image_decode(&image);
    if (status != GML_OK)
        return gml_host_fail(call, status, "%s", image.error);
    GML_TRY(gml_host_alloc(call, 0, GML_U8, 3,
                           (const int64_t[]){image.height, image.width, is_grey ? 1 : 3}, &y));
    uint8_t *out = y->data;
    const uint8_t *rgb = image.pixels;
    for (int64_t i = 0; i < image.width * image.height; i++, rgb += 3) {
        if (is_grey) {
            out[i] = gml_luma(rgb[0], rgb[1], rgb[2]);
            continue;
        }
        out[3 * i] = rgb[is_bgr ? 2 : 0];
        out[3 * i + 1] = rgb[1];
        out[3 * i + 2] = rgb[is_bgr ? 0 : 2];
    }
    return GML_OK;
}

gml_status gml_host_imagedecoder(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
