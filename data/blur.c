/* data/blur.c - Pillow's Gaussian blur: three extended box blurs along rows, then three along
 * columns (Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box
 * filtering"), each rounded to 8 bits.
 *
 * A box of radius r + a, 0 <= a < 1, is the sum of 2 r + 1 pixels with the weight `inner`, and
 * of one more at either end with the weight `outer`, both in 24-bit fixed point; the border's
 * pixels go on outside. */
#include "data/color.h"
#include "data/simd.h"

#include <math.h>
#include <string.h>

#define GML_PASSES 3
#define GML_BLOCK  64 /* columns at once */
#define GML_DIRECT 3  /* up to this radius a sum is made anew for each pixel */

typedef struct box {
    int64_t radius;
    uint32_t inner, outer;
} box;

/* The box that, three times over, has the variance of the Gaussian; single precision where
 * Pillow has it. */
static box box_of(float sigma)
{
    float variance = sigma * sigma / GML_PASSES;
    float length = (float)sqrt(12.0 * (double)variance + 1.0);
    float whole = (float)floor(((double)length - 1.0) / 2.0);
    float part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
    part /= 6 * (variance - (whole + 1) * (whole + 1));
    float radius = whole + part;
    box b = {.radius = (int64_t)radius};
    b.inner = (uint32_t)((float)(1u << 24) / (radius * 2 + 1));
    b.outer = ((1u << 24) - (uint32_t)(2 * b.radius + 1) * b.inner) / 2;
    return b;
}

static inline uint8_t weigh(const box *b, uint32_t sum, uint32_t ends)
{
    return (uint8_t)((sum * b->inner + ends * b->outer + (1u << 23)) >> 24);
}

/* ---- rows ---------------------------------------------------------------------------------
 */

/* `padded` is the row with radius + 1 pixels more at either end. */
static inline void blur_short(const uint8_t *restrict padded, int64_t n, box b,
                              uint8_t *restrict out)
{
    int64_t far = 2 * b.radius + 2;
    for (int64_t i = 0; i < n; i++) {
        uint32_t sum = 0;
        for (int64_t k = 1; k < far; k++)
            sum += padded[i + k];
        out[i] = weigh(&b, sum, (uint32_t)padded[i] + padded[i + far]);
    }
}

static inline void blur_long(const uint8_t *restrict padded, int64_t n, box b,
                             uint8_t *restrict out)
{
    int64_t far = 2 * b.radius + 2;
    uint32_t sum = 0;
    for (int64_t k = 0; k < far - 1; k++)
        sum += padded[k];
    for (int64_t i = 0; i < n; i++) {
        sum += (uint32_t)padded[i + far - 1] - padded[i];
        out[i] = weigh(&b, sum, (uint32_t)padded[i] + padded[i + far]);
    }
}

/* One pass over a row; the frequent radii have loops of known length. */
static inline void blur_row(const uint8_t *restrict padded, int64_t n, box b,
                            uint8_t *restrict out)
{
    if (b.radius == 0)
        blur_short(padded, n, (box){0, b.inner, b.outer}, out);
    else if (b.radius == 1)
        blur_short(padded, n, (box){1, b.inner, b.outer}, out);
    else if (b.radius <= GML_DIRECT)
        blur_short(padded, n, b, out);
    else
        blur_long(padded, n, b, out);
}

GML_CLONES static void blur_rows(uint8_t *restrict pixels, int64_t rows, int64_t n,
                                 const box *b, uint8_t *restrict padded)
{
    size_t border = (size_t)b->radius + 1;
    for (int64_t y = 0; y < rows; y++, pixels += n)
        for (int pass = 0; pass < GML_PASSES; pass++) {
            memset(padded, pixels[0], border);
            memcpy(padded + border, pixels, (size_t)n);
            memset(padded + border + n, pixels[n - 1], border);
            blur_row(padded, n, *b, pixels);
        }
}

/* ---- columns ------------------------------------------------------------------------------
 */

/* One pass over (height + 2 (radius + 1), 64): the sums move down from row to row. */
static inline void blur_block(const uint8_t *restrict padded, int64_t height, const box *b,
                              uint8_t *restrict out)
{
    uint32_t sums[GML_BLOCK] = {0};
    int64_t far = 2 * b->radius + 2;
    for (int64_t k = 0; k < far - 1; k++)
        for (int64_t x = 0; x < GML_BLOCK; x++)
            sums[x] += padded[k * GML_BLOCK + x];
    for (int64_t y = 0; y < height; y++) {
        const uint8_t *first = padded + y * GML_BLOCK;
        const uint8_t *next = first + (far - 1) * GML_BLOCK;
        const uint8_t *last = first + far * GML_BLOCK;
        for (int64_t x = 0; x < GML_BLOCK; x++) {
            sums[x] += (uint32_t)next[x] - first[x];
            out[y * GML_BLOCK + x] = weigh(b, sums[x], (uint32_t)first[x] + last[x]);
        }
    }
}

/* The first and the last row of a block go on above and below it. */
static void extend(uint8_t *padded, int64_t height, int64_t border)
{
    uint8_t *first = padded + border * GML_BLOCK;
    uint8_t *last = first + (height - 1) * GML_BLOCK;
    for (int64_t k = 0; k < border; k++) {
        memcpy(padded + k * GML_BLOCK, first, GML_BLOCK);
        memcpy(last + (k + 1) * GML_BLOCK, last, GML_BLOCK);
    }
}

/* Columns of `height` pixels, `stride` apart, 64 of them at a time; `blocks` is two of them. */
GML_CLONES static void blur_columns(uint8_t *pixels, int64_t height, int64_t stride,
                                    const box *b, uint8_t *const blocks[2])
{
    int64_t border = b->radius + 1;
    for (int64_t x = 0; x < stride; x += GML_BLOCK) {
        size_t n = (size_t)(stride - x < GML_BLOCK ? stride - x : GML_BLOCK);
        uint8_t *from = blocks[0];
        uint8_t *to = blocks[1];
        for (int64_t y = 0; y < height; y++)
            memcpy(from + (border + y) * GML_BLOCK, pixels + y * stride + x, n);
        for (int pass = 0; pass < GML_PASSES; pass++) {
            extend(from, height, border);
            blur_block(from, height, b, to + border * GML_BLOCK);
            uint8_t *swapped = from;
            from = to;
            to = swapped;
        }
        for (int64_t y = 0; y < height; y++)
            memcpy(pixels + y * stride + x, from + (border + y) * GML_BLOCK, n);
    }
}

gml_status gml_color_blur(const gml_planes *planes, float sigma, gml_work *work)
{
    int64_t height = planes->height;
    int64_t width = planes->width;
    box b = box_of(sigma);
    size_t padding = 2 * ((size_t)b.radius + 1);
    size_t block = ((size_t)height + padding) * GML_BLOCK;
    uint8_t *memory = gml_work_get(work, GML_WORK_BLUR, 2 * block + (size_t)width + padding);
    if (memory == NULL)
        return GML_E_MEMORY;
    memset(memory, 0, 2 * block); /* columns beyond the last are computed with */
    blur_rows(planes->data, 3 * height, width, &b, memory + 2 * block);
    for (int c = 0; c < 3; c++)
        blur_columns(planes->data + c * height * width, height, width, &b,
                     (uint8_t *const[2]){memory, memory + block});
    return GML_OK;
}
