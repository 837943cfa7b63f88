#include "data/mask.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define GML_BLOCK_TRIES 10

gml_mask gml_mask_siameseim(int64_t grid)
{
    int64_t n = grid * grid;
    int64_t least = (int64_t)rint(16.0 / 196 * (double)n);
    return (gml_mask){.grid = grid,
                      .masked = (int64_t)(118.0 / 196 * (double)n + 0.5),
                      .block_min = least > 2 ? least : 2,
                      .aspect_max = 1 / 0.3};
}

const char *gml_mask_check(const gml_mask *mask)
{
    if (mask->grid < 1 || mask->grid > GML_MAX_GRID)
        return "a side has 1 to 256 patches";
    if (mask->masked < 0 || mask->masked >= mask->grid * mask->grid)
        return "at least one patch stays visible";
    if (mask->block_min < 1 || !(mask->aspect_max >= 1 && mask->aspect_max <= 1000))
        return "a block has at least one patch, and an aspect within 1 and 1000";
    return NULL;
}

typedef struct block {
    int64_t top, left, height, width;
} block;

/* A rectangle of about `area` patches; false where it would be as high or wide as the grid. All
 * its numbers are drawn in any case. */
static bool draw_block(const gml_mask *mask, gml_rng *rng, int64_t most, block *out)
{
    double bound = log(mask->aspect_max);
    double area = gml_rng_uniform(rng, (double)mask->block_min, (double)most);
    double aspect = exp(gml_rng_uniform(rng, -bound, bound));
    double top = gml_rng_unit(rng);
    double left = gml_rng_unit(rng);
    out->height = (int64_t)rint(sqrt(area * aspect));
    out->width = (int64_t)rint(sqrt(area / aspect));
    if (out->height >= mask->grid || out->width >= mask->grid)
        return false;
    out->top = (int64_t)(top * (double)(mask->grid - out->height + 1));
    out->left = (int64_t)(left * (double)(mask->grid - out->width + 1));
    return true;
}

/* Cells of the block that are not masked yet. */
static int64_t count_new(const gml_mask *mask, const block *b, const bool *cells)
{
    int64_t count = 0;
    for (int64_t y = b->top; y < b->top + b->height; y++)
        for (int64_t x = b->left; x < b->left + b->width; x++)
            count += !cells[y * mask->grid + x];
    return count;
}

static void cover(const gml_mask *mask, const block *b, bool *cells)
{
    for (int64_t y = b->top; y < b->top + b->height; y++)
        for (int64_t x = b->left; x < b->left + b->width; x++)
            cells[y * mask->grid + x] = true;
}

/* Patches covered by one more block: 0 when ten tries gave none that fits. */
static int64_t add_block(const gml_mask *mask, gml_rng *rng, int64_t most, bool *cells)
{
    for (int i = 0; i < GML_BLOCK_TRIES; i++) {
        block b;
        if (!draw_block(mask, rng, most, &b))
            continue;
        int64_t count = count_new(mask, &b, cells);
        if (count > 0 && count <= most) {
            cover(mask, &b, cells);
            return count;
        }
    }
    return 0;
}

/* Masks `count` of the visible cells, each as likely as the others: of the cells that are left,
 * each is taken with the share that is still wanted. */
static void add_single(const gml_mask *mask, gml_rng *rng, int64_t count, bool *cells)
{
    int64_t n = mask->grid * mask->grid;
    int64_t left = 0;
    for (int64_t i = 0; i < n; i++)
        left += !cells[i];
    for (int64_t i = 0; i < n && count > 0; i++) {
        if (cells[i])
            continue;
        if ((int64_t)gml_rng_below(rng, (uint64_t)left) < count) {
            cells[i] = true;
            count--;
        }
        left--;
    }
}

int64_t gml_mask_draw(const gml_mask *mask, gml_rng *rng, bool *cells)
{
    int64_t count = 0;
    memset(cells, 0, (size_t)(mask->grid * mask->grid) * sizeof *cells);
    while (!mask->random && count < mask->masked) {
        int64_t added = add_block(mask, rng, mask->masked - count, cells);
        if (added == 0)
            break;
        count += added;
    }
    add_single(mask, rng, mask->masked - count, cells);
    return count;
}

void gml_mask_visible(const gml_mask *mask, const bool *cells, int64_t *out_visible)
{
    for (int64_t i = 0; i < mask->grid * mask->grid; i++)
        if (!cells[i])
            *out_visible++ = i;
}
