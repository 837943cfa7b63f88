#include "runtime/host/random_util.h"

#include "base/map.h"
#include "base/philox.h"

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

void gml_random_words(const gml_random *random, uint64_t counter, uint32_t out_words[4])
{
    uint32_t place[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    gml_philox(random->key, place, out_words);
}

double gml_random_uniform(const gml_random *random, uint64_t counter)
{
    uint32_t words[4];
    gml_random_words(random, counter, words);
    return gml_philox_unit(words[0], words[1]);
}

/* Box and Muller: a radius and an angle; 1 - u is never zero. */
double gml_random_normal(const gml_random *random, uint64_t counter)
{
    const double two_pi = 6.28318530717958647692;
    uint32_t words[4];
    gml_random_words(random, counter, words);
    double radius = sqrt(-2 * log(1 - gml_philox_unit(words[0], words[1])));
    return radius * cos(two_pi * gml_philox_unit(words[2], words[3]));
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
