/* data/resize.c - Pillow's resampling of 8-bit pixels.
 *
 * An output pixel is a weighted mean of the input pixels under a filter whose half-width is
 * `support` times max(1, scale), where scale is input size over output size: so shrinking looks
 * at every pixel (antialiasing), and enlarging interpolates. The filter is separable: along
 * rows, rounded to 8 bits, then along columns; the other way round where the height shrinks by
 * more than twice what the width does. Weights are fixed-point numbers with 22 bits after the
 * point, made in double precision in Pillow's order of operations. Both are what makes the
 * result equal to Pillow's to the bit; sums of integers are equal in any order.
 *
 * Along columns, 16 neighbours of a row are summed at once. Along rows, 16 rows are transposed
 * first, so that the pixels of a column are neighbours there too; that is also where a flip
 * costs nothing. */
#include "data/resize.h"

#include "base/diag.h"
#include "data/simd.h"

#include <math.h>
#include <string.h>

#define GML_WEIGHT_BITS 22
#define GML_MAX_SIDE    ((int64_t)1 << 24)
#define GML_MAX_WEIGHTS ((int64_t)1 << 28)

/* The weights of one direction: of output pixel i they are weights[i * most …] for the
 * `counts[i]` input pixels from `firsts[i]` on. */
typedef struct windows {
    int64_t n_in, n_out;
    int64_t most;
    int32_t *firsts, *counts, *weights;
} windows;

/* ---- weights ------------------------------------------------------------------------------
 */

