#include "eval/mixing.h"

#include <math.h>

typedef struct box {
    int64_t top, left, height, width;
} box;

/* Of Beta(a, a), 0 < a <= 1 (Johnk). */
static double draw_beta(gml_rng *rng, double a)
{
    for (;;) {
        double x = pow(gml_rng_unit(rng), 1 / a);
        double y = pow(gml_rng_unit(rng), 1 / a);
        if (x + y > 0 && x + y <= 1)
            return x / (x + y);
    }
}

/* ---- erasing ----------------------------------------------------------------------------- */

/* 2 to 33 % of the picture, of an aspect from 0.3 to 1 / 0.3; ten tries. */
static bool draw_erased(gml_rng *rng, int64_t size, box *out)
{
    for (int i = 0; i < 10; i++) {
        double area = gml_rng_uniform(rng, 0.02, 1.0 / 3) * (double)(size * size);
        double aspect = exp(gml_rng_uniform(rng, log(0.3), log(1 / 0.3)));
        out->height = (int64_t)rint(sqrt(area * aspect));
        out->width = (int64_t)rint(sqrt(area / aspect));
        if (out->height < 1 || out->width < 1 || out->height >= size || out->width >= size)
            continue;
        out->top = (int64_t)gml_rng_below(rng, (uint64_t)(size - out->height + 1));
        out->left = (int64_t)gml_rng_below(rng, (uint64_t)(size - out->width + 1));
        return true;
    }
    return false;
}

static void erase(gml_rng *rng, float *picture, int64_t size)
{
    box b;
    if (!draw_erased(rng, size, &b))
        return;
    for (int64_t c = 0; c < 3; c++)
        for (int64_t y = b.top; y < b.top + b.height; y++)
            for (int64_t x = b.left; x < b.left + b.width; x++)
                picture[(c * size + y) * size + x] = (float)gml_rng_normal(rng);
}

/* ---- mixing ------------------------------------------------------------------------------ */

/* Pictures i and n - 1 - i become sums of each other. */
static void add_partners(const gml_batch_view *batch, double share)
{
    int64_t numel = 3 * batch->size * batch->size;
    for (size_t i = 0; 2 * i < batch->n; i++) {
        float *x = batch->pictures + (int64_t)i * numel;
        float *y = batch->pictures + (int64_t)(batch->n - 1 - i) * numel;
        for (int64_t k = 0; k < numel; k++) {
            double a = x[k];
            double b = y[k];
            y[k] = (float)(share * b + (1 - share) * a);
            x[k] = (float)(share * a + (1 - share) * b);
        }
    }
}

/* A box of 1 - share of the picture, its centre anywhere, cut at the border. */
static box draw_box(gml_rng *rng, int64_t size, double share)
{
    int64_t side = (int64_t)((double)size * sqrt(1 - share));
    int64_t y = (int64_t)gml_rng_below(rng, (uint64_t)size);
    int64_t x = (int64_t)gml_rng_below(rng, (uint64_t)size);
    int64_t bottom = y + side / 2 < size ? y + side / 2 : size;
    int64_t right = x + side / 2 < size ? x + side / 2 : size;
    box b = {.top = y - side / 2 > 0 ? y - side / 2 : 0,
             .left = x - side / 2 > 0 ? x - side / 2 : 0};
    b.height = bottom - b.top;
    b.width = right - b.left;
    return b;
}

static void exchange_boxes(const gml_batch_view *batch, const box *b)
{
    int64_t size = batch->size;
    for (size_t i = 0; 2 * i + 1 < batch->n; i++) {
        float *one = batch->pictures + (int64_t)i * 3 * size * size;
        float *other = batch->pictures + (int64_t)(batch->n - 1 - i) * 3 * size * size;
        for (int64_t row = 0; row < 3 * b->height; row++) {
            int64_t at = (row / b->height * size + b->top + row % b->height) * size + b->left;
            for (int64_t k = at; k < at + b->width; k++) {
                float kept = one[k];
                one[k] = other[k];
                other[k] = kept;
            }
        }
    }
}

static void fill_targets(const gml_batch_view *batch, double share, double smoothing)
{
    double off = smoothing / (double)batch->n_classes;
    for (size_t i = 0; i < batch->n; i++) {
        float *row = batch->targets + (int64_t)i * batch->n_classes;
        for (int64_t k = 0; k < batch->n_classes; k++) {
            double own = batch->labels[i] == k ? share : 0;
            double others = batch->labels[batch->n - 1 - i] == k ? 1 - share : 0;
            row[k] = (float)(off + (1 - smoothing) * (own + others));
        }
    }
}

void gml_mixing_apply(const gml_mixing *mixing, gml_rng *rng, const gml_batch_view *batch)
{
    int64_t size = batch->size;
    double share = 1;
    for (size_t i = 0; i < batch->n; i++)
        if (gml_rng_unit(rng) < mixing->erase)
            erase(rng, batch->pictures + (int64_t)i * 3 * size * size, size);
    bool both = mixing->mixup > 0 && mixing->cutmix > 0;
    bool cuts = both ? gml_rng_unit(rng) < 0.5 : mixing->cutmix > 0;
    if (cuts) {
        box b = draw_box(rng, size, draw_beta(rng, mixing->cutmix));
        exchange_boxes(batch, &b);
        share = 1 - (double)(b.height * b.width) / (double)(size * size);
    } else if (mixing->mixup > 0) {
        share = draw_beta(rng, mixing->mixup);
        add_partners(batch, share);
    }
    fill_targets(batch, share, mixing->smoothing);
}
