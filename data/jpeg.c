#include "data/jpeg.h"

#ifndef GML_HAVE_JPEG

gml_status gml_jpeg_encode(const gml_pixels *pixels, int quality, gml_str *out)
{
    (void)pixels;
    (void)quality;
    (void)out;
    return GML_E_UNSUPPORTED;
}

#else

#    include <setjmp.h>
#    include <stdio.h>
#    include <stdlib.h>

/* needs stdio.h before it and does not say so */
#    include <jpeglib.h>

#    define GML_FULL_COLOR 90 /* the quality from which on */

typedef struct encoder {
    struct jpeg_error_mgr errors; /* first: the library hands out its address */
    jmp_buf escape;
    struct jpeg_compress_struct info;
    unsigned char *bytes;
    unsigned long size;
} encoder;

static void on_error(j_common_ptr info)
{
    encoder *e = (encoder *)info->err;
    longjmp(e->escape, 1);
}

static void on_message(j_common_ptr info)
{
    (void)info;
}

static void write_rows(struct jpeg_compress_struct *info, const gml_pixels *pixels)
{
    size_t stride = (size_t)pixels->width * (size_t)pixels->channels;
    while (info->next_scanline < info->image_height) {
        union { /* libjpeg only reads rows, and does not say so */
            const uint8_t *given;
            JSAMPROW row;
        } at = {.given = pixels->data + info->next_scanline * stride};
        (void)jpeg_write_scanlines(info, &at.row, 1);
    }
}

/* The encoder is the caller's: what is in it keeps its value when the library jumps here. */
static gml_status encode(encoder *e, const gml_pixels *pixels, int quality)
{
    struct jpeg_compress_struct *info = &e->info;
    if (setjmp(e->escape) != 0)
        return GML_E_MEMORY; /* there is nothing else to go wrong */
    jpeg_create_compress(info);
    jpeg_mem_dest(info, &e->bytes, &e->size);
    info->image_width = (JDIMENSION)pixels->width;
    info->image_height = (JDIMENSION)pixels->height;
    info->input_components = pixels->channels;
    info->in_color_space = pixels->channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    if (quality >= GML_FULL_COLOR) {
        info->comp_info[0].h_samp_factor = 1;
        info->comp_info[0].v_samp_factor = 1;
    }
    jpeg_start_compress(info, TRUE);
    write_rows(info, pixels);
    jpeg_finish_compress(info);
    return GML_OK;
}

gml_status gml_jpeg_encode(const gml_pixels *pixels, int quality, gml_str *out)
{
    encoder e = {.bytes = NULL};
    if (pixels->width > JPEG_MAX_DIMENSION || pixels->height > JPEG_MAX_DIMENSION)
        return GML_E_RANGE;
    e.info.err = jpeg_std_error(&e.errors);
    e.errors.error_exit = on_error;
    e.errors.output_message = on_message;
    gml_status status = encode(&e, pixels, quality);
    if (status == GML_OK)
        gml_str_append(out, e.bytes, e.size);
    jpeg_destroy_compress(&e.info);
    free(e.bytes);
    return status;
}

#endif
