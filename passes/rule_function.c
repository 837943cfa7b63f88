/* passes/rule_function.c - what conditions ask and what attributes are made by.
 *
 * A value is never NULL in a binding that is a value; functions that are given an attribute
 * where they want a value say no. */
#include "ir/elementwise.h"
#include "passes/rule.h"

#include <math.h>
#include <string.h>

static const gml_type *type_of(const gml_binding *b)
{
    return b->value && b->value->type.kind == GML_TYPE_TENSOR && b->value->type.rank >= 0
               ? &b->value->type
               : NULL;
}

/* ---- conditions ---------------------------------------------------------------------------
 */

#define GML_CONDITION(name)                                                                    \
    static bool name(const gml_binding *const *args, gml_arena *arena, gml_attr *out)
#define GML_UNUSED ((void)arena, (void)out)

/* int(x), float(x), bool(x): the element type. */
GML_CONDITION(is_int)
{
    GML_UNUSED;
    return type_of(args[0]) && gml_dtype_is_int(args[0]->value->type.dtype);
}

GML_CONDITION(is_float)
{
    GML_UNUSED;
    return type_of(args[0]) && gml_dtype_is_float(args[0]->value->type.dtype);
}

GML_CONDITION(is_bool)
{
    GML_UNUSED;
    return type_of(args[0]) && args[0]->value->type.dtype == GML_BOOL;
}

/* flatter(b, x): b has fewer dimensions, as a scale or a bias of x does and a residual does
 * not. */
GML_CONDITION(is_flatter)
{
    GML_UNUSED;
    const gml_type *b = type_of(args[0]);
    const gml_type *x = type_of(args[1]);
    return b && x && b->rank < x->rank;
}

/* power_of_two(c): one number whose reciprocal is exact and normal in f16 and all wider types.
 */
GML_CONDITION(is_power_of_two)
{
    GML_UNUSED;
    double number = 0;
    int exponent;
    const gml_type *c = type_of(args[0]);
    return c && gml_dtype_bits(c->dtype) >= 16 &&
           gml_constant_number(args[0]->value, &number) &&
           fabs(frexp(number, &exponent)) == 0.5 && exponent > -12 && exponent < 14;
}

/* holds(t, x): every element of x is one of the type that attribute t names. */
GML_CONDITION(is_held)
{
    GML_UNUSED;
    const gml_type *x = type_of(args[1]);
    if (!x || args[0]->attr.kind != GML_ATTR_INT)
        return false;
    int64_t to = args[0]->attr.as.i;
    bool half = x->dtype == GML_F16 || x->dtype == GML_BF16;
    unsigned bits = gml_dtype_bits(x->dtype);
    if (to == GML_F32)
        return half || (gml_dtype_is_int(x->dtype) && bits <= 16);
    if (to == GML_F64)
        return half || x->dtype == GML_F32 || (gml_dtype_is_int(x->dtype) && bits <= 32);
    if (to == GML_I32 || to == GML_I64)
        return gml_dtype_is_int(x->dtype) && bits < (to == GML_I32 ? 32u : 64u);
    return false;
}

/* The operand's axis that axis `d` of a Transpose of rank `rank` is; -1 when there is none. */
static int source_axis(const gml_attr *perm, int rank, int d)
{
    if (perm->kind == GML_ATTR_NONE)
        return rank - 1 - d;
    if (perm->kind != GML_ATTR_INTS || perm->count != (size_t)rank)
        return -1;
    int64_t axis = perm->as.ints[d];
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

/* in_order(p, x): the permutation p of x's axes changes nothing. */
GML_CONDITION(is_in_order)
{
    GML_UNUSED;
    const gml_type *x = type_of(args[1]);
    for (int d = 0; x && d < x->rank; d++)
        if (source_axis(&args[0]->attr, x->rank, d) != d)
            return false;
    return x != NULL;
}

/* ---- attributes ---------------------------------------------------------------------------
 */

/* compose(p, q, x): Transpose by p of a Transpose of x by q. */
GML_CONDITION(compose)
{
    const gml_type *x = type_of(args[2]);
    if (!x)
        return false;
    int64_t *perm = gml_new_array(arena, int64_t, (size_t)x->rank + 1);
    for (int d = 0; d < x->rank; d++) {
        int between = source_axis(&args[0]->attr, x->rank, d);
        int axis = between < 0 ? -1 : source_axis(&args[1]->attr, x->rank, between);
        if (axis < 0)
            return false;
        perm[d] = axis;
    }
    *out = gml_attr_ints("", perm, (size_t)x->rank);
    return true;
}

/* last(a, x): the axes a are the last of x: the first of them, from the end. */
GML_CONDITION(find_last)
{
    (void)arena;
    const gml_type *x = type_of(args[1]);
    const gml_tensor *axes = args[0]->value ? args[0]->value->constant : NULL;
    if (!x || !axes || axes->dtype != GML_I64 || axes->rank != 1)
        return false;
    bool reduced[GML_MAX_RANK] = {false};
    int n_reduced = 0;
    for (int64_t i = 0; i < axes->dims[0]; i++) {
        int64_t axis;
        memcpy(&axis, (const char *)axes->data + (size_t)i * sizeof axis, sizeof axis);
        axis += axis < 0 ? x->rank : 0;
        if (axis < 0 || axis >= x->rank || reduced[axis])
            return false;
        reduced[axis] = true;
        n_reduced++;
    }
    for (int d = x->rank - n_reduced; d < x->rank; d++)
        if (!reduced[d])
            return false;
    *out = gml_attr_int("", -n_reduced);
    return n_reduced > 0;
}

/* stash(x): the type that x's moments are computed in without loss: f32, of f64 f64. */
GML_CONDITION(find_stash)
{
    (void)arena;
    const gml_type *x = type_of(args[0]);
    *out = gml_attr_int("", x && x->dtype == GML_F64 ? GML_F64 : GML_F32);
    return x && gml_dtype_is_float(x->dtype);
}

static const gml_rule_function table[] = {
    {"bool", 1, false, is_bool},
    {"compose", 3, true, compose},
    {"flatter", 2, false, is_flatter},
    {"float", 1, false, is_float},
    {"holds", 2, false, is_held},
    {"in_order", 2, false, is_in_order},
    {"int", 1, false, is_int},
    {"last", 2, true, find_last},
    {"power_of_two", 1, false, is_power_of_two},
    {"stash", 1, true, find_stash},
};

const gml_rule_function *gml_rule_function_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
            return &table[i];
    return NULL;
}
