/* runtime/image.c - the format of a picture is told by its first bytes. */
#include "runtime/image.h"

#include "runtime/host/image_util.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct decoder {
    const char *magic;
    size_t len, offset;
    gml_status (*decode)(gml_image *image);
} decoder;

static const decoder decoders[] = {
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

gml_status gml_image_refuse(gml_image *image, gml_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(image->error, sizeof image->error, format, args);
    va_end(args);
    return status;
}

gml_status gml_image_fail(gml_image *image, const char *name, const char *why)
{
    return gml_image_refuse(image, GML_E_INVALID, "the %s file is damaged%s%.80s", name,
                            why != NULL ? ": " : "", why != NULL ? why : "");
}

gml_status gml_image_no_memory(gml_image *image)
{
    return gml_image_refuse(image, GML_E_MEMORY, "out of memory");
}

gml_status gml_image_alloc(gml_image *image, int64_t width, int64_t height)
{
    if (width < 1 || height < 1 || width > image->max_pixels / height)
        return gml_image_refuse(image, GML_E_RANGE,
                                "the picture has %" PRId64 " by %" PRId64 " pixels", width,
                                height);
    image->pixels = gml_scratch_array(image->scratch, uint8_t, 3 * width * height);
    if (image->pixels == NULL)
        return gml_image_no_memory(image);
    image->width = width;
    image->height = height;
    return GML_OK;
}

gml_status gml_image_decode(gml_image *image)
{
    if (image->max_pixels <= 0 || image->max_pixels > GML_MAX_PIXELS)
        image->max_pixels = GML_MAX_PIXELS;
    for (size_t i = 0; i < sizeof decoders / sizeof *decoders; i++) {
        const decoder *f = &decoders[i];
        if (image->size >= f->offset + f->len &&
            memcmp(image->bytes + f->offset, f->magic, f->len) == 0)
            return f->decode(image);
    }
    return gml_image_refuse(
        image, GML_E_UNSUPPORTED,
        "the bytes are no JPEG, PNG, BMP, WebP, TIFF, JPEG 2000 or PNM file");
}
