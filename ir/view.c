/* ir/view.c - index arithmetic that several views share. */
#include "ir/view.h"

#include "ir/scalar.h"

void gml_copy_index(const gml_expr *const *index, int rank, const gml_expr **out_index)
{
    for (int i = 0; i < rank; i++)
        out_index[i] = index[i];
}

/* The product of the first i dimensions, for i from 0 to the rank. */
static void prefix_products(gml_dim_pool *pool, const gml_type *type, gml_dim *out_products)
{
    out_products[0] = 1;
    for (int i = 0; i < type->rank; i++)
        out_products[i + 1] = gml_dim_mul(pool, out_products[i], type->dims[i]);
}

/* A run of dimensions: from `begin` to before `end`. */
typedef struct dim_run {
    int begin, end;
} dim_run;

/* The shortest pair of runs after `*from` and `*to` with equal products; all that is left when
 * there is none. `a` and `b` are prefix products. */
static void next_runs(const gml_dim *a, int rank_a, const gml_dim *b, int rank_b, dim_run *from,
                      dim_run *to)
{
    from->begin = from->end;
    to->begin = to->end;
    for (int i = from->begin + 1; i <= rank_a; i++) {
        for (int j = to->begin + 1; j <= rank_b; j++) {
            if (a[i] == b[j]) {
                from->end = i;
                to->end = j;
                return;
            }
        }
    }
    from->end = rank_a;
    to->end = rank_b;
}

void gml_reshape_index(gml_lower *x, const gml_type *from, const gml_type *to,
                       const gml_expr *const *index, const gml_expr **out_index)
{
    gml_dim a[GML_MAX_RANK + 1];
    gml_dim b[GML_MAX_RANK + 1];
    prefix_products(x->kernel->dims, from, a);
    prefix_products(x->kernel->dims, to, b);
    dim_run in = {0, 0};
    dim_run out = {0, 0};
    const gml_expr *const none[1] = {NULL};
    if (index == NULL) /* of a scalar */
        index = none;
    const gml_dim *to_dims = to->rank == 0 ? b : to->dims;
    while (in.end < from->rank) {
        next_runs(a, from->rank, b, to->rank, &in, &out);
        int n_in = in.end - in.begin;
        int n_out = out.end - out.begin;
        if (n_in == 1 && n_out == 1 && from->dims[in.begin] == to->dims[out.begin]) {
            out_index[in.begin] = index[out.begin];
            continue;
        }
        const gml_expr *flat = gml_flatten(x, n_out, to_dims + out.begin, index + out.begin);
        gml_unflatten(x, flat, n_in, from->dims + in.begin, out_index + in.begin);
    }
}

const gml_expr *gml_clamp_index(gml_lower *x, const gml_expr *index, gml_dim size)
{
    const gml_expr *last = gml_sub(x, gml_size(x, size), gml_i64(x, 1));
    return gml_max(x, gml_min(x, index, last), gml_i64(x, 0));
}

const gml_expr *gml_wrap_index(gml_lower *x, const gml_expr *index, gml_dim size)
{
    const gml_expr *wide = gml_cast(x, index, GML_I64);
    const gml_expr *from_end = gml_add(x, wide, gml_size(x, size));
    const gml_expr *negative = gml_lt(x, wide, gml_i64(x, 0));
    return gml_clamp_index(x, gml_select(x, negative, from_end, wide), size);
}

const gml_expr *gml_pick_dim(gml_lower *x, const gml_dim *dims, size_t count,
                             const gml_expr *index)
{
    const gml_expr *result = gml_size(x, count ? dims[count - 1] : 0);
    for (size_t i = count; i-- > 1;) {
        const gml_expr *here = gml_eq(x, index, gml_i64(x, (int64_t)i - 1));
        result = gml_select(x, here, gml_size(x, dims[i - 1]), result);
    }
    return result;
}

/* One element as a lane (ir/scalar.h). */
typedef union lane {
    float f32;
    double f64;
    int64_t i64;
} lane;

static lane read_lane(const gml_tensor *tensor, int64_t i)
{
    lane value = {.i64 = 0};
    size_t at = (size_t)i * gml_dtype_size(tensor->dtype);
    gml_lanes_load(tensor->dtype, (const char *)tensor->data + at, 1, &value, 1);
    return value;
}

double gml_tensor_number(const gml_tensor *tensor, int64_t i)
{
    lane value = read_lane(tensor, i);
    switch (gml_dtype_lanes(tensor->dtype)) {
    case GML_LANE_F32: return (double)value.f32;
    case GML_LANE_F64: return value.f64;
    case GML_LANE_I64: break;
    }
    return (double)value.i64;
}

const gml_expr *gml_tensor_element(gml_lower *x, const gml_tensor *tensor, int64_t i)
{
    if (gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT)
        return gml_expr_float(x->kernel, tensor->dtype, gml_tensor_number(tensor, i));
    return gml_expr_int(x->kernel, tensor->dtype, read_lane(tensor, i).i64);
}

gml_status gml_infer_ints(gml_infer *cx, unsigned k, const int64_t **out_values,
                          size_t *out_count)
{
    const gml_dim *elements;
    GML_TRY(gml_infer_elements(cx, k, &elements, out_count));
    for (size_t i = 0; i < *out_count; i++) {
        if (!gml_dim_is_const(elements[i]))
            return gml_infer_fail(cx, GML_E_UNSUPPORTED,
                                  "element %zu of operand %u depends on a symbolic size", i, k);
    }
    *out_values = elements; /* a constant size is its own value */
    return GML_OK;
}

gml_status gml_infer_axes(gml_infer *cx, const int64_t *axes, size_t count, int rank,
                          unsigned *out_set)
{
    *out_set = 0;
    for (size_t i = 0; i < count; i++) {
        int axis;
        GML_TRY(gml_infer_axis(cx, axes[i], rank, &axis));
        if (*out_set >> axis & 1u)
            return gml_infer_fail(cx, GML_E_INVALID, "axis %d is given twice", axis);
        *out_set |= 1u << axis;
    }
    return GML_OK;
}
