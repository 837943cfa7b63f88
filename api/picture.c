/* api/picture.c - a picture file becomes a model's input. */
#include "api/picture.h"

#include "gemel/preparation.h"
#include "runtime/host.h"

#include <string.h>

#define GML_MAX_RESIZED ((int64_t)1 << 28) /* pixels, also between the two directions */

bool gml_picture_is(const void *bytes, size_t len)
{
    static const struct {
        const char *magic;
        size_t len, offset;
    } known[] = {
        {"\xff\xd8\xff", 3, 0}, {"\x89PNG\r\n\x1a\n", 8, 0},
        {"WEBP", 4, 8},         {"BM", 2, 0},
        {"II*\0", 4, 0},        {"MM\0*", 4, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (len >= known[i].offset + known[i].len &&
            memcmp((const char *)bytes + known[i].offset, known[i].magic, known[i].len) == 0)
            return true;
    return false;
}

/* ---- what the input wants -----------------------------------------------------------------
 */

typedef struct layout {
    int channels; /* 1 or 3 */
    int channel_axis, height_axis, width_axis;
} layout;

static bool is_channels(gml_dim dim)
{
    return dim == 1 || dim == 3;
}

/* False when no picture fits. */
static bool find_layout(const gml_type *type, layout *out)
{
    if (type->kind != GML_TYPE_TENSOR || (type->rank != 3 && type->rank != 4))
        return false;
    int base = type->rank - 3;
    if (base && type->dims[0] != 1 && gml_dim_is_const(type->dims[0]))
        return false;
    if (is_channels(type->dims[base]))
        *out = (layout){(int)type->dims[base], base, base + 1, base + 2};
    else if (is_channels(type->dims[base + 2]))
        *out = (layout){(int)type->dims[base + 2], base + 2, base, base + 1};
    else
        return false;
    return true;
}

static bool takes_dtype(gml_dtype dtype)
{
    return dtype == GML_U8 || gml_dtype_get_class(dtype) == GML_CLASS_FLOAT;
}

/* ---- pixels -------------------------------------------------------------------------------
 */

/* Runs the ImageDecoder operator; `out` is u8 (height, width, channels). */
static gml_status decode(const gml_picture_file *file, int channels, gml_rvalue *out,
                         gml_diags *diags)
{
    union {
        const void *in;
        void *out;
    } data = {.in = file->bytes}; /* a view for reading */
    const char *format = channels == 1 ? "Grayscale" : "RGB";
    gml_attr attr = {
        .name = "pixel_format", .kind = GML_ATTR_STRING, .as.s = {format, strlen(format)}};
    gml_rvalue input = {.kind = GML_RVALUE_TENSOR,
                        .tensor = {.dtype = GML_U8, .rank = 1, .data = data.out}};
    gml_dtype dtype = GML_U8;
    input.tensor.dims[0] = (int64_t)file->len;
    gml_host_call call = {.node = "",
                          .op = "ImageDecoder",
                          .attrs = &attr,
                          .n_attrs = 1,
                          .inputs = &input,
                          .n_inputs = 1,
                          .outputs = out,
                          .n_outputs = 1,
                          .output_dtypes = &dtype};
    gml_host_fn function = gml_host_find("imagedecoder");
    if (!function)
        return gml_fail(diags, GML_E_UNSUPPORTED, file->loc, "pictures cannot be decoded");
    gml_status status = function(&call);
    if (status != GML_OK)
        return gml_fail(diags, status, file->loc, "%s",
                        call.error[0] ? call.error : gml_status_text(status));
    return GML_OK;
}

/* ImageNet's statistics; for grey their mean. */
static void statistics(const gml_picture_options *options, int channels, double *mean,
                       double *std)
{
    gml_preparation imagenet = {.has_mean = false};
    gml_preparation_fill(&imagenet);
    for (int c = 0; c < channels; c++) {
        mean[c] = channels == 1 ? 0.449 : imagenet.mean[c];
        std[c] = channels == 1 ? 0.226 : imagenet.std[c];
        if (options->n_mean)
            mean[c] = options->mean[options->n_mean == 1 ? 0 : c];
        if (options->n_std)
            std[c] = options->std[options->n_std == 1 ? 0 : c];
        if (options->skip_normalize) {
            mean[c] = 0;
            std[c] = 1;
        }
    }
}

/* `pixels` (height, width, channels) into the order and type of `tensor`. */
static void store(const uint8_t *pixels, const layout *l, const gml_picture_options *options,
                  const gml_tensor *tensor)
{
    double mean[3];
    double std[3];
    float table[3][256];
    int64_t height = tensor->dims[l->height_axis];
    int64_t width = tensor->dims[l->width_axis];
    bool planes = l->channel_axis < l->height_axis;
    statistics(options, l->channels, mean, std);
    for (int c = 0; c < l->channels; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = ((float)v / 255.0f - (float)mean[c]) / (float)std[c];
    for (int64_t i = 0; i < height * width; i++) {
        for (int c = 0; c < l->channels; c++) {
            uint8_t value = pixels[i * l->channels + c];
            int64_t at = planes ? c * height * width + i : i * l->channels + c;
            if (tensor->dtype == GML_U8)
                ((uint8_t *)tensor->data)[at] = value;
            else
                gml_host_put(tensor, at, (double)table[c][value]);
        }
    }
}

/* Rows and columns of the result; false when that is absurd. */
static bool choose_size(const layout *l, const gml_type *type, const int64_t size[2],
                        int64_t new_size[2])
{
    gml_dim height = type->dims[l->height_axis];
    gml_dim width = type->dims[l->width_axis];
    new_size[0] = gml_dim_is_const(height) ? height : size[0];
    new_size[1] = gml_dim_is_const(width) ? width : size[1];
    return new_size[0] >= 1 && new_size[1] >= 1 &&
           new_size[0] <= GML_MAX_RESIZED / new_size[1] &&
           size[0] <= GML_MAX_RESIZED / new_size[1];
}

gml_status gml_picture_read(const gml_picture_file *file, const gml_type *type,
                            const gml_picture_options *options, gml_arena *arena,
                            gml_tensor *out_tensor, gml_diags *diags)
{
    layout l;
    gml_rvalue decoded = {0};
    if (!find_layout(type, &l) || !takes_dtype(type->dtype))
        return gml_fail(diags, GML_E_SHAPE, file->loc,
                        "a picture fits no input but f32[1,3,H,W] and its like");
    GML_TRY(decode(file, l.channels, &decoded, diags));
    int64_t size[2] = {decoded.tensor.dims[0], decoded.tensor.dims[1]};
    int64_t new_size[2];
    if (!choose_size(&l, type, size, new_size)) {
        gml_rvalue_reset(&decoded);
        return gml_fail(diags, GML_E_SHAPE, file->loc,
                        "a picture cannot be resized to %lld by %lld", (long long)new_size[0],
                        (long long)new_size[1]);
    }
    gml_tensor tensor = {.dtype = type->dtype, .rank = type->rank};
    tensor.dims[0] = 1;
    tensor.dims[l.channel_axis] = l.channels;
    tensor.dims[l.height_axis] = new_size[0];
    tensor.dims[l.width_axis] = new_size[1];
    const uint8_t *pixels =
        gml_picture_resize(decoded.tensor.data, size, l.channels, new_size, arena);
    gml_rvalue_reset(&decoded);
    tensor.data = gml_arena_alloc(arena, (size_t)(new_size[0] * new_size[1] * l.channels) *
                                             gml_dtype_size(type->dtype));
    store(pixels, &l, options, &tensor);
    *out_tensor = tensor;
    return GML_OK;
}
