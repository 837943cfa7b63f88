/* api/compare_values.c - are two values close? */
#include "api/check.h"
#include "runtime/host.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *shape_text(const gml_tensor *tensor, gml_arena *arena)
{
    const char *text = gml_arena_printf(arena, "%s[", gml_dtype_name(tensor->dtype));
    for (int d = 0; d < tensor->rank; d++)
        text = gml_arena_printf(arena, "%s%s%" PRId64, text, d ? "," : "", tensor->dims[d]);
    return gml_arena_printf(arena, "%s]", text);
}

static bool same_shape(const gml_tensor *a, const gml_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

static bool close_strings(const gml_tensor *a, const gml_tensor *b, gml_arena *arena,
                          const char **why)
{
    const gml_string *x = a->data;
    const gml_string *y = b->data;
    for (int64_t i = 0; i < gml_tensor_numel(a); i++) {
        if (x[i].len == y[i].len &&
            (x[i].len == 0 || memcmp(x[i].data, y[i].data, x[i].len) == 0))
            continue;
        *why = gml_arena_printf(arena, "element %" PRId64 " is '%.*s', expected '%.*s'", i,
                                (int)x[i].len, x[i].data ? x[i].data : "", (int)y[i].len,
                                y[i].data ? y[i].data : "");
        return false;
    }
    return true;
}

static double element(const gml_tensor *tensor, int64_t i)
{
    if (gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT)
        return gml_host_get_float(tensor, i);
    return (double)gml_host_get_int(tensor, i);
}

static bool close_numbers(const gml_tensor *a, const gml_tensor *b, double rtol, double atol,
                          gml_arena *arena, const char **why, double *deviation)
{
    int64_t n_bad = 0;
    int64_t first = -1;
    int64_t worst = -1;
    double worst_diff = -1;
    int64_t n = gml_tensor_numel(a);
    for (int64_t i = 0; i < n; i++) {
        double x = element(a, i);
        double y = element(b, i);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        double diff = fabs(x - y);
        if (!isnan(diff) && diff > *deviation)
            *deviation = diff;
        if (diff <= atol + rtol * fabs(y))
            continue;
        n_bad++;
        first = first < 0 ? i : first;
        if (worst < 0 || isnan(diff) || diff > worst_diff) {
            worst = i;
            worst_diff = diff;
        }
    }
    if (n_bad == 0)
        return true;
    *why = gml_arena_printf(arena,
                            "%" PRId64 " of %" PRId64 " elements differ, first %" PRId64
                            "; the worst, %" PRId64 ", is %.9g, expected %.9g",
                            n_bad, n, first, worst, element(a, worst), element(b, worst));
    return false;
}

/* Real and imaginary parts are compared as twice as many reals. */
static gml_tensor as_reals(const gml_tensor *tensor)
{
    gml_tensor reals = {.dtype = tensor->dtype == GML_C64 ? GML_F32 : GML_F64, .rank = 1};
    reals.dims[0] = gml_tensor_numel(tensor) * 2;
    reals.data = tensor->data;
    return reals;
}

static bool close_tensors(const gml_tensor *a, const gml_tensor *b, double rtol, double atol,
                          gml_arena *arena, const char **why, double *deviation)
{
    if (!same_shape(a, b)) {
        *why = gml_arena_printf(arena, "is %s, expected %s", shape_text(a, arena),
                                shape_text(b, arena));
        return false;
    }
    if (a->dtype == GML_STRING)
        return close_strings(a, b, arena, why);
    if (gml_dtype_get_class(a->dtype) == GML_CLASS_COMPLEX) {
        gml_tensor x = as_reals(a);
        gml_tensor y = as_reals(b);
        return close_numbers(&x, &y, rtol, atol, arena, why, deviation);
    }
    return close_numbers(a, b, rtol, atol, arena, why, deviation);
}

bool gml_values_close(const gml_rvalue *actual, const gml_rvalue *expected, double rtol,
                      double atol, gml_arena *arena, const char **why, double *deviation)
{
    if (actual->kind != expected->kind) {
        *why = "is another kind of value than expected";
        return false;
    }
    if (actual->kind == GML_RVALUE_NONE)
        return true;
    if (actual->kind == GML_RVALUE_TENSOR)
        return close_tensors(&actual->tensor, &expected->tensor, rtol, atol, arena, why,
                             deviation);
    if (actual->n_items != expected->n_items) {
        *why = gml_arena_printf(arena, "has %zu items, expected %zu", actual->n_items,
                                expected->n_items);
        return false;
    }
    for (size_t i = 0; i < actual->n_items; i++) {
        if (gml_values_close(&actual->items[i], &expected->items[i], rtol, atol, arena, why,
                             deviation))
            continue;
        *why = gml_arena_printf(arena, "item %zu %s", i, *why);
        return false;
    }
    return true;
}
