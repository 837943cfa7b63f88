/* runtime/host/image_util.h - decoders of pictures, one a format.
 *
 * Each gets the bytes of a whole file and fills an image of 8-bit RGB, rows from the top. Alpha
 * is dropped, grey becomes three equal channels, no colour profile and no orientation is
 * applied. A picture of more than GML_MAX_PIXELS is refused before memory is taken for it.
 *
 * The decoders of JPEG, PNG, WebP, TIFF and JPEG 2000 are there when the build found their
 * library; else they answer GML_E_UNSUPPORTED. */
#ifndef GML_RUNTIME_HOST_IMAGE_UTIL_H
#define GML_RUNTIME_HOST_IMAGE_UTIL_H

#include "runtime/host/host_util.h"

#define GML_MAX_PIXELS ((int64_t)1 << 28)

typedef struct gml_image {
    const uint8_t *bytes; /* of the file */
    size_t size;
    uint8_t *pixels; /* (height, width, 3), in the scratch */
    int64_t width, height;
    gml_host_call *call;
    gml_scratch *scratch;
} gml_image;

/* Takes memory for `width` by `height` pixels. */
gml_status gml_image_alloc(gml_image *image, int64_t width, int64_t height);
/* The file of format `name` is not what it should be; `why` may be NULL. */
gml_status gml_image_fail(const gml_image *image, const char *name, const char *why);

gml_status gml_image_bmp(gml_image *image);
gml_status gml_image_pnm(gml_image *image);
gml_status gml_image_jpeg(gml_image *image);
gml_status gml_image_png(gml_image *image);
gml_status gml_image_webp(gml_image *image);
gml_status gml_image_tiff(gml_image *image);
gml_status gml_image_jp2(gml_image *image);

#endif
