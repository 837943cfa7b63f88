#include "runtime/host/image_util.h"

#ifdef GML_HAVE_JPEG

#    include <setjmp.h>
#    include <stdio.h>

/* needs stdio.h before it and does not say so */
#    include <jpeglib.h>
/* numbers of messages */
#    include <jerror.h>

typedef struct reader {
    struct jpeg_error_mgr errors; /* first: the library hands out its address */
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX];
} reader;

static void on_error(j_common_ptr info)
{
    reader *r = (reader *)info->err;
    info->err->format_message(info, r->text);
    longjmp(r->escape, 1);
}

/* Level -1 is a warning. The library would make up what is missing; other oddities are
 * harmless, and decoders agree on them. */
static void on_message(j_common_ptr info, int level)
{
    if (level == -1 && info->err->msg_code == JWRN_JPEG_EOF)
        on_error(info);
}

/* The largest of 8/8 … 1/8 that keeps both sides at `least` or above. */
static void choose_scale(struct jpeg_decompress_struct *info, int64_t least)
{
    int64_t side =
        info->image_width < info->image_height ? info->image_width : info->image_height;
    info->scale_denom = 8;
    info->scale_num = 8;
    while (least > 0 && info->scale_num > 1 && side * (info->scale_num - 1) / 8 >= least)
        info->scale_num--;
}

/* CMYK as Adobe writes it, inverted: what is left of each colour times what is left of white.
 */
static void convert_cmyk(const uint8_t *cmyk, int64_t count, uint8_t *rgb)
{
    for (int64_t i = 0; i < count; i++) {
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((cmyk[4 * i + c] * cmyk[4 * i + 3] + 127) / 255);
    }
}

static gml_status read_rows(gml_image *image, struct jpeg_decompress_struct *info)
{
    bool is_cmyk = info->num_components == 4;
    info->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    choose_scale(info, image->least_side);
    jpeg_calc_output_dimensions(info);
    int64_t width = info->output_width;
    GML_TRY(gml_image_alloc(image, width, info->output_height));
    jpeg_start_decompress(info);
    uint8_t *four = is_cmyk ? gml_scratch_array(image->scratch, uint8_t, 4 * width) : NULL;
    if (is_cmyk && four == NULL)
        return gml_image_no_memory(image);
    while (info->output_scanline < info->output_height) {
        uint8_t *rgb = image->pixels + 3 * width * (int64_t)info->output_scanline;
        JSAMPROW row = is_cmyk ? four : rgb;
        jpeg_read_scanlines(info, &row, 1);
        if (is_cmyk)
            convert_cmyk(four, width, rgb);
    }
    jpeg_finish_decompress(info);
    return GML_OK;
}

gml_status gml_image_jpeg(gml_image *image)
{
    struct jpeg_decompress_struct info = {0};
    reader r = {.text = ""};
    info.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    if (setjmp(r.escape) != 0) {
        jpeg_destroy_decompress(&info);
        return gml_image_fail(image, "JPEG", r.text);
    }
    jpeg_create_decompress(&info);
    info.mem->max_memory_to_use = 1l << 30;
    jpeg_mem_src(&info, image->bytes, (unsigned long)image->size);
    jpeg_read_header(&info, TRUE);
    gml_status status = read_rows(image, &info);
    jpeg_destroy_decompress(&info);
    return status;
}

#else

gml_status gml_image_jpeg(gml_image *image)
{
    return gml_image_refuse(image, GML_E_UNSUPPORTED, "this build has no decoder of JPEG");
}

#endif
