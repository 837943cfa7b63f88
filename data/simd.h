/* data/simd.h - loops over pixels for the machine at hand.
 *
 * A function marked GML_CLONES is compiled for plain x86-64, x86-64-v3 (AVX2) and v4 (AVX-512),
 * and the loader of the program picks. All give the same bits: integers, and floating point
 * without contraction. Sanitizers do not get along with that choice; their builds have the
 * plain one.
 */
#ifndef GML_DATA_SIMD_H
#define GML_DATA_SIMD_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(GML_ONE_CLONE)
#    define GML_CLONES                                                                         \
        __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#    define GML_CLONES
#endif

/* 16 lanes; a machine with shorter registers takes several. */
#define GML_LANES 16
typedef int32_t gml_int16 __attribute__((vector_size(64)));
typedef uint16_t gml_short16 __attribute__((vector_size(32)));
typedef uint8_t gml_byte16 __attribute__((vector_size(16)));

/* Bytes as integers; in two steps, which gcc 12 has instructions for. */
#define GML_WIDEN(bytes)                                                                       \
    __builtin_convertvector(__builtin_convertvector((bytes), gml_short16), gml_int16)

#endif
