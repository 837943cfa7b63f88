/* base/sha256.c - SHA-256, as FIPS 180-4 has it. */
#include "base/sha256.h"

#include <string.h>

#define GML_ROUNDS 64

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[GML_ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

static uint32_t load_big(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void spread_block(const unsigned char *block, uint32_t words[GML_ROUNDS])
{
    for (size_t i = 0; i < 16; i++)
        words[i] = load_big(block + 4 * i);
    for (size_t i = 16; i < GML_ROUNDS; i++) {
        uint32_t near = words[i - 2];
        uint32_t far = words[i - 15];
        words[i] = words[i - 16] + (rotate(far, 7) ^ rotate(far, 18) ^ far >> 3) +
                   words[i - 7] + (rotate(near, 17) ^ rotate(near, 19) ^ near >> 10);
    }
}

/* The letters are the standard's; an array in their place takes three times as long. */
static void add_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t words[GML_ROUNDS];
    uint32_t a = state[0];
    uint32_t b = state[1];
    uint32_t c = state[2];
    uint32_t d = state[3];
    uint32_t e = state[4];
    uint32_t f = state[5];
    uint32_t g = state[6];
    uint32_t h = state[7];
    spread_block(block, words);
    for (size_t i = 0; i < GML_ROUNDS; i++) {
        uint32_t first = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                         ((e & f) ^ (~e & g)) + constants[i] + words[i];
        uint32_t second =
            (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void gml_sha256_init(gml_sha256 *sum)
{
    *sum = (gml_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                  0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void gml_sha256_add(gml_sha256 *sum, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    size_t held = (size_t)(sum->n_bytes % GML_SHA256_BLOCK);
    sum->n_bytes += len;
    if (held + len >= GML_SHA256_BLOCK && held != 0) {
        size_t missing = GML_SHA256_BLOCK - held;
        memcpy(sum->rest + held, at, missing);
        add_block(sum->state, sum->rest);
        at += missing;
        len -= missing;
        held = 0;
    }
    for (; len >= GML_SHA256_BLOCK; at += GML_SHA256_BLOCK, len -= GML_SHA256_BLOCK)
        add_block(sum->state, at);
    if (len != 0)
        memcpy(sum->rest + held, at, len);
}

/* A bit of 1, zeros, and the number of bits in the last eight bytes of a block. */
void gml_sha256_end(gml_sha256 *sum, unsigned char out_digest[GML_SHA256_SIZE])
{
    static const unsigned char padding[GML_SHA256_BLOCK] = {0x80};
    unsigned char count[8];
    uint64_t n_bits = sum->n_bytes * 8;
    size_t held = (size_t)(sum->n_bytes % GML_SHA256_BLOCK);
    for (size_t i = 0; i < 8; i++)
        count[i] = (unsigned char)(n_bits >> (56 - 8 * i));
    gml_sha256_add(sum, padding, (held < 56 ? 56 : 120) - held);
    gml_sha256_add(sum, count, sizeof count);
    for (size_t i = 0; i < GML_SHA256_SIZE; i++)
        out_digest[i] = (unsigned char)(sum->state[i / 4] >> (24 - 8 * (i % 4)));
}
