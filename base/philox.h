/* base/philox.h - random words without state: Philox 4x32 with 10 rounds (Salmon et al.,
 * "Parallel random numbers: as easy as 1, 2, 3").
 *
 * 128 random bits are a function of a key and a counter, so that a number depends on its place
 * and never on the order of work. Pure.
 */
#ifndef GML_BASE_PHILOX_H
#define GML_BASE_PHILOX_H

#include <stdint.h>

void gml_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out_words[4]);

/* 53 bits of two words, evenly in [0, 1): a multiple of 2^-53. */
static inline double gml_philox_unit(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

#endif
