#include "runtime/host/scatter_util.h"

#include <math.h>

gml_status gml_combine_of(gml_host_call *call, gml_dtype dtype, gml_combine *out_combine)
{
    static const struct {
        const char *name;
        gml_combine combine;
    } rows[] = {
        {"none", GML_COMBINE_REPLACE}, {"add", GML_COMBINE_ADD}, {"mul", GML_COMBINE_MUL},
        {"min", GML_COMBINE_MIN},      {"max", GML_COMBINE_MAX},
    };
    *out_combine = GML_COMBINE_REPLACE;
    if (gml_host_attr(call, "reduction") == NULL)
        return GML_OK;
    size_t i = 0;
    while (i < sizeof rows / sizeof *rows &&
           !gml_host_string_is(call, "reduction", rows[i].name))
        i++;
    if (i == sizeof rows / sizeof *rows)
        return gml_host_fail(call, GML_E_INVALID,
                             "reduction is none of none, add, mul, min and max");
    gml_dtype_class dtype_class = gml_dtype_get_class(dtype);
    bool is_number = dtype_class != GML_CLASS_STRING && dtype_class != GML_CLASS_COMPLEX;
    if (rows[i].combine != GML_COMBINE_REPLACE && !is_number)
        return gml_host_fail(call, GML_E_TYPE, "%s has no reduction %s", gml_dtype_name(dtype),
                             rows[i].name);
    *out_combine = rows[i].combine;
    return GML_OK;
}

static double combine_floats(gml_combine combine, double a, double b)
{
    switch (combine) {
    case GML_COMBINE_ADD: return a + b;
    case GML_COMBINE_MUL: return a * b;
    case GML_COMBINE_MIN: return isnan(a) || a < b ? a : b;
    case GML_COMBINE_MAX: return isnan(a) || a > b ? a : b;
    case GML_COMBINE_REPLACE: break;
    }
    return b;
}

/* Wraps around; u64 is compared by its bits. */
static int64_t combine_ints(gml_combine combine, bool is_unsigned, int64_t a, int64_t b)
{
    bool is_less = is_unsigned ? (uint64_t)a < (uint64_t)b : a < b;
    switch (combine) {
    case GML_COMBINE_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case GML_COMBINE_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case GML_COMBINE_MIN: return is_less ? a : b;
    case GML_COMBINE_MAX: return is_less ? b : a;
    case GML_COMBINE_REPLACE: break;
    }
    return b;
}

void gml_combine_element(gml_combine combine, const gml_tensor *to, int64_t i,
                         const gml_tensor *from, int64_t j)
{
    if (combine == GML_COMBINE_REPLACE) {
        gml_host_copy(to, i, from, j, 1);
    } else if (gml_dtype_get_class(to->dtype) == GML_CLASS_FLOAT) {
        /* Sums and products in double round once: an f32 result is that of f32 arithmetic. */
        gml_host_put(
            to, i,
            combine_floats(combine, gml_host_get_float(to, i), gml_host_get_float(from, j)));
    } else {
        bool is_unsigned = gml_dtype_get_class(to->dtype) == GML_CLASS_UNSIGNED;
        gml_host_put_int(to, i,
                         combine_ints(combine, is_unsigned, gml_host_get_int(to, i),
                                      gml_host_get_int(from, j)));
    }
}
