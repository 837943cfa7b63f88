/* runtime/host/random_util.h - random numbers without state.
 *
 * Philox 4x32 with 10 rounds turns (key, counter) into 128 random bits. Element i of a result
 * uses counter i, so that it does not depend on the order of work or on the number of threads.
 *
 * The key is the attribute `seed`. Without one it is made from the node's name: two nodes
 * differ, and the same program gives the same numbers in every run. */
#ifndef GML_RUNTIME_HOST_RANDOM_UTIL_H
#define GML_RUNTIME_HOST_RANDOM_UTIL_H

#include "runtime/host/host_util.h"

typedef struct gml_random {
    uint32_t key[2];
} gml_random;

gml_random gml_random_of(const gml_host_call *call);
/* Four random words, a function of the key and `counter`. */
void gml_random_words(const gml_random *random, uint64_t counter, uint32_t out_words[4]);
/* Evenly in [0, 1), a multiple of 2^-53. */
double gml_random_uniform(const gml_random *random, uint64_t counter);
/* Normal with mean 0 and deviation 1. */
double gml_random_normal(const gml_random *random, uint64_t counter);

/* Result 0, of its inferred type, becomes a + b * (uniform | normal). The shape is the
 * attribute `shape`, or that of operand 0 when `like`. */
gml_status gml_host_fill_random(gml_host_call *call, bool like, bool normal);

#endif
