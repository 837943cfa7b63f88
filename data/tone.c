/* data/tone.c - tables of tones: each plane's values go through a table of 256, which the
 * picture's histogram may decide. */
#include "data/color.h"

#include <string.h>

#define GML_TONES 256

static uint8_t clip(int64_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void look_up(uint8_t *v, int64_t n, const uint8_t table[GML_TONES])
{
    for (int64_t i = 0; i < n; i++)
        v[i] = table[v[i]];
}

static void count_tones(const uint8_t *v, int64_t n, int64_t counts[GML_TONES])
{
    memset(counts, 0, GML_TONES * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        counts[v[i]]++;
}

/* The darkest and the brightest tone that occurs. */
static void find_ends(const int64_t counts[GML_TONES], int *out_low, int *out_high)
{
    *out_low = 0;
    *out_high = GML_TONES - 1;
    while (*out_low < GML_TONES - 1 && counts[*out_low] == 0)
        ++*out_low;
    while (*out_high > 0 && counts[*out_high] == 0)
        --*out_high;
}

/* ---- by the histogram -------------------------------------------------------------------- */

static void stretch(uint8_t *v, int64_t n)
{
    int64_t counts[GML_TONES];
    uint8_t table[GML_TONES];
    int low = 0;
    int high = 0;
    count_tones(v, n, counts);
    find_ends(counts, &low, &high);
    if (high <= low)
        return;
    double scale = 255.0 / (high - low);
    double offset = -low * scale;
    for (int t = 0; t < GML_TONES; t++)
        table[t] = clip((int64_t)(t * scale + offset));
    look_up(v, n, table);
}

void gml_color_autocontrast(const gml_planes *planes)
{
    int64_t n = planes->height * planes->width;
    for (int c = 0; c < 3; c++)
        stretch(planes->data + c * n, n);
}

/* The brightest tone does not count towards a step, so that it lands on 255; a plane of one
 * tone, or of too few pixels for a step of one, stays. */
static void equalise(uint8_t *v, int64_t n)
{
    int64_t counts[GML_TONES];
    uint8_t table[GML_TONES];
    int low = 0;
    int high = 0;
    count_tones(v, n, counts);
    find_ends(counts, &low, &high);
    int64_t step = (n - counts[high]) / 255;
    if (step == 0)
        return;
    int64_t below = step / 2;
    for (int t = 0; t < GML_TONES; t++) {
        table[t] = clip(below / step);
        below += counts[t];
    }
    look_up(v, n, table);
}

void gml_color_equalise(const gml_planes *planes)
{
    int64_t n = planes->height * planes->width;
    for (int c = 0; c < 3; c++)
        equalise(planes->data + c * n, n);
}

/* ---- the same for every picture ---------------------------------------------------------- */

void gml_color_invert(const gml_planes *planes)
{
    for (int64_t i = 0; i < 3 * planes->height * planes->width; i++)
        planes->data[i] = (uint8_t)(255 - planes->data[i]);
}

void gml_color_posterise(const gml_planes *planes, int bits)
{
    uint8_t mask = (uint8_t)(0xff00 >> bits);
    for (int64_t i = 0; i < 3 * planes->height * planes->width; i++)
        planes->data[i] &= mask;
}

void gml_color_lift(const gml_planes *planes, int amount, int below)
{
    uint8_t table[GML_TONES];
    for (int t = 0; t < GML_TONES; t++)
        table[t] = t < below ? clip(t + amount) : (uint8_t)t;
    look_up(planes->data, 3 * planes->height * planes->width, table);
}
