/* ir/lower.c - pulling the elements of values, and the vocabulary of formulas. */
#include "ir/lower.h"

#include "ir/op.h"
#include "ir/scalar.h"

#include <math.h>

/* ---- pulling ------------------------------------------------------------------------------
 */

static const gml_expr *constant_element(gml_kernel *kernel, const gml_tensor *tensor)
{
    union {
        float f;
        double d;
        int64_t i;
    } lane = {.i = 0};
    gml_lanes_load(tensor->dtype, tensor->data, 0, &lane, 1);
    switch (gml_dtype_lanes(tensor->dtype)) {
    case GML_LANE_F32: return gml_expr_float(kernel, tensor->dtype, (double)lane.f);
    case GML_LANE_F64: return gml_expr_float(kernel, tensor->dtype, lane.d);
    case GML_LANE_I64: break;
    }
    return gml_expr_int(kernel, tensor->dtype, lane.i);
}

static bool has_number_class(gml_dtype dtype)
{
    gml_dtype_class class = gml_dtype_get_class(dtype);
    return class != GML_CLASS_STRING && class != GML_CLASS_COMPLEX && class != GML_CLASS_NONE;
}

/* Element `index` of an integer tensor whose elements are known as sizes: picked by
 * comparisons, which fold away when the index is constant. NULL when they are not known. */
static const gml_expr *known_element(gml_lower *x, const gml_value *value,
                                     const gml_expr *const *index)
{
    if (!value->elements || value->type.rank > 1)
        return NULL;
    int64_t count = value->type.rank == 0 ? 1 : value->type.dims[0];
    const gml_expr *picked = NULL;
    for (int64_t i = count - 1; i >= 0; i--) {
        const gml_expr *element =
            gml_cast(x, gml_size(x, value->elements[i]), value->type.dtype);
        picked = picked ? gml_select(x, gml_eq(x, index[0], gml_i64(x, i)), element, picked)
                        : element;
    }
    return picked;
}

static const gml_expr *lower_in_place(const gml_lower *outer, const gml_value *value,
                                      const gml_expr *const *index)
{
    const gml_node *node = value->def;
    gml_lower x = *outer;
    x.node = node;
    if (node->op->lower)
        return node->op->lower(&x, node, value->index, index);
    const gml_expr *args[GML_MAX_SCALAR_OPERANDS];
    if (!node->op->scalar || node->n_operands > GML_MAX_SCALAR_OPERANDS)
        GML_BUG("a value without memory has no elements");
    for (unsigned k = 0; k < node->n_operands; k++)
        args[k] =
            gml_has_operand(node, k) ? gml_at_broadcast(&x, k, index, value->type.rank) : NULL;
    return node->op->scalar(&x, node, args);
}

/* What a parameter of a fused region stands for. */
static const gml_value *outside(const gml_value *value)
{
    while (!value->def && value->graph->owner &&
           (value->graph->owner->op->traits & GML_INLINES))
        value = value->graph->owner->operands[value->index];
    return value;
}

static bool same_index(const gml_value *value, const gml_expr *const *a,
                       const gml_expr *const *b)
{
    for (int d = 0; d < value->type.rank; d++)
        if (a[d] != b[d])
            return false;
    return true;
}

/* Lowers in place, once for each index and guard. */
static const gml_expr *lower_once(gml_lower *x, const gml_value *value,
                                  const gml_expr *const *index)
{
    gml_kernel *kernel = x->kernel;
    for (size_t i = 0; i < kernel->pulled.count; i++) {
        const struct gml_pulled *known = &kernel->pulled.items[i];
        if (known->value == value && known->guard == x->guard &&
            same_index(value, known->index, index))
            return known->expr;
    }
    struct gml_pulled pulled = {value, x->guard, NULL, NULL};
    pulled.index =
        gml_arena_copy(kernel->arena, index, (size_t)value->type.rank * sizeof *index);
    pulled.expr = lower_in_place(x, value, index);
    gml_push(kernel->arena, &kernel->pulled, pulled);
    return pulled.expr;
}

static const gml_expr *pull(gml_lower *x, const gml_value *value, const gml_expr *const *index)
{
    value = outside(value);
    if (value->constant && has_number_class(value->constant->dtype) &&
        gml_tensor_numel(value->constant) == 1)
        return constant_element(x->kernel, value->constant);
    const gml_mem *mem = x->pull->find_mem(x->pull, x->kernel, value);
    if (mem) /* of a unit's memories without the dimensions that stages share */
        return gml_expr_load(x->kernel, mem, index + (value->type.rank - mem->rank), x->guard);
    const gml_expr *known = known_element(x, value, index);
    return known ? known : lower_once(x, value, index);
}

