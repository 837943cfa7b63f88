/* api/limits.c - what this machine can do at most.
 *
 * The multiply-adds are a loop over independent accumulators that the C compiler turns into
 * vector code for the widest vectors of the machine (one function a width, chosen at run time).
 */
#define _POSIX_C_SOURCE 200809L

#include "api/limits.h"

#include <stdlib.h>
#include <time.h>

#define GML_SUMS       192 /* 12 vectors of 16: more than latency times throughput anywhere */
#define GML_ROUNDS     200000
#define GML_READ_BYTES ((int64_t)256 << 20)

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#define MULTIPLY_ADD_BODY                                                                      \
    float sums[GML_SUMS];                                                                      \
    for (int i = 0; i < GML_SUMS; i++)                                                         \
        sums[i] = (float)i;                                                                    \
    float a = *seed;                                                                           \
    float b = 1 - a;                                                                           \
    for (int round = 0; round < GML_ROUNDS; round++)                                           \
        for (int i = 0; i < GML_SUMS; i++)                                                     \
            sums[i] = __builtin_fmaf(sums[i], a, b);                                           \
    float total = 0;                                                                           \
    for (int i = 0; i < GML_SUMS; i++)                                                         \
        total += sums[i];                                                                      \
    return total

#if defined(__x86_64__)
/* Clang turns the loop into vectors at -O2 already, and knows neither word. */
#    if defined(__clang__)
#        define GML_WIDE_TARGET __attribute__((target("avx512f,fma")))
#        define GML_AVX2_TARGET __attribute__((target("avx2,fma")))
#    else
#        define GML_WIDE_TARGET                                                                \
            __attribute__((target("avx512f,fma,prefer-vector-width=512"), optimize("O3")))
#        define GML_AVX2_TARGET __attribute__((target("avx2,fma"), optimize("O3")))
#    endif

GML_WIDE_TARGET static float multiply_add_512(const float *seed)
{
    MULTIPLY_ADD_BODY;
}

GML_AVX2_TARGET static float multiply_add_256(const float *seed)
{
    MULTIPLY_ADD_BODY;
}
#endif

static float multiply_add(const float *seed)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return multiply_add_512(seed);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return multiply_add_256(seed);
#endif
    MULTIPLY_ADD_BODY;
}

static void compute_units(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                          void *scratch)
{
    (void)dims;
    (void)scratch;
    const float *seed = mems[0];
    float *out = mems[1];
    for (int64_t i = begin; i < end; i++)
        out[i] = multiply_add(seed);
}

static void read_units(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const uint64_t *words = mems[0];
    uint64_t *out = mems[1];
    int64_t n = dims[0];
    for (int64_t unit = begin; unit < end; unit++) {
        uint64_t sums[8] = {0};
        for (int64_t i = unit * n; i < (unit + 1) * n; i += 8)
            for (int j = 0; j < 8; j++)
                sums[j] += words[i + j];
        out[unit] =
            sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
    }
}

void gml_measure_limits(gml_pool *pool, double *out_gflops, double *out_gbytes)
{
    int64_t n_units = pool ? gml_pool_threads(pool) : 1;
    float seed = 0.999F;
    float sink[256];
    void *mems[2] = {&seed, sink};
    gml_job compute = {.mems = mems, .extent = n_units};
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        double t = seconds();
        gml_pool_run(pool, compute_units, &compute, 1, NULL, 0);
        t = seconds() - t;
        best = t < best ? t : best;
    }
    *out_gflops = 2.0 * GML_SUMS * GML_ROUNDS * (double)n_units / best / 1e9;
    *out_gbytes = 0;
    gml_buffer *buffer = gml_buffer_create((size_t)GML_READ_BYTES, true);
    uint64_t sums[256];
    int64_t words = GML_READ_BYTES / 8 / n_units / 8 * 8;
    gml_job read = {.mems = mems, .dims = &words, .extent = n_units};
    if (!buffer)
        return;
    mems[0] = gml_buffer_data(buffer);
    mems[1] = sums;
    best = 1e9;
    for (int i = 0; i < 3; i++) {
        double t = seconds();
        gml_pool_run(pool, read_units, &read, 1, NULL, 0);
        t = seconds() - t;
        best = t < best ? t : best;
    }
    *out_gbytes = (double)words * 8 * (double)n_units / best / 1e9;
    gml_buffer_release(buffer);
}
