/* data/sharpness.c - Pillow's ImageEnhance.Sharpness: a blend with the smoothed picture.
 *
 * Smoothing weighs a pixel 5 and its eight neighbours 1, of 13; pixels at the border stay.
 * Halves do not occur among thirteenths, so integers round as Pillow's floating point does. */
#include "data/blend.h"
#include "data/color.h"
#include "data/simd.h"

#include <string.h>

/* A row between its neighbours, all but its ends; `out` may not be one of them. */
GML_CLONES static void smooth_row(const uint8_t *restrict above, const uint8_t *restrict row,
                                  const uint8_t *restrict below, int64_t width,
                                  uint8_t *restrict out)
{
    for (int64_t x = 1; x < width - 1; x++) {
        uint32_t sum = (uint32_t)above[x - 1] + above[x] + above[x + 1] + below[x - 1] +
                       below[x] + below[x + 1] + row[x - 1] + row[x + 1] + 5u * row[x];
        out[x] = (uint8_t)((2 * sum + 13) / 26);
    }
}

/* Into `out`, one plane; pictures with less than three rows or columns have a border alone. */
static void smooth(const uint8_t *in, int64_t height, int64_t width, uint8_t *out)
{
    memcpy(out, in, (size_t)(height * width));
    for (int64_t y = 1; y < height - 1; y++) {
        const uint8_t *row = in + y * width;
        smooth_row(row - width, row, row + width, width, out + y * width);
    }
}

GML_CLONES static void blend_planes(uint8_t *restrict v, const uint8_t *restrict from,
                                    int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = gml_blend(from[i], v[i], factor);
}

gml_status gml_color_sharpness(const gml_planes *planes, float factor, gml_work *work)
{
    int64_t n = planes->height * planes->width;
    uint8_t *smoothed = gml_work_get(work, GML_WORK_COPY, (size_t)(3 * n));
    if (smoothed == NULL)
        return GML_E_MEMORY;
    for (int c = 0; c < 3; c++)
        smooth(planes->data + c * n, planes->height, planes->width, smoothed + c * n);
    blend_planes(planes->data, smoothed, 3 * n, factor);
    return GML_OK;
}
