#include "data/random.h"

#include "base/philox.h"

#include <math.h>

#define GML_TWO_PI 6.28318530717958647692

void gml_rng_init(gml_rng *rng, uint64_t seed, uint32_t epoch, uint64_t index, gml_draw purpose)
{
    *rng =
        (gml_rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                  .counter = {0, epoch, (uint32_t)index,
                              (uint32_t)purpose << 24 | ((uint32_t)(index >> 32) & 0xffffffu)}};
}

uint32_t gml_rng_word(gml_rng *rng)
{
    if (rng->left == 0) {
        gml_philox(rng->key, rng->counter, rng->words);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->words[4 - rng->left--];
}

double gml_rng_unit(gml_rng *rng)
{
    uint32_t high = gml_rng_word(rng);
    return gml_philox_unit(high, gml_rng_word(rng));
}

double gml_rng_uniform(gml_rng *rng, double low, double high)
{
    return low + (high - low) * gml_rng_unit(rng);
}

/* Box and Muller. */
double gml_rng_normal(gml_rng *rng)
{
    double length = sqrt(-2 * log(1 - gml_rng_unit(rng)));
    return length * cos(GML_TWO_PI * gml_rng_unit(rng));
}

uint64_t gml_rng_below(gml_rng *rng, uint64_t n)
{
    uint64_t rest = (UINT64_MAX % n + 1) % n; /* 2^64 mod n: the values that would repeat */
    uint64_t value = 0;
    do {
        uint64_t high = gml_rng_word(rng);
        value = high << 32 | gml_rng_word(rng);
    } while (value > UINT64_MAX - rest);
    return value % n;
}

void gml_rng_shuffle(gml_rng *rng, uint32_t *order, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)gml_rng_below(rng, i);
        uint32_t swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}
