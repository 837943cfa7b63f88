#include "runtime/host/image_util.h"

#ifdef GML_HAVE_JP2

#    include <math.h>
#    include <openjpeg.h>
#    include <stdio.h>
#    include <string.h>

typedef struct reader {
    gml_image *image;
    size_t at;
    char why[80];
} reader;

static OPJ_SIZE_T read_bytes(void *data, OPJ_SIZE_T len, void *context)
{
    reader *r = context;
    size_t left = r->image->size - r->at;
    size_t n = len < left ? len : left;
    if (n == 0)
        return (OPJ_SIZE_T)-1;
    memcpy(data, r->image->bytes + r->at, n);
    r->at += n;
    return n;
}

static OPJ_OFF_T skip_bytes(OPJ_OFF_T len, void *context)
{
    reader *r = context;
    if (len < 0 || (uint64_t)len > r->image->size - r->at)
        return -1;
    r->at += (size_t)len;
    return len;
}

static OPJ_BOOL seek(OPJ_OFF_T offset, void *context)
{
    reader *r = context;
    if (offset < 0 || (uint64_t)offset > r->image->size)
        return OPJ_FALSE;
    r->at = (size_t)offset;
    return OPJ_TRUE;
}

static void on_error(const char *text, void *context)
{
    reader *r = context;
    snprintf(r->why, sizeof r->why, "%s", text);
    r->why[strcspn(r->why, "\n")] = '\0';
}

/* The sample of component `c` at a pixel, as eight bits. Components may have fewer samples. */
static int sample(const opj_image_t *picture, unsigned c, int64_t x, int64_t y)
{
    const opj_image_comp_t *comp = &picture->comps[c];
    int64_t column = x / comp->dx;
    int64_t row = y / comp->dy;
    column = column < comp->w ? column : comp->w - 1;
    row = row < comp->h ? row : comp->h - 1;
    int64_t value = comp->data[row * comp->w + column];
    if (comp->sgnd != 0)
        value += (int64_t)1 << (comp->prec - 1);
    value = comp->prec > 8 ? value >> (comp->prec - 8) : value << (8 - comp->prec);
    return value < 0 ? 0 : (value > 255 ? 255 : (int)value);
}

static uint8_t clamp(double value)
{
    return value <= 0 ? 0 : (value >= 255 ? 255 : (uint8_t)lround(value));
}

static void convert_ycc(uint8_t *rgb)
{
    double y = rgb[0];
    double cb = rgb[1] - 128.0;
    double cr = rgb[2] - 128.0;
    rgb[0] = clamp(y + 1.402 * cr);
    rgb[1] = clamp(y - 0.344136 * cb - 0.714136 * cr);
    rgb[2] = clamp(y + 1.772 * cb);
}

static gml_status convert(gml_image *image, const opj_image_t *picture)
{
    for (unsigned c = 0; c < picture->numcomps; c++) {
        const opj_image_comp_t *comp = &picture->comps[c];
        if (comp->data == NULL || comp->prec < 1 || comp->prec > 31 || comp->dx < 1 ||
            comp->dy < 1 || comp->w < 1 || comp->h < 1)
            return gml_image_fail(image, "JPEG 2000", "a component is missing");
    }
    int64_t width = (int64_t)picture->comps[0].w * picture->comps[0].dx;
    int64_t height = (int64_t)picture->comps[0].h * picture->comps[0].dy;
    GML_TRY(gml_image_alloc(image, width, height));
    bool has_colour = picture->numcomps >= 3;
    for (int64_t i = 0; i < width * height; i++) {
        uint8_t *rgb = image->pixels + 3 * i;
        for (unsigned c = 0; c < 3; c++)
            rgb[c] = (uint8_t)sample(picture, has_colour ? c : 0, i % width, i / width);
        if (has_colour && picture->color_space == OPJ_CLRSPC_SYCC)
            convert_ycc(rgb);
    }
    return GML_OK;
}

static gml_status read_image(reader *r, opj_codec_t *codec, opj_stream_t *stream)
{
    gml_image *image = r->image;
    opj_dparameters_t parameters;
    opj_image_t *picture = NULL;
    opj_set_default_decoder_parameters(&parameters);
    gml_status status = GML_OK;
    bool is_read =
        opj_setup_decoder(codec, &parameters) && opj_read_header(stream, codec, &picture);
    if (is_read &&
        (picture->numcomps == 0 || picture->x1 <= picture->x0 || picture->y1 <= picture->y0 ||
         picture->x1 - picture->x0 > image->max_pixels / (picture->y1 - picture->y0)))
        status = gml_image_refuse(image, GML_E_RANGE, "the picture has too many pixels");
    else if (is_read && opj_decode(codec, stream, picture) && opj_end_decompress(codec, stream))
        status = convert(image, picture);
    else
        status = gml_image_fail(image, "JPEG 2000", r->why);
    opj_image_destroy(picture);
    return status;
}

gml_status gml_image_jp2(gml_image *image)
{
    reader r = {.image = image};
    bool is_bare = image->bytes[0] == 0xff; /* a code stream without a file around it */
    opj_codec_t *codec = opj_create_decompress(is_bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    gml_status status = GML_E_MEMORY;
    if (codec == NULL || stream == NULL) {
        status = gml_image_no_memory(image);
        goto out_codec;
    }
    opj_set_error_handler(codec, on_error, &r);
    opj_stream_set_user_data(stream, &r, NULL);
    opj_stream_set_user_data_length(stream, image->size);
    opj_stream_set_read_function(stream, read_bytes);
    opj_stream_set_skip_function(stream, skip_bytes);
    opj_stream_set_seek_function(stream, seek);
    status = read_image(&r, codec, stream);
out_codec:
    if (stream != NULL)
        opj_stream_destroy(stream);
    if (codec != NULL)
        opj_destroy_codec(codec);
    return status;
}

#else

gml_status gml_image_jp2(gml_image *image)
{
    return gml_image_refuse(image, GML_E_UNSUPPORTED, "this build has no decoder of JPEG 2000");
}

#endif
