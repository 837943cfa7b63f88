#include "runtime/host/image_util.h"

#ifdef GML_HAVE_PNG

#    include <png.h>
#    include <setjmp.h>
#    include <string.h>

typedef struct reader {
    gml_image *image;
    size_t at;
    char why[80]; /* the library's own text is gone after the jump */
    png_structp png;
    png_infop info;
} reader;

static void on_error(png_structp png, png_const_charp text)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->why, sizeof r->why, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep data, size_t len)
{
    reader *r = png_get_io_ptr(png);
    if (len > r->image->size - r->at)
        png_error(png, "it ends early");
    memcpy(data, r->image->bytes + r->at, len);
    r->at += len;
}

/* Eight bits a channel, three channels, whatever the file has. */
static void ask_for_rgb(const reader *r)
{
    png_set_expand(r->png);
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

/* Errors of the library leave by longjmp to here; nothing in between owns anything. */
static gml_status read_image(reader *r)
{
    gml_image *image = r->image;
    if (setjmp(png_jmpbuf(r->png)) != 0)
        return gml_image_fail(image, "PNG", r->why);
    png_set_read_fn(r->png, r, read_bytes);
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
    png_read_info(r->png, r->info);
    ask_for_rgb(r);
    int64_t height = png_get_image_height(r->png, r->info);
    GML_TRY(gml_image_alloc(image, png_get_image_width(r->png, r->info), height));
    if (png_get_rowbytes(r->png, r->info) != 3 * (size_t)image->width)
        return gml_image_fail(image, "PNG", "its rows do not become RGB");
    png_bytepp rows = gml_scratch_array(image->scratch, png_bytep, height);
    if (rows == NULL)
        return gml_image_no_memory(image);
    for (int64_t i = 0; i < height; i++)
        rows[i] = image->pixels + 3 * image->width * i;
    png_read_image(r->png, rows);
    return GML_OK;
}

gml_status gml_image_png(gml_image *image)
{
    reader r = {.image = image};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png != NULL ? png_create_info_struct(r.png) : NULL;
    gml_status status = r.info != NULL ? read_image(&r) : gml_image_no_memory(image);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    return status;
}

#else

gml_status gml_image_png(gml_image *image)
{
    return gml_image_refuse(image, GML_E_UNSUPPORTED, "this build has no decoder of PNG");
}

#endif