const gml_expr *gml_pull_value(gml_kernel *kernel, const gml_pull *how, const gml_value *value,
                               const gml_expr *const *index)
{
    gml_lower x = {.kernel = kernel, .pull = how};
    return pull(&x, value, index);
}

/* ---- operands -----------------------------------------------------------------------------
 */

const gml_expr *gml_at_value(gml_lower *x, const gml_value *value, const gml_expr *const *index)
{
    return pull(x, value, index);
}

const gml_expr *gml_at(gml_lower *x, unsigned operand, const gml_expr *const *index)
{
    return pull(x, x->node->operands[operand], index);
}

const gml_expr *gml_at_if(gml_lower *x, unsigned operand, const gml_expr *const *index,
                          const gml_expr *pred, const gml_expr *other)
{
    const gml_expr *outer = x->guard;
    x->guard = outer ? gml_and(x, outer, pred) : pred;
    const gml_expr *element = gml_at(x, operand, index);
    x->guard = outer;
    return gml_select(x, pred, element, other);
}

const gml_expr *gml_at_broadcast(gml_lower *x, unsigned operand, const gml_expr *const *index,
                                 int rank)
{
    const gml_type *type = gml_operand_type(x->node, operand);
    const gml_expr *own[GML_MAX_RANK];
    int skip = rank - type->rank;
    for (int d = 0; d < type->rank; d++)
        own[d] = type->dims[d] == 1 ? gml_i64(x, 0) : index[d + skip];
    return gml_at(x, operand, own);
}

const gml_expr *gml_at_scalar(gml_lower *x, unsigned operand)
{
    const gml_expr *index[GML_MAX_RANK];
    for (int d = 0; d < gml_operand_rank(x, operand); d++)
        index[d] = gml_i64(x, 0);
    return gml_at(x, operand, index);
}

gml_dim gml_operand_dim(const gml_lower *x, unsigned operand, int axis)
{
    return gml_operand_type(x->node, operand)->dims[axis];
}

int gml_operand_rank(const gml_lower *x, unsigned operand)
{
    return gml_operand_type(x->node, operand)->rank;
}

gml_dtype gml_operand_dtype(const gml_lower *x, unsigned operand)
{
    return gml_operand_type(x->node, operand)->dtype;
}

gml_dtype gml_result_dtype(const gml_lower *x, unsigned result)
{
    return x->node->results[result].type.dtype;
}

const gml_dim *gml_operand_elements(const gml_lower *x, unsigned operand, size_t *out_count)
{
    *out_count = 0;
    if (!gml_has_operand(x->node, operand))
        return NULL;
    return gml_value_elements(x->node->operands[operand], x->kernel->arena, out_count);
}

const double *gml_operand_floats(const gml_lower *x, unsigned operand, size_t *out_count)
{
    *out_count = 0;
    if (!gml_has_operand(x->node, operand))
        return NULL;
    return gml_value_floats(x->node->operands[operand], x->kernel->arena, out_count);
}

/* ---- formulas -----------------------------------------------------------------------------
 */

const gml_expr *gml_i64(gml_lower *x, int64_t value)
{
    return gml_expr_int(x->kernel, GML_I64, value);
}

const gml_expr *gml_size(gml_lower *x, gml_dim dim)
{
    return gml_expr_dim(x->kernel, dim);
}

const gml_expr *gml_const(gml_lower *x, gml_dtype dtype, double value)
{
    return gml_expr_float(x->kernel, dtype, value);
}

const gml_expr *gml_like(gml_lower *x, const gml_expr *like, double value)
{
    return gml_const(x, like->dtype, value);
}

static const gml_expr *extreme(gml_lower *x, gml_dtype dtype, gml_reduce_op op)
{
    if (gml_dtype_get_class(dtype) == GML_CLASS_FLOAT)
        return gml_const(x, dtype, (double)(op == GML_REDUCE_MIN ? INFINITY : -INFINITY));
    int64_t value = 0;
    gml_reduce_identity(op, dtype, &value, 1);
    return gml_expr_int(x->kernel, dtype, value);
}

const gml_expr *gml_lowest(gml_lower *x, gml_dtype dtype)
{
    return extreme(x, dtype, GML_REDUCE_MAX);
}

const gml_expr *gml_highest(gml_lower *x, gml_dtype dtype)
{
    return extreme(x, dtype, GML_REDUCE_MIN);
}

static bool compares(gml_scalar_op op)
{
    return (op >= GML_X_EQ && op <= GML_X_GE) || op == GML_X_ISNAN || op == GML_X_ISINF;
}

