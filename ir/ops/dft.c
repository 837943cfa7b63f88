/* ir/ops/dft.c - DFT: the discrete Fourier transform along one axis.
 *
 * The last axis holds the real part, or real and imaginary part. A signal shorter than
 * dft_length is padded with zeros, a longer one cut. Kinds: forward, inverse   n complex
 * elements onesided           the first n / 2 + 1 of them onesided, inverse  from those n / 2 +
 * 1 back to n real elements: every element but the first, and the last of an even n, stands for
 * itself and its conjugate
 *
 * A real signal is one sum of n terms. For a complex one a constant n = p q is summed in two
 * stages (Cooley and Tukey), p the greatest divisor up to sqrt(n), and so rounds as
 * single-precision fast transforms do: ONNX's own data for complex input has the rounding
 * errors of one where the exact result is 0, and a tolerance below them. With w(n) = exp(-2 pi
 * i / n) y[k] = sum over j < q of  w(q)^(j m) w(n)^(j r)  sum over a < p of  w(p)^(a r) x[j + q
 * a] where k = r + p m.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/fourier_util.h"

static const gml_attr_spec attrs[] = {
    {"inverse", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"onesided", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

typedef struct transform {
    int axis;
    gml_dim length; /* n */
    bool inverse, onesided;
} transform;

/* `length` and `axis` are the operands' values where given. */
static bool read_transform(transform *t, gml_dim_pool *pool, const gml_node *node,
                           const gml_dim *length, const gml_dim *axis)
{
    const gml_type *type = gml_operand_type(node, 0);
    int64_t number = axis ? *axis : -2;
    if (!gml_dim_is_const(number) || number < -type->rank || number >= type->rank)
        return false;
    t->axis = (int)(number < 0 ? number + type->rank : number);
    t->inverse = gml_node_int(node, "inverse", 0) != 0;
    t->onesided = gml_node_int(node, "onesided", 0) != 0;
    t->length = type->dims[t->axis];
    if (t->inverse && t->onesided)
        t->length = gml_dim_mul(pool, gml_dim_sub(pool, t->length, 1), 2);
    if (length)
        t->length = *length;
    return t->axis < type->rank - 1;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    gml_dim length = 0;
    gml_dim axis = -2;
    if (gml_has_operand(cx->node, 1))
        GML_TRY(gml_expect_size(cx, 1, &length));
    if (gml_has_operand(cx->node, 2))
        GML_TRY(gml_expect_size(cx, 2, &axis));
    transform t;
    if (type->rank < 2 || !read_transform(&t, cx->dims, cx->node,
                                          gml_has_operand(cx->node, 1) ? &length : NULL, &axis))
        return gml_infer_fail(cx, GML_E_RANGE, "the axis is outside the signal's axes, rank %d",
                              type->rank);
    gml_dim parts = type->dims[type->rank - 1];
    if (!gml_dim_is_const(parts) || (parts != 1 && parts != 2))
        return gml_infer_fail(cx, GML_E_SHAPE, "the last dimension is neither 1 nor 2");
    if (gml_infer_exceeds(cx, 1, t.length))
        return gml_infer_fail(cx, GML_E_RANGE, "a transform of %lld elements",
                              (long long)t.length);
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < type->rank; d++)
        dims[d] = type->dims[d];
    dims[t.axis] = t.length;
    if (t.onesided && !t.inverse)
        dims[t.axis] = gml_dim_add(cx->dims, gml_dim_div(cx->dims, t.length, 2), 1);
    dims[type->rank - 1] = t.onesided && t.inverse ? 1 : 2;
    return gml_infer_set(cx, 0, type->dtype, type->rank, dims);
}

/* How often element k of half a spectrum counts. */
static const gml_expr *multiplicity(gml_lower *x, const gml_expr *k, gml_dim n, gml_dtype dtype)
{
    const gml_expr *twice = gml_mul(x, k, gml_i64(x, 2));
    const gml_expr *alone =
        gml_or(x, gml_eq(x, k, gml_i64(x, 0)), gml_eq(x, twice, gml_size(x, n)));
    return gml_select(x, alone, gml_const(x, dtype, 1), gml_const(x, dtype, 2));
}

