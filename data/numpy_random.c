/* data/numpy_random.c - the order that NumPy's default generator gives.
 *
 * SeedSequence spreads the seed over the state of PCG64 (O'Neill: a linear congruence modulo
 * 2^128, of whose state a rotated half is the output); Generator.permutation exchanges from the
 * end, with numbers below a bound by rejection.
 */
#include "data/digits.h"

/* ---- 128 bits ---------------------------------------------------------------------------- */

typedef struct wide {
    uint64_t high, low;
} wide;

static wide add(wide a, wide b)
{
    uint64_t low = a.low + b.low;
    return (wide){a.high + b.high + (low < a.low), low};
}

/* Of 64-bit factors, all of it. */
static wide multiply_long(uint64_t a, uint64_t b)
{
    uint64_t a1 = a >> 32;
    uint64_t a0 = a & UINT32_MAX;
    uint64_t b1 = b >> 32;
    uint64_t b0 = b & UINT32_MAX;
    uint64_t low = a0 * b0;
    uint64_t middle = a1 * b0 + (low >> 32);
    uint64_t other = a0 * b1 + (middle & UINT32_MAX);
    return (wide){a1 * b1 + (middle >> 32) + (other >> 32), other << 32 | (low & UINT32_MAX)};
}

static wide multiply(wide a, wide b)
{
    wide product = multiply_long(a.low, b.low);
    product.high += a.high * b.low + a.low * b.high;
    return product;
}

/* ---- the generator ----------------------------------------------------------------------- */

typedef struct generator {
    wide state, increment;
    bool has_half; /* the upper half of the last word was not used yet */
    uint32_t half;
} generator;

static void advance(generator *g)
{
    static const wide factor = {2549297995355413924u, 4865540595714422341u};
    g->state = add(multiply(g->state, factor), g->increment);
}

static uint64_t next_word(generator *g)
{
    advance(g);
    uint64_t mixed = g->state.high ^ g->state.low;
    unsigned turns = (unsigned)(g->state.high >> 58);
    return mixed >> turns | mixed << (-turns & 63u);
}

static uint32_t next_half(generator *g)
{
    if (g->has_half) {
        g->has_half = false;
        return g->half;
    }
    uint64_t word = next_word(g);
    g->has_half = true;
    g->half = (uint32_t)(word >> 32);
    return (uint32_t)word;
}

/* 0 to `highest`: words are masked, and those above it passed over. */
static uint32_t next_to(generator *g, uint32_t highest)
{
    uint32_t mask = highest;
    for (unsigned shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    uint32_t number = next_half(g) & mask;
    while (number > highest)
        number = next_half(g) & mask;
    return number;
}

/* ---- SeedSequence ------------------------------------------------------------------------ */

#define GML_POOL 4

static uint32_t hash(uint32_t value, uint32_t *factor)
{
    value ^= *factor;
    *factor *= 0x931e8875u;
    value *= *factor;
    return value ^ value >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    uint32_t result = 0xca01f9ddu * x - 0x4973f715u * y;
    return result ^ result >> 16;
}

static void fill_pool(uint64_t seed, uint32_t pool[GML_POOL])
{
    uint32_t factor = 0x43b0d7e5u;
    const uint32_t entropy[GML_POOL] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int i = 0; i < GML_POOL; i++)
        pool[i] = hash(entropy[i], &factor);
    for (int from = 0; from < GML_POOL; from++)
        for (int to = 0; to < GML_POOL; to++)
            if (from != to)
                pool[to] = mix(pool[to], hash(pool[from], &factor));
}

static void spread(const uint32_t pool[GML_POOL], uint64_t words[4])
{
    uint32_t factor = 0x8b51f9ddu;
    for (int i = 0; i < 8; i++) {
        uint32_t value = pool[i % GML_POOL] ^ factor;
        factor *= 0x58f38dedu;
        value *= factor;
        value ^= value >> 16;
        words[i / 2] = i % 2 == 0 ? value : words[i / 2] | (uint64_t)value << 32;
    }
}

static generator begin(uint64_t seed)
{
    uint32_t pool[GML_POOL];
    uint64_t words[4];
    fill_pool(seed, pool);
    spread(pool, words);
    generator g = {.increment = {words[2] << 1 | words[3] >> 63, words[3] << 1 | 1}};
    advance(&g);
    g.state = add(g.state, (wide){words[0], words[1]});
    advance(&g);
    return g;
}

void gml_numpy_permutation(uint64_t seed, uint32_t n, uint32_t *out_order)
{
    generator g = begin(seed);
    for (uint32_t i = 0; i < n; i++)
        out_order[i] = i;
    for (uint32_t i = n; i-- > 1;) {
        uint32_t other = next_to(&g, i);
        uint32_t kept = out_order[i];
        out_order[i] = out_order[other];
        out_order[other] = kept;
    }
}
