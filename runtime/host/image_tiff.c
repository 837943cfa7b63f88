#include "runtime/host/image_util.h"

#ifdef GML_HAVE_TIFF

#    include <stdarg.h>
#    include <stdio.h>
#    include <string.h>
#    include <tiffio.h>

typedef struct reader {
    gml_image *image;
    uint64_t at;
    char why[80];
} reader;

static tmsize_t read_bytes(thandle_t handle, void *data, tmsize_t len)
{
    reader *r = handle;
    uint64_t left = r->at < r->image->size ? r->image->size - r->at : 0;
    size_t n = len < 0 ? 0 : ((uint64_t)len < left ? (size_t)len : (size_t)left);
    if (n > 0)
        memcpy(data, r->image->bytes + r->at, n);
    r->at += n;
    return (tmsize_t)n;
}

static tmsize_t write_bytes(thandle_t handle, void *data, tmsize_t len)
{
    (void)handle;
    (void)data;
    (void)len;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
    reader *r = handle;
    if (whence == SEEK_CUR)
        offset += r->at;
    else if (whence == SEEK_END)
        offset += r->image->size;
    r->at = offset;
    return offset;
}

static int close_file(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    const reader *r = handle;
    return r->image->size;
}

static int on_error(TIFF *tiff, void *context, const char *module, const char *format,
                    va_list args)
{
    reader *r = context;
    (void)tiff;
    (void)module;
    vsnprintf(r->why, sizeof r->why, format, args);
    return 1;
}

static int on_warning(TIFF *tiff, void *context, const char *module, const char *format,
                      va_list args)
{
    (void)tiff;
    (void)context;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static gml_status read_image(gml_image *image, TIFF *tiff, const reader *r)
{
    uint32_t width = 0;
    uint32_t height = 0;
    if (TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) != 1 ||
        TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height) != 1)
        return gml_image_fail(image, "TIFF", "it has no size");
    GML_TRY(gml_image_alloc(image, width, height));
    int64_t count = (int64_t)width * height;
    uint32_t *rgba = gml_scratch_array(image->scratch, uint32_t, count);
    if (rgba == NULL)
        return gml_image_no_memory(image);
    if (TIFFReadRGBAImageOriented(tiff, width, height, rgba, ORIENTATION_TOPLEFT, 1) != 1)
        return gml_image_fail(image, "TIFF", r->why);
    for (int64_t i = 0; i < count; i++) {
        image->pixels[3 * i] = (uint8_t)TIFFGetR(rgba[i]);
        image->pixels[3 * i + 1] = (uint8_t)TIFFGetG(rgba[i]);
        image->pixels[3 * i + 2] = (uint8_t)TIFFGetB(rgba[i]);
    }
    return GML_OK;
}

gml_status gml_image_tiff(gml_image *image)
{
    reader r = {.image = image};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return gml_image_no_memory(image);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, &r);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, &r);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, 1 << 30);
    TIFF *tiff = TIFFClientOpenExt("picture", "rm", &r, read_bytes, write_bytes, seek,
                                   close_file, size_of, NULL, NULL, options);
    gml_status status =
        tiff != NULL ? read_image(image, tiff, &r) : gml_image_fail(image, "TIFF", r.why);
    if (tiff != NULL)
        TIFFClose(tiff);
    TIFFOpenOptionsFree(options);
    return status;
}

#else

gml_status gml_image_tiff(gml_image *image)
{
    return gml_image_refuse(image, GML_E_UNSUPPORTED, "this build has no decoder of TIFF");
}

#endif