/* The element at `position` along the transform's axis; zero beyond the signal. `index` are the
 * other positions. */
static gml_complex element(gml_lower *x, const transform *t, const gml_expr *const *index,
                           const gml_expr *position)
{
    int last = gml_operand_rank(x, 0) - 1;
    const gml_expr *at[GML_MAX_RANK];
    for (int d = 0; d < last; d++)
        at[d] = d == t->axis ? position : index[d];
    const gml_expr *inside = gml_in_range(x, position, gml_operand_dim(x, 0, t->axis));
    const gml_expr *zero = gml_const(x, gml_operand_dtype(x, 0), 0);
    const gml_expr *parts[2] = {NULL, NULL};
    for (int part = 0; part < gml_operand_dim(x, 0, last); part++) {
        at[last] = gml_i64(x, part);
        parts[part] = gml_wide(x, gml_at_if(x, 0, at, inside, zero));
    }
    return (gml_complex){parts[0], parts[1]};
}

/* The terms of the inner sum: the greatest divisor of n up to its root, or 1 for a single sum.
 */
static int64_t first_stage(gml_lower *x, gml_dim n)
{
    int64_t best = 1;
    bool is_complex = gml_operand_dim(x, 0, gml_operand_rank(x, 0) - 1) == 2;
    for (int64_t p = 2; is_complex && gml_dim_is_const(n) && p <= n / p && p < 65536; p++)
        if (n % p == 0)
            best = p;
    return best;
}

/* The sum over j described above. */
static const gml_expr *whole_spectrum(gml_lower *x, const transform *t,
                                      const gml_expr *const *index, const gml_expr *part)
{
    int sign = t->inverse ? 1 : -1;
    int64_t p = first_stage(x, t->length);
    gml_dim q = gml_dim_div(x->kernel->dims, t->length, p);
    const gml_axis *outer = gml_reduce_axis(x, q);
    const gml_expr *j = gml_axis_value(x, outer);
    const gml_expr *k = index[t->axis];
    const gml_expr *m = gml_floordiv(x, k, gml_i64(x, p));
    gml_complex z;
    if (p == 1) {
        z = element(x, t, index, j);
    } else {
        const gml_axis *inner = gml_reduce_axis(x, p);
        const gml_expr *a = gml_axis_value(x, inner);
        const gml_expr *r = gml_floormod(x, k, gml_i64(x, p));
        z = element(x, t, index, gml_add(x, j, gml_mul(x, a, gml_size(x, q))));
        z = gml_complex_sum(x, inner, gml_complex_rotate(x, z, gml_mul(x, a, r), p, sign));
        z = gml_complex_rotate(x, z, gml_mul(x, j, r), t->length, sign);
    }
    z = gml_complex_rotate(x, z, gml_mul(x, j, m), q, sign);
    return gml_reduce(x, GML_REDUCE_SUM, outer, gml_complex_part(x, z, part));
}

/* Element `index` of the real signal that has this half of a spectrum. */
static const gml_expr *real_signal(gml_lower *x, const transform *t,
                                   const gml_expr *const *index)
{
    gml_dim_pool *pool = x->kernel->dims;
    gml_dim terms = gml_dim_add(pool, gml_dim_div(pool, t->length, 2), 1);
    const gml_axis *axis = gml_reduce_axis(x, terms);
    const gml_expr *k = gml_axis_value(x, axis);
    gml_complex z = element(x, t, index, k);
    z = gml_complex_rotate(x, z, gml_mul(x, k, index[t->axis]), t->length, 1);
    const gml_expr *term = gml_mul(x, z.real, multiplicity(x, k, t->length, z.real->dtype));
    return gml_reduce(x, GML_REDUCE_SUM, axis, term);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    size_t count;
    transform t;
    if (!read_transform(&t, x->kernel->dims, node,
                        gml_has_operand(node, 1) ? gml_operand_elements(x, 1, &count) : NULL,
                        gml_has_operand(node, 2) ? gml_operand_elements(x, 2, &count) : NULL))
        GML_BUG("an axis that infer accepted");
    const gml_expr *part = index[gml_operand_rank(x, 0) - 1];
    const gml_expr *sum = t.inverse && t.onesided ? real_signal(x, &t, index)
                                                  : whole_spectrum(x, &t, index, part);
    if (t.inverse)
        sum = gml_div(x, sum, gml_cast(x, gml_size(x, t.length), sum->dtype));
    return gml_cast(x, sum, gml_result_dtype(x, result));
}

