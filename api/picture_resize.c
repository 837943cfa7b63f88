/* api/picture_resize.c - Pillow's bilinear resampling of 8-bit pixels.
 *
 * Each output pixel is a weighted mean of the input pixels under a triangle of half-width
 * max(1, scale), where scale is input size over output size: so shrinking looks at every pixel
 * (antialiasing), and enlarging interpolates between two. The filter is separable: along
 * rows, rounded to 8 bits, then along columns; the other way round where the height shrinks by
 * more than twice what the width does. Weights are fixed-point numbers with 22 bits after the
 * point. Both are what makes the result equal to Pillow's to the bit. */
#include "api/picture.h"

#include <math.h>
#include <string.h>

#define GML_WEIGHT_BITS 22

/* The weights of one direction. */
typedef struct window {
    int64_t first; /* input pixel */
    int64_t count;
    const int32_t *weights;
} window;

/* The window around `center`; `shares` is room for its weights before they are rounded. */
static window make_window(double center, double support, int64_t n_in, double *shares,
                          gml_arena *arena)
{
    double left = center - support + 0.5;
    double right = center + support + 0.5;
    int64_t first = left > 0 ? (int64_t)left : 0;
    int64_t count = (right < (double)n_in ? (int64_t)right : n_in) - first;
    int32_t *weights = gml_new_array(arena, int32_t, count + 1);
    double sum = 0;
    for (int64_t k = 0; k < count; k++) {
        double x = fabs(((double)(first + k) - center + 0.5) * (1 / support));
        shares[k] = x < 1 ? 1 - x : 0;
        sum += shares[k];
    }
    double scale = sum != 0 ? 1 / sum : 1;
    for (int64_t k = 0; k < count; k++)
        weights[k] = (int32_t)(0.5 + shares[k] * scale * (double)(1 << GML_WEIGHT_BITS));
    return (window){first, count, weights};
}

static window *make_windows(int64_t n_in, int64_t n_out, gml_arena *arena)
{
    window *windows = gml_new_array(arena, window, n_out + 1);
    double scale = (double)n_in / (double)n_out;
    double support = scale > 1 ? scale : 1;
    double *shares = gml_new_array(arena, double, (size_t)ceil(support) * 2 + 2);
    for (int64_t i = 0; i < n_out; i++)
        windows[i] = make_window(((double)i + 0.5) * scale, support, n_in, shares, arena);
    return windows;
}

/* One output element: input elements are `stride` apart. */
static uint8_t blend(const uint8_t *pixels, const window *w, int64_t stride)
{
    int64_t sum = (int64_t)1 << (GML_WEIGHT_BITS - 1);
    const uint8_t *at = pixels + w->first * stride;
    for (int64_t k = 0; k < w->count; k++)
        sum += (int64_t)at[k * stride] * w->weights[k];
    sum >>= GML_WEIGHT_BITS;
    return (uint8_t)(sum > 255 ? 255 : sum);
}

/* Along the middle direction of (outer, n, inner). */
static uint8_t *resize_along(const uint8_t *pixels, int64_t outer, const int64_t n[2],
                             int64_t inner, gml_arena *arena)
{
    const window *windows = make_windows(n[0], n[1], arena);
    uint8_t *out = gml_arena_alloc(arena, (size_t)(outer * n[1] * inner));
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n[1]; i++)
            for (int64_t c = 0; c < inner; c++)
                out[(o * n[1] + i) * inner + c] =
                    blend(pixels + o * n[0] * inner + c, &windows[i], inner);
    return out;
}

uint8_t *gml_picture_resize(const uint8_t *pixels, const int64_t size[2], int channels,
                            const int64_t new_size[2], gml_arena *arena)
{
    int64_t height[2] = {size[0], new_size[0]};
    int64_t width[2] = {size[1], new_size[1]};
    bool height_first =
        height[0] > height[1] && height[0] - height[1] > 2 * (width[0] - width[1]);
    uint8_t *out = NULL;
    if (height_first)
        out = resize_along(pixels, 1, height, width[0] * channels, arena);
    if (width[0] != width[1])
        out = resize_along(out ? out : pixels, height_first ? height[1] : height[0], width,
                           channels, arena);
    if (!height_first && height[0] != height[1])
        out = resize_along(out ? out : pixels, 1, height, width[1] * channels, arena);
    if (!out)
        out = gml_arena_copy(arena, pixels, (size_t)(size[0] * size[1] * channels));
    return out;
}
