/* runtime/emu_calls.c - indices, and what a warp does together.
 *
 * Fragments of a tensor core's operands lie as PTX says: lane 4 g + t of a warp holds row g
 * (and g + 8) of A and C, column g of B, and the t-th pair (bf16, C) or element (tf32) along
 * the other axis. Sums are of f32, in the order of k. */
#include "runtime/emu_calls.h"

#include "runtime/emu_state.h"

#include <string.h>

uint32_t gml_emu_thread(void)
{
    return gml_emu.current;
}

uint32_t gml_emu_block(void)
{
    return gml_emu.block;
}

uint32_t gml_emu_blocks(void)
{
    return gml_emu.blocks;
}

void *gml_emu_shared(void)
{
    return gml_emu.shared;
}

uint64_t gml_emu_shuffle_xor(uint64_t bits, uint32_t mask, const char *site)
{
    gml_emu_warp *warp = &gml_emu.warps[gml_emu.current / 32];
    uint32_t lane = gml_emu.current % 32;
    unsigned parity = warp->parity;
    warp->value[parity][lane] = bits;
    if (gml_emu_gather(GML_EMU_IN_SHUFFLE, NULL, site))
        warp->parity ^= 1;
    return warp->value[parity][(lane ^ mask) % 32];
}

/* ---- tensor cores -------------------------------------------------------------------------
 */

typedef struct tile {
    float a[16][16]; /* (m, k) */
    float b[16][8];  /* (k, n) */
    float c[16][8];  /* (m, n) */
} tile;

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Element c[i] of a lane. */
static float *sum_of(tile *t, unsigned lane, unsigned i)
{
    return &t->c[lane / 4 + (i / 2) * 8][lane % 4 * 2 + i % 2];
}

static void multiply(tile *t, unsigned depth, uint32_t *const *words)
{
    for (unsigned lane = 0; lane < 32; lane++)
        for (unsigned i = 0; i < 4; i++)
            *sum_of(t, lane, i) = float_of(words[lane][6 + i]);
    for (unsigned m = 0; m < 16; m++)
        for (unsigned k = 0; k < depth; k++)
            for (unsigned n = 0; n < 8; n++)
                t->c[m][n] += t->a[m][k] * t->b[k][n];
    for (unsigned lane = 0; lane < 32; lane++)
        for (unsigned i = 0; i < 4; i++)
            words[lane][6 + i] = bits_of(*sum_of(t, lane, i));
}

static void multiply_bf16(uint32_t *const *words)
{
    tile t;
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4;
        unsigned pair = lane % 4 * 2;
        for (unsigned i = 0; i < 4; i++) {
            float *to = &t.a[g + i % 2 * 8][pair + i / 2 * 8];
            to[0] = float_of(words[lane][i] << 16);
            to[1] = float_of(words[lane][i] & 0xffff0000U);
        }
        for (unsigned i = 0; i < 2; i++) {
            t.b[pair + i * 8][g] = float_of(words[lane][4 + i] << 16);
            t.b[pair + i * 8 + 1][g] = float_of(words[lane][4 + i] & 0xffff0000U);
        }
    }
    multiply(&t, 16, words);
}

static void multiply_tf32(uint32_t *const *words)
{
    tile t;
    for (unsigned lane = 0; lane < 32; lane++) {
        unsigned g = lane / 4;
        for (unsigned i = 0; i < 4; i++)
            t.a[g + i % 2 * 8][lane % 4 + i / 2 * 4] = float_of(words[lane][i] & ~0x1fffU);
        for (unsigned i = 0; i < 2; i++)
            t.b[lane % 4 + i * 4][g] = float_of(words[lane][4 + i] & ~0x1fffU);
    }
    multiply(&t, 8, words);
}

static void gather_words(uint32_t **words)
{
    gml_emu_warp *warp = &gml_emu.warps[gml_emu.current / 32];
    for (unsigned lane = 0; lane < 32; lane++)
        words[lane] = warp->operand[lane];
}

void gml_emu_mma_bf16(uint32_t *words, const char *site)
{
    uint32_t *all[32];
    if (!gml_emu_gather(GML_EMU_IN_MMA_BF16, words, site))
        return;
    gather_words(all);
    multiply_bf16(all);
}

void gml_emu_mma_tf32(uint32_t *words, const char *site)
{
    uint32_t *all[32];
    if (!gml_emu_gather(GML_EMU_IN_MMA_TF32, words, site))
        return;
    gather_words(all);
    multiply_tf32(all);
}

/* A lane's part in a load of four matrices. */
typedef struct rows {
    const unsigned char *row; /* lane l's: row l % 8 of matrix l / 8 */
    uint32_t *words;
} rows;

static uint32_t element(rows *const *all, unsigned matrix, unsigned row, unsigned column)
{
    uint16_t bits;
    memcpy(&bits, all[matrix * 8 + row]->row + 2 * (size_t)column, sizeof bits);
    return bits;
}

void gml_emu_load_matrix(const void *address, uint32_t transposed, uint32_t *words,
                         const char *site)
{
    rows mine = {address, words};
    rows *all[32];
    gml_emu_check_shared(address, site);
    gml_emu_access(address, 16, 16, GML_EMU_LOAD, site);
    if (!gml_emu_gather(transposed ? GML_EMU_IN_LOAD_MATRIX_TRANSPOSED : GML_EMU_IN_LOAD_MATRIX,
                        &mine, site))
        return;
    gml_emu_warp *warp = &gml_emu.warps[gml_emu.current / 32];
    for (unsigned lane = 0; lane < 32; lane++)
        all[lane] = warp->operand[lane];
    for (unsigned lane = 0; lane < 32; lane++)
        for (unsigned i = 0; i < 4; i++) {
            unsigned far = lane / 4;
            unsigned near = lane % 4 * 2;
            uint32_t low = transposed ? element(all, i, near, far) : element(all, i, far, near);
            uint32_t high =
                transposed ? element(all, i, near + 1, far) : element(all, i, far, near + 1);
            all[lane]->words[i] = low | high << 16;
        }
}

/* ---- names --------------------------------------------------------------------------------
 */

#define ROW(function)                                                                          \
    {                                                                                          \
#        function, (void (*)(void))(function)                                                  \
    }

const gml_code_function *gml_emu_functions(size_t *out_count)
{
    static const gml_code_function functions[] = {
        ROW(gml_emu_thread),         ROW(gml_emu_block),           ROW(gml_emu_blocks),
        ROW(gml_emu_shared),         ROW(gml_emu_barrier),         ROW(gml_emu_shuffle_xor),
        ROW(gml_emu_mma_bf16),       ROW(gml_emu_mma_tf32),        ROW(gml_emu_load_matrix),
        ROW(gml_emu_copy_async),     ROW(gml_emu_copy_commit),     ROW(gml_emu_copy_wait),
        ROW(gml_emu_access),         ROW(gml_emu_access_masked),   ROW(gml_emu_mbarrier_init),
        ROW(gml_emu_mbarrier_fence), ROW(gml_emu_mbarrier_arrive), ROW(gml_emu_mbarrier_expect),
        ROW(gml_emu_mbarrier_wait),  ROW(gml_emu_proxy_fence),     ROW(gml_emu_copy_box),
        ROW(gml_emu_wgmma),          ROW(gml_emu_wgmma_fence),     ROW(gml_emu_wgmma_commit),
        ROW(gml_emu_wgmma_wait),
    };
    *out_count = sizeof functions / sizeof *functions;
    return functions;
}
