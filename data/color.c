/* data/color.c - blends, luma, solarise and normalisation. */
#include "data/color.h"

#include "data/blend.h"
#include "data/simd.h"

static int64_t count_of(const gml_planes *planes)
{
    return planes->height * planes->width;
}

GML_CLONES static void blend_constant(uint8_t *restrict v, int64_t n, uint8_t from,
                                      float factor)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = gml_blend(from, v[i], factor);
}

static inline uint8_t luma(uint32_t red, uint32_t green, uint32_t blue)
{
    return (uint8_t)((red * 19595u + green * 38470u + blue * 7471u + 0x8000u) >> 16);
}

GML_CLONES static void blend_luma(uint8_t *restrict red, uint8_t *restrict green,
                                  uint8_t *restrict blue, int64_t n, float factor)
{
    for (int64_t i = 0; i < n; i++) {
        uint8_t grey = luma(red[i], green[i], blue[i]);
        red[i] = gml_blend(grey, red[i], factor);
        green[i] = gml_blend(grey, green[i], factor);
        blue[i] = gml_blend(grey, blue[i], factor);
    }
}

GML_CLONES static uint32_t sum_luma(const uint8_t *red, const uint8_t *green,
                                    const uint8_t *blue, int64_t n)
{
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += luma(red[i], green[i], blue[i]);
    return sum;
}

GML_CLONES static void to_luma(uint8_t *restrict red, uint8_t *restrict green,
                               uint8_t *restrict blue, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint8_t grey = luma(red[i], green[i], blue[i]);
        red[i] = grey;
        green[i] = grey;
        blue[i] = grey;
    }
}

GML_CLONES static void solarise(uint8_t *restrict v, int64_t n, int threshold)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = v[i] >= threshold ? (uint8_t)(255 - v[i]) : v[i];
}

void gml_color_brightness(const gml_planes *planes, float factor)
{
    blend_constant(planes->data, 3 * count_of(planes), 0, factor);
}

void gml_color_contrast(const gml_planes *planes, float factor)
{
    int64_t n = count_of(planes);
    const uint8_t *p = planes->data;
    const int64_t most = 1 << 24; /* whose sum has 32 bits */
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i += most)
        sum += sum_luma(p + i, p + n + i, p + 2 * n + i, n - i < most ? n - i : most);
    uint8_t mean = (uint8_t)((double)sum / (double)n + 0.5);
    blend_constant(planes->data, 3 * n, mean, factor);
}

void gml_color_saturation(const gml_planes *planes, float factor)
{
    int64_t n = count_of(planes);
    blend_luma(planes->data, planes->data + n, planes->data + 2 * n, n, factor);
}

void gml_color_grey(const gml_planes *planes)
{
    int64_t n = count_of(planes);
    to_luma(planes->data, planes->data + n, planes->data + 2 * n, n);
}

void gml_color_solarise(const gml_planes *planes, int threshold)
{
    solarise(planes->data, 3 * count_of(planes), threshold);
}

void gml_color_normalise(const gml_planes *planes, const float mean[3], const float std[3],
                         float *out)
{
    int64_t n = count_of(planes);
    for (int c = 0; c < 3; c++) {
        float table[256];
        for (int v = 0; v < 256; v++)
            table[v] = ((float)v / 255.0f - mean[c]) / std[c];
        for (int64_t i = 0; i < n; i++)
            out[c * n + i] = table[planes->data[c * n + i]];
    }
}
