/* runtime/host/image_util.h - decoders of pictures, one a format (runtime/image.h). */
#ifndef GML_RUNTIME_HOST_IMAGE_UTIL_H
#define GML_RUNTIME_HOST_IMAGE_UTIL_H

#include "base/diag.h"
#include "runtime/image.h"

/* Takes memory for `width` by `height` pixels. */
gml_status gml_image_alloc(gml_image *image, int64_t width, int64_t height);
/* Keeps the words in `image` and returns `status`. */
gml_status gml_image_refuse(gml_image *image, gml_status status, const char *format, ...)
    GML_PRINTF(3, 4);
/* The file of format `name` is not what it should be; `why` may be NULL. */
gml_status gml_image_fail(gml_image *image, const char *name, const char *why);
gml_status gml_image_no_memory(gml_image *image);

gml_status gml_image_bmp(gml_image *image);
gml_status gml_image_pnm(gml_image *image);
gml_status gml_image_jpeg(gml_image *image);
gml_status gml_image_png(gml_image *image);
gml_status gml_image_webp(gml_image *image);
gml_status gml_image_tiff(gml_image *image);
gml_status gml_image_jp2(gml_image *image);

#endif
