/* runtime/host/imagedecoder.c - encoded pictures to pixels: the format is told by the first
 * bytes. */
#include "runtime/host/image_util.h"

#include <inttypes.h>
#include <string.h>

typedef struct format {
    const char *magic;
    size_t len, offset;
    gml_status (*decode)(gml_image *image);
} format;

static const format formats[] = {
    {"\xff\xd8\xff", 3, 0, gml_image_jpeg},
    {"\x89PNG\r\n\x1a\n", 8, 0, gml_image_png},
    {"BM", 2, 0, gml_image_bmp},
    {"WEBP", 4, 8, gml_image_webp},
    {"II*\0", 4, 0, gml_image_tiff},
    {"MM\0*", 4, 0, gml_image_tiff},
    {"II+\0", 4, 0, gml_image_tiff},
    {"MM\0+", 4, 0, gml_image_tiff},
    {"\0\0\0\x0cjP  \r\n\x87\n", 12, 0, gml_image_jp2},
    {"\xff\x4f\xff\x51", 4, 0, gml_image_jp2},
    {"P1", 2, 0, gml_image_pnm},
    {"P2", 2, 0, gml_image_pnm},
    {"P3", 2, 0, gml_image_pnm},
    {"P4", 2, 0, gml_image_pnm},
    {"P5", 2, 0, gml_image_pnm},
    {"P6", 2, 0, gml_image_pnm},
};

gml_status gml_image_alloc(gml_image *image, int64_t width, int64_t height)
{
    if (width < 1 || height < 1 || width > GML_MAX_PIXELS / height)
        return gml_host_fail(image->call, GML_E_RANGE,
                             "the picture has %" PRId64 " by %" PRId64 " pixels", width,
                             height);
    image->pixels = gml_scratch_array(image->scratch, uint8_t, 3 * width * height);
    if (image->pixels == NULL)
        return gml_host_no_memory(image->call);
    image->width = width;
    image->height = height;
    return GML_OK;
}

gml_status gml_image_fail(const gml_image *image, const char *name, const char *why)
{
    return gml_host_fail(image->call, GML_E_INVALID, "the %s file is damaged%s%.80s", name,
                         why != NULL ? ": " : "", why != NULL ? why : "");
}

static gml_status decode(gml_image *image)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const format *f = &formats[i];
        if (image->size >= f->offset + f->len &&
            memcmp(image->bytes + f->offset, f->magic, f->len) == 0)
            return f->decode(image);
    }
    return gml_host_fail(image->call, GML_E_UNSUPPORTED,
                         "the bytes are no JPEG, PNG, BMP, WebP, TIFF, JPEG 2000 or PNM file");
}

/* Luma of ITU-R 601 in 16-bit fixed point. */
static uint8_t grey_of(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

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
    gml_image image = {.bytes = x->data,
                       .size = (size_t)gml_tensor_numel(x),
                       .call = call,
                       .scratch = scratch};
    GML_TRY(decode(&image));
    GML_TRY(gml_host_alloc(call, 0, GML_U8, 3,
                           (const int64_t[]){image.height, image.width, is_grey ? 1 : 3}, &y));
    uint8_t *out = y->data;
    const uint8_t *rgb = image.pixels;
    for (int64_t i = 0; i < image.width * image.height; i++, rgb += 3) {
        if (is_grey) {
            out[i] = grey_of(rgb);
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
