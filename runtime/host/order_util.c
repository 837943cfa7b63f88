#include "runtime/host/order_util.h"

#include <math.h>
#include <string.h>

static uint64_t float_key(double value)
{
    if (isnan(value))
        return UINT64_MAX;
    if (value == 0)
        value = 0; /* one zero */
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    uint64_t sign = (uint64_t)1 << 63;
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

uint64_t gml_order_key(const gml_tensor *tensor, int64_t i)
{
    gml_dtype_class dtype_class = gml_dtype_get_class(tensor->dtype);
    if (dtype_class == GML_CLASS_FLOAT)
        return float_key(gml_host_get_float(tensor, i));
    uint64_t value = (uint64_t)gml_host_get_int(tensor, i);
    return dtype_class == GML_CLASS_SIGNED ? value ^ ((uint64_t)1 << 63) : value;
}

/* Merges the sorted halves [0, middle) and [middle, count) of `from` into `to`. */
static void merge(const int64_t *from, int64_t *to, int64_t middle, int64_t count,
                  gml_order order, const void *context)
{
    int64_t left = 0;
    int64_t right = middle;
    for (int64_t i = 0; i < count; i++) {
        bool takes_left =
            right >= count || (left < middle && order(context, from[left], from[right]) <= 0);
        to[i] = takes_left ? from[left++] : from[right++];
    }
}

/* Bottom up: runs of `width` become runs of twice that, to and fro between the two arrays. */
void gml_sort(int64_t *items, int64_t *spare, int64_t count, gml_order order,
              const void *context)
{
    int64_t *from = items;
    int64_t *to = spare;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t start = 0; start < count; start += 2 * width) {
            int64_t length = count - start < 2 * width ? count - start : 2 * width;
            int64_t middle = length < width ? length : width;
            merge(from + start, to + start, middle, length, order, context);
        }
        int64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != items && count > 0)
        memcpy(items, from, (size_t)count * sizeof *items);
}
