#include "runtime/host/random_util.h"

#include "base/map.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

gml_random gml_random_of(const gml_host_call *call)
{
    float seed = gml_host_float(call, "seed", 0);
    uint64_t key = 0;
    if (gml_host_attr(call, "seed") != NULL)
        key = gml_hash_bytes(&seed, sizeof seed, 1);
    else if (call->node != NULL)
        key = gml_hash_bytes(call->node, strlen(call->node), 2);
    return (gml_random){{(uint32_t)key, (uint32_t)(key >> 32)}};
}

/* Ten rounds of two multiplications; the key moves on by Weyl constants. */
void gml_random_words(const gml_random *random, uint64_t counter, uint32_t out_words[4])
{
    uint32_t x[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    uint32_t key[2] = {random->key[0], random->key[1]};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * x[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * x[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ x[1] ^ key[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ x[3] ^ key[1], (uint32_t)a};
        memcpy(x, next, sizeof x);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    memcpy(out_words, x, sizeof x);
}

/* 53 bits of two words. */
static double unit(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

double gml_random_uniform(const gml_random *random, uint64_t counter)
{
    uint32_t words[4];
    gml_random_words(random, counter, words);
    return unit(words[0], words[1]);
}

/* Box and Muller: a radius and an angle; 1 - u is never zero. */
double gml_random_normal(const gml_random *random, uint64_t counter)
{
    const double two_pi = 6.28318530717958647692;
    uint32_t words[4];
    gml_random_words(random, counter, words);
    double radius = sqrt(-2 * log(1 - unit(words[0], words[1])));
    return radius * cos(two_pi * unit(words[2], words[3]));
}

/* The shape that the attribute `shape` gives. */
static gml_status read_shape(gml_host_call *call, gml_tensor *out_shape)
{
    size_t rank = 0;
    const int64_t *dims = gml_host_ints(call, "shape", &rank);
    if (rank > GML_MAX_RANK)
        return gml_host_fail(call, GML_E_SHAPE, "rank %zu is above %d", rank, GML_MAX_RANK);
    *out_shape = (gml_tensor){.rank = (int)rank};
    if (rank > 0)
        memcpy(out_shape->dims, dims, rank * sizeof *dims);
    return GML_OK;
}

gml_status gml_host_fill_random(gml_host_call *call, bool like, bool normal)
{
    const gml_tensor *x = NULL;
    gml_tensor shape = {0};
    if (like) {
        GML_TRY(gml_host_require(call, 0, &x));
        shape = *x;
    } else {
        GML_TRY(read_shape(call, &shape));
    }
    const gml_tensor *y = NULL;
    gml_dtype dtype = (gml_dtype)gml_host_int(call, "dtype", like ? shape.dtype : GML_F32);
    if (gml_dtype_get_class(dtype) != GML_CLASS_FLOAT)
        return gml_host_fail(call, GML_E_TYPE, "random numbers are floats");
    GML_TRY(gml_host_alloc(call, 0, dtype, shape.rank, shape.dims, &y));
    double low = (double)gml_host_float(call, normal ? "mean" : "low", 0);
    double scale = normal ? (double)gml_host_float(call, "scale", 1)
                          : (double)gml_host_float(call, "high", 1) - low;
    gml_random random = gml_random_of(call);
    for (int64_t i = 0; i < gml_tensor_numel(y); i++) {
        double number = normal ? gml_random_normal(&random, (uint64_t)i)
                               : gml_random_uniform(&random, (uint64_t)i);
        gml_host_put(y, i, low + scale * number);
    }
    return GML_OK;
}