static gml_value *build_dft(gml_build *b, gml_value *x, const transform *t, bool inverse,
                            bool onesided)
{
    gml_value *operands[3] = {x, gml_build_as_scalar(b, gml_build_dims(b, &t->length, 1)),
                              gml_build_scalar(b, GML_I64, t->axis)};
    gml_attr given[2] = {gml_attr_int("inverse", inverse), gml_attr_int("onesided", onesided)};
    return gml_build_op(b, &gml_op_dft, operands, 3, given, 2);
}

/* How often the elements of half a spectrum count, (K, 1…), to broadcast from `axis` on. */
static gml_value *multiplicities(gml_build *b, const transform *t, gml_dtype dtype, int rank)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_dim n = gml_dim_add(pool, gml_dim_div(pool, t->length, 2), 1);
    gml_dim dims[GML_MAX_RANK] = {n};
    for (int d = t->axis + 1; d < rank; d++)
        dims[d - t->axis] = 1;
    gml_value *k = gml_build_range(b, n);
    gml_value *end = gml_build_size(b, GML_I64, t->length);
    gml_value *zero = gml_build_scalar(b, GML_I64, 0);
    gml_value *last = gml_build_binary(b, &gml_op_equal, gml_build_add(b, k, k), end);
    gml_value *first = gml_build_binary(b, &gml_op_equal, k, zero);
    gml_value *alone = gml_build_binary(b, &gml_op_or, first, last);
    gml_value *times =
        gml_build_where(b, alone, gml_build_scalar(b, dtype, 1), gml_build_scalar(b, dtype, 2));
    return gml_build_reshape(b, times, dims, (size_t)(rank - t->axis));
}

/* The transform is linear, and its transpose one of the other direction, but for the factor: of
 * half a spectrum the rest is zero; back to a real signal the elements count once or twice. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_node *node = g->node;
    gml_arena *arena = &node->graph->module->arena;
    const gml_type *x = &node->operands[0]->type;
    gml_value *dy = g->results[0];
    size_t count;
    transform t;
    if (!read_transform(
            &t, &node->graph->module->dims, node,
            gml_has_operand(node, 1) ? gml_value_elements(node->operands[1], arena, &count)
                                     : NULL,
            gml_has_operand(node, 2) ? gml_value_elements(node->operands[2], arena, &count)
                                     : NULL))
        GML_BUG("an axis that infer accepted");
    gml_value *n = gml_build_size(b, dy->type.dtype, t.length);
    gml_value *dx;
    if (t.inverse && t.onesided) {
        dx = gml_build_div(b, build_dft(b, dy, &t, false, true), n);
        dx = gml_build_mul(b, dx, multiplicities(b, &t, dy->type.dtype, x->rank));
    } else {
        dx = gml_build_resized(b, dy, t.axis, t.length);
        dx = build_dft(b, dx, &t, !t.inverse, false);
        dx = t.inverse ? gml_build_div(b, dx, n) : gml_build_mul(b, dx, n);
    }
    dx = gml_build_resized(b, dx, t.axis, x->dims[t.axis]);
    g->operands[0] = gml_build_slice(b, dx, x->rank - 1, 0, x->dims[x->rank - 1]);
    return b->status;
}

const gml_op_info gml_op_dft = {
    .name = "DFT",
    .doc = "The discrete Fourier transform along one axis.",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = 1U << 1 | 1U << 2,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