const gml_expr *gml_unary(gml_lower *x, gml_scalar_op op, const gml_expr *a)
{
    const gml_expr *args[3] = {a, NULL, NULL};
    return gml_expr_scalar(x->kernel, op, compares(op) ? GML_BOOL : a->dtype, 0, args);
}

const gml_expr *gml_binary(gml_lower *x, gml_scalar_op op, const gml_expr *a, const gml_expr *b)
{
    const gml_expr *args[3] = {a, b, NULL};
    if (a->dtype != b->dtype)
        GML_BUG("operands of a scalar operator have different types");
    return gml_expr_scalar(x->kernel, op, compares(op) ? GML_BOOL : a->dtype, 0, args);
}

#define BINARY(name, op)                                                                       \
    const gml_expr *gml_##name(gml_lower *x, const gml_expr *a, const gml_expr *b)             \
    {                                                                                          \
        return gml_binary(x, GML_X_##op, a, b);                                                \
    }
/* clang-format off */
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(floordiv, FLOORDIV)
BINARY(floormod, FLOORMOD)
BINARY(min, MIN)
BINARY(max, MAX)
BINARY(lt, LT)
BINARY(le, LE)
BINARY(eq, EQ)
BINARY(and, AND)
BINARY(or, OR)
/* clang-format on */

const gml_expr *gml_not(gml_lower *x, const gml_expr *a)
{
    return gml_unary(x, GML_X_NOT, a);
}

const gml_expr *gml_in_range(gml_lower *x, const gml_expr *a, gml_dim size)
{
    return gml_and(x, gml_le(x, gml_i64(x, 0), a), gml_lt(x, a, gml_size(x, size)));
}

const gml_expr *gml_select(gml_lower *x, const gml_expr *cond, const gml_expr *a,
                           const gml_expr *b)
{
    const gml_expr *args[3] = {cond, a, b};
    if (a->dtype != b->dtype || cond->dtype != GML_BOOL)
        GML_BUG("a select's operands have the wrong types");
    return gml_expr_scalar(x->kernel, GML_X_SELECT, a->dtype, 0, args);
}

const gml_expr *gml_cast(gml_lower *x, const gml_expr *a, gml_dtype dtype)
{
    return gml_cast_flags(x, a, dtype, 0);
}

const gml_expr *gml_cast_flags(gml_lower *x, const gml_expr *a, gml_dtype dtype, unsigned flags)
{
    const gml_expr *args[3] = {a, NULL, NULL};
    return gml_expr_scalar(x->kernel, GML_X_CAST, dtype, flags, args);
}

/* ---- reductions ---------------------------------------------------------------------------
 */

const gml_axis *gml_reduce_axis(gml_lower *x, gml_dim extent)
{
    return gml_kernel_add_axis(x->kernel, extent);
}

const gml_expr *gml_axis_value(gml_lower *x, const gml_axis *axis)
{
    return gml_expr_axis(x->kernel, axis);
}

const gml_expr *gml_reduce(gml_lower *x, gml_reduce_op op, const gml_axis *axis,
                           const gml_expr *body)
{
    return gml_expr_reduce(x->kernel, op, &axis, 1, body);
}

const gml_expr *gml_reduce_over(gml_lower *x, gml_reduce_op op, const gml_axis *const *axes,
                                unsigned n_axes, const gml_expr *body)
{
    /* An axis without extent goes outermost: 2^40 times nothing is no work. */
    const gml_axis *ordered[GML_MAX_AXES];
    for (unsigned i = 0; i < n_axes; i++)
        ordered[i] = axes[i];
    for (unsigned i = 1; i < n_axes; i++) {
        if (axes[i]->extent == 0) {
            ordered[0] = axes[i];
            ordered[i] = axes[0];
            break;
        }
    }
    return gml_expr_reduce(x->kernel, op, ordered, n_axes, body);
}

gml_dtype gml_accumulator(gml_dtype dtype)
{
    return gml_dtype_lanes(dtype) == GML_LANE_F32 ? GML_F32 : dtype;
}

const gml_expr *gml_flatten(gml_lower *x, int rank, const gml_dim *dims,
                            const gml_expr *const *index)
{
    const gml_expr *flat = gml_i64(x, 0);
    for (int d = 0; d < rank; d++)
        flat = gml_add(x, gml_mul(x, flat, gml_size(x, dims[d])), index[d]);
    return flat;
}

void gml_unflatten(gml_lower *x, const gml_expr *flat, int rank, const gml_dim *dims,
                   const gml_expr **out_index)
{
    for (int d = rank - 1; d >= 0; d--) {
        const gml_expr *size = gml_size(x, dims[d]);
        out_index[d] = d == 0 ? flat : gml_floormod(x, flat, size);
        flat = gml_floordiv(x, flat, size);
    }
}