static double filter_at(gml_filter filter, double x)
{
    x = fabs(x);
    if (filter == GML_FILTER_BILINEAR)
        return x < 1 ? 1 - x : 0;
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/* `shares` is room for the weights before they are rounded. */
static void fill_window(windows *w, int64_t i, gml_filter filter, double *shares)
{
    double scale = (double)w->n_in / (double)w->n_out;
    double stretch = scale > 1 ? scale : 1;
    double support = (filter == GML_FILTER_BICUBIC ? 2 : 1) * stretch;
    double center = ((double)i + 0.5) * scale;
    double left = center - support + 0.5;
    double right = center + support + 0.5;
    int64_t first = left > 0 ? (int64_t)left : 0;
    int64_t count = (right < (double)w->n_in ? (int64_t)right : w->n_in) - first;
    double sum = 0;
    for (int64_t k = 0; k < count; k++) {
        shares[k] = filter_at(filter, ((double)(k + first) - center + 0.5) * (1 / stretch));
        sum += shares[k];
    }
    int32_t *weights = w->weights + i * w->most;
    for (int64_t k = 0; k < count; k++) {
        double share = sum != 0 ? shares[k] / sum : shares[k];
        weights[k] = (int32_t)(share * (1 << GML_WEIGHT_BITS) + (share < 0 ? -0.5 : 0.5));
    }
    w->firsts[i] = (int32_t)first;
    w->counts[i] = (int32_t)count;
}

static gml_status make_windows(int64_t n_in, int64_t n_out, gml_filter filter, gml_work *work,
                               gml_work_slot slot, windows *out)
{
    double scale = (double)n_in / (double)n_out;
    double support = (filter == GML_FILTER_BICUBIC ? 2 : 1) * (scale > 1 ? scale : 1);
    int64_t most = (int64_t)ceil(support) * 2 + 1;
    if (n_out > GML_MAX_WEIGHTS / most)
        return GML_E_RANGE;
    size_t n_weights = (size_t)(n_out * most);
    double *shares = gml_work_get(work, slot,
                                  (size_t)most * sizeof(double) +
                                      (2 * (size_t)n_out + n_weights) * sizeof(int32_t));
    if (shares == NULL)
        return GML_E_MEMORY;
    *out = (windows){.n_in = n_in, .n_out = n_out, .most = most};
    out->firsts = (int32_t *)(shares + most);
    out->counts = out->firsts + n_out;
    out->weights = out->counts + n_out;
    for (int64_t i = 0; i < n_out; i++)
        fill_window(out, i, filter, shares);
    return GML_OK;
}

/* ---- sums ---------------------------------------------------------------------------------
 */

static inline uint8_t clip(int32_t sum)
{
    sum >>= GML_WEIGHT_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* The weighted sum of `count` groups of 16 bytes, `stride` apart. */
static inline gml_byte16 blend16(const uint8_t *at, int64_t stride, const int32_t *weights,
                                 int32_t count)
{
    gml_int16 sum = {0};
    sum += 1 << (GML_WEIGHT_BITS - 1);
    for (int32_t k = 0; k < count; k++) {
        gml_byte16 bytes;
        memcpy(&bytes, at + k * stride, sizeof bytes);
        sum += GML_WIDEN(bytes) * weights[k];
    }
    sum >>= GML_WEIGHT_BITS;
    sum &= ~(sum < 0);
    sum |= sum > 255; /* all ones */
    return __builtin_convertvector(sum, gml_byte16);
}

/* Along columns: rows of `n` bytes, `stride` apart, become w->n_out rows of `n` bytes. */
GML_CLONES static void blend_rows(const uint8_t *in, int64_t stride, int64_t n,
                                  const windows *w, uint8_t *out)
{
    for (int64_t i = 0; i < w->n_out; i++, out += n) {
        const uint8_t *at = in + w->firsts[i] * stride;
        const int32_t *weights = w->weights + i * w->most;
        int32_t count = w->counts[i];
        int64_t x = 0;
        for (; x + GML_LANES <= n; x += GML_LANES) {
            gml_byte16 bytes = blend16(at + x, stride, weights, count);
            memcpy(out + x, &bytes, sizeof bytes);
        }
        for (; x < n; x++) {
            int32_t sum = 1 << (GML_WEIGHT_BITS - 1);
            for (int32_t k = 0; k < count; k++)
                sum += at[k * stride + x] * weights[k];
            out[x] = clip(sum);
        }
    }
}

/* Sixteen rows, or `n` of them, of interleaved pixels into (channels, width, 16). */
static void transpose_rows(const uint8_t *in, int64_t stride, int64_t width, int channels,
                           int64_t n, bool flip, uint8_t *tile)
{
    for (int64_t row = 0; row < n; row++, in += stride)
        for (int c = 0; c < channels; c++) {
            uint8_t *to = tile + (int64_t)c * width * GML_LANES + row;
            const uint8_t *from = in + c + (flip ? (width - 1) * channels : 0);
            int64_t step = flip ? -channels : channels;
            for (int64_t x = 0; x < width; x++)
                to[x * GML_LANES] = from[x * step];
        }
}

/* Along rows: `height` rows of interleaved pixels, `stride` apart, into planes of w->n_out
 * columns. */
GML_CLONES static void blend_columns(const gml_pixels *in, int64_t stride, bool flip,
                                     const windows *w, uint8_t *tile, uint8_t *out)
{
    for (int64_t y = 0; y < in->height; y += GML_LANES) {
        int64_t n = in->height - y < GML_LANES ? in->height - y : GML_LANES;
        transpose_rows(in->data + y * stride, stride, in->width, in->channels, n, flip, tile);
        for (int c = 0; c < in->channels; c++) {
            const uint8_t *columns = tile + (int64_t)c * in->width * GML_LANES;
            uint8_t *to = out + (c * in->height + y) * w->n_out;
            for (int64_t i = 0; i < w->n_out; i++) {
                gml_byte16 bytes = blend16(columns + w->firsts[i] * GML_LANES, GML_LANES,
                                           w->weights + i * w->most, w->counts[i]);
                uint8_t column[GML_LANES];
                memcpy(column, &bytes, sizeof bytes);
                for (int64_t row = 0; row < n; row++)
                    to[row * w->n_out + i] = column[row];
            }
        }
    }
}

/* ---- directions ---------------------------------------------------------------------------
 */

/* Interleaved pixels into planes, mirrored on demand. */
static void separate(const gml_pixels *in, int64_t stride, bool flip, uint8_t *out)
{
    for (int c = 0; c < in->channels; c++)
        for (int64_t y = 0; y < in->height; y++)
            for (int64_t x = 0; x < in->width; x++)
                *out++ =
                    in->data[y * stride + (flip ? in->width - 1 - x : x) * in->channels + c];
}

typedef struct job {
    const gml_resize *resize;
    gml_pixels in; /* the crop, its rows `stride` apart, not yet flipped */
    int64_t stride;
    gml_work *work;
    uint8_t *out;
} job;

/* Along rows, from job->in into planes at `out`. */
static gml_status run_columns(job *j, uint8_t *out)
{
    windows w;
    const gml_pixels *in = &j->in;
    if (in->width == j->resize->width) {
        separate(in, j->stride, j->resize->flip, out);
        return GML_OK;
    }
    uint8_t *tile =
        gml_work_get(j->work, GML_WORK_TILE, (size_t)(in->channels * in->width * GML_LANES));
    if (tile == NULL)
        return GML_E_MEMORY;
    memset(tile, 0, (size_t)(in->channels * in->width * GML_LANES)); /* rows beyond the last */
    GML_TRY(make_windows(in->width, j->resize->width, j->resize->filter, j->work,
                         GML_WORK_COLUMNS, &w));
    blend_columns(in, j->stride, j->resize->flip, &w, tile, out);
    return GML_OK;
}

static gml_status run_rows_first(job *j)
{
    windows w;
    int64_t n = j->in.width * j->in.channels;
    GML_TRY(make_windows(j->in.height, j->resize->height, j->resize->filter, j->work,
                         GML_WORK_ROWS, &w));
    uint8_t *middle = gml_work_get(j->work, GML_WORK_MIDDLE, (size_t)(n * w.n_out));
    if (middle == NULL)
        return GML_E_MEMORY;
    blend_rows(j->in.data, j->stride, n, &w, middle);
    j->in.data = middle;
    j->in.height = w.n_out;
    j->stride = n;
    return run_columns(j, j->out);
}

static gml_status run_columns_first(job *j)
{
    windows w;
    int64_t width = j->resize->width;
    if (j->in.height == j->resize->height)
        return run_columns(j, j->out);
    GML_TRY(make_windows(j->in.height, j->resize->height, j->resize->filter, j->work,
                         GML_WORK_ROWS, &w));
    uint8_t *middle =
        gml_work_get(j->work, GML_WORK_MIDDLE, (size_t)(j->in.channels * j->in.height * width));
    if (middle == NULL)
        return GML_E_MEMORY;
    GML_TRY(run_columns(j, middle));
    for (int c = 0; c < j->in.channels; c++)
        blend_rows(middle + c * j->in.height * width, width, width, &w,
                   j->out + c * j->resize->height * width);
    return GML_OK;
}

static bool fits(const gml_resize *r, const gml_pixels *source)
{
    const gml_crop *crop = &r->crop;
    return r->height >= 1 && r->width >= 1 && r->height <= GML_MAX_SIDE &&
           r->width <= GML_MAX_SIDE && source->height <= GML_MAX_SIDE &&
           source->width <= GML_MAX_SIDE && crop->top >= 0 && crop->left >= 0 &&
           crop->height >= 1 && crop->width >= 1 &&
           crop->top <= source->height - crop->height &&
           crop->left <= source->width - crop->width &&
           crop->height <= GML_MAX_WEIGHTS / r->width &&
           r->height <= GML_MAX_WEIGHTS / (crop->width > r->width ? crop->width : r->width);
}

gml_status gml_resize_run(const gml_resize *resize, const gml_pixels *source, gml_work *work,
                          uint8_t *out)
{
    const gml_crop *crop = &resize->crop;
    if (!fits(resize, source))
        return GML_E_RANGE;
    /* in the source as it lies, before the flip */
    int64_t left = resize->flip ? source->width - crop->left - crop->width : crop->left;
    job j = {.resize = resize, .work = work, .out = out};
    j.stride = source->width * source->channels;
    j.in = (gml_pixels){source->data + crop->top * j.stride + left * source->channels,
                        crop->height, crop->width, source->channels};
    if (crop->height > resize->height &&
        crop->height - resize->height > 2 * (crop->width - resize->width))
        return run_rows_first(&j);
    return run_columns_first(&j);
}
