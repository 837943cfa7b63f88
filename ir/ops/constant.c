/* ir/ops/constant.c - Constant: a tensor known when compiling, in one of seven spellings.
 *
 * `infer` gives the result its elements, and users read those; `lower` only serves whoever asks
 * for an element without a memory to load it from. */
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"value", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"value_float", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"value_floats", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"value_int", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"value_ints", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"value_string", GML_ATTR_STRING, GML_ATTR_OPTIONAL},
    {"value_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {NULL},
};

static const gml_tensor *make_tensor(gml_arena *arena, gml_dtype dtype, int rank, size_t count,
                                     const void *data)
{
    gml_tensor *tensor = gml_new(arena, gml_tensor);
    tensor->dtype = dtype;
    tensor->rank = rank;
    if (rank == 1)
        tensor->dims[0] = (int64_t)count;
    tensor->data = gml_arena_copy(arena, data, count * gml_dtype_size(dtype));
    return tensor;
}

/* NULL when `attr` is of another kind. */
static const gml_tensor *read_value(gml_arena *arena, const gml_attr *attr)
{
    switch ((int)attr->kind) {
    case GML_ATTR_TENSOR: return attr->as.t;
    case GML_ATTR_FLOAT: return make_tensor(arena, GML_F32, 0, 1, &attr->as.f);
    case GML_ATTR_FLOATS: return make_tensor(arena, GML_F32, 1, attr->count, attr->as.floats);
    case GML_ATTR_INT: return make_tensor(arena, GML_I64, 0, 1, &attr->as.i);
    case GML_ATTR_INTS: return make_tensor(arena, GML_I64, 1, attr->count, attr->as.ints);
    case GML_ATTR_STRING: return make_tensor(arena, GML_STRING, 0, 1, &attr->as.s);
    case GML_ATTR_STRINGS:
        return make_tensor(arena, GML_STRING, 1, attr->count, attr->as.strings);
    default: return NULL;
    }
}

static gml_status infer(gml_infer *cx)
{
    gml_value *result = &cx->node->results[0];
    if (!result->constant) {
        if (cx->node->n_attrs != 1)
            return gml_infer_fail(cx, GML_E_INVALID, "%u values are given, not one",
                                  cx->node->n_attrs);
        result->constant = read_value(cx->arena, &cx->node->attrs[0]);
    }
    if (!result->constant)
        return gml_infer_fail(cx, GML_E_INVALID, "the value is no tensor");
    return gml_infer_set(cx, 0, result->constant->dtype, result->constant->rank,
                         result->constant->dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_value *value = &node->results[result];
    const gml_expr *flat = gml_flatten(x, value->type.rank, value->type.dims, index);
    int64_t count = gml_tensor_numel(value->constant);
    const gml_expr *element = gml_const(x, value->type.dtype, 0.0);
    for (int64_t i = count - 1; i >= 0; i--)
        element = gml_select(x, gml_eq(x, flat, gml_i64(x, i)),
                             gml_tensor_element(x, value->constant, i), element);
    return element;
}

const gml_op_info gml_op_constant = {
    .name = "Constant",
    .doc = "A tensor known when compiling.",
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VALUE_FREE,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
