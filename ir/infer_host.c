#include "ir/infer_host.h"

#include <string.h>

static bool in_set(gml_dtype dtype, uint32_t set)
{
    return ((set >> (unsigned)dtype) & 1) != 0;
}

gml_status gml_infer_expect(gml_infer *cx, unsigned k, uint32_t set)
{
    const gml_type *type = gml_operand_type(cx->node, k);
    if (type == NULL)
        return GML_OK;
    if (type->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u is not a tensor", k);
    if (!in_set(type->dtype, set))
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u may not be %s", k,
                              gml_dtype_name(type->dtype));
    return GML_OK;
}

gml_status gml_infer_expect_same(gml_infer *cx, unsigned a, unsigned b)
{
    const gml_type *type_a = gml_operand_type(cx->node, a);
    const gml_type *type_b = gml_operand_type(cx->node, b);
    if (type_a != NULL && type_b != NULL && type_a->dtype != type_b->dtype)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u is %s where operand %u is %s", b,
                              gml_dtype_name(type_b->dtype), a, gml_dtype_name(type_a->dtype));
    return GML_OK;
}

gml_status gml_infer_attr_dtype(gml_infer *cx, const char *name, gml_dtype fallback,
                                uint32_t set, gml_dtype *out_dtype)
{
    int64_t number = gml_node_int(cx->node, name, (int64_t)fallback);
    if (number <= GML_NONE || number >= GML_DTYPE_COUNT || !in_set((gml_dtype)number, set))
        return gml_infer_fail(cx, GML_E_TYPE, "attribute '%s' may not be element type %lld",
                              name, (long long)number);
    *out_dtype = (gml_dtype)number;
    return GML_OK;
}

gml_status gml_infer_fresh(gml_infer *cx, unsigned i, gml_dtype dtype, int rank,
                           const char *hint)
{
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < rank && d < GML_MAX_RANK; d++)
        dims[d] = gml_dim_fresh(cx->dims, hint);
    return gml_infer_set(cx, i, dtype, rank, dims);
}

gml_status gml_infer_unranked(gml_infer *cx, unsigned i, gml_dtype dtype)
{
    return gml_infer_set_type(cx, i, gml_type_unranked(dtype));
}

gml_status gml_infer_shaped(gml_infer *cx, unsigned i, unsigned k, gml_dtype dtype)
{
    const gml_type *type = gml_operand_type(cx->node, k);
    if (type == NULL || type->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u is not a tensor", k);
    gml_type shaped = *type;
    if (dtype != GML_NONE)
        shaped.dtype = dtype;
    return gml_infer_set_type(cx, i, shaped);
}

gml_dim gml_infer_size(gml_infer *cx, unsigned k, size_t position, const char *hint)
{
    size_t count = 0;
    const gml_dim *elements = NULL;
    if (gml_has_operand(cx->node, k))
        elements = gml_value_elements(cx->node->operands[k], cx->arena, &count);
    return elements != NULL && position < count ? elements[position]
                                                : gml_dim_fresh(cx->dims, hint);
}

static bool merge_tensors(gml_infer *cx, const gml_type *a, const gml_type *b,
                          gml_type *out_type)
{
    if (a->dtype != b->dtype)
        return false;
    if (a->rank != b->rank || a->rank == GML_RANK_UNKNOWN) {
        *out_type = gml_type_unranked(a->dtype);
        return true;
    }
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < a->rank; d++)
        dims[d] = a->dims[d] == b->dims[d] ? a->dims[d] : gml_dim_fresh(cx->dims, "either");
    *out_type = gml_type_tensor(cx->arena, a->dtype, a->rank, dims);
    return true;
}

bool gml_type_merge(gml_infer *cx, const gml_type *a, const gml_type *b, gml_type *out_type)
{
    if (a->kind == GML_TYPE_UNKNOWN || b->kind == GML_TYPE_UNKNOWN) {
        *out_type = a->kind == GML_TYPE_UNKNOWN ? *b : *a;
        return true;
    }
    if (a->kind == GML_TYPE_TENSOR && b->kind == GML_TYPE_TENSOR)
        return merge_tensors(cx, a, b, out_type);
    gml_type element;
    if (a->kind == GML_TYPE_OPTIONAL || b->kind == GML_TYPE_OPTIONAL) {
        const gml_type *of_a = a->kind == GML_TYPE_OPTIONAL ? a->element : a;
        const gml_type *of_b = b->kind == GML_TYPE_OPTIONAL ? b->element : b;
        if (!gml_type_merge(cx, of_a, of_b, &element))
            return false;
        *out_type = gml_type_optional(cx->arena, element);
        return true;
    }
    if (a->kind != b->kind || a->dtype != b->dtype ||
        !gml_type_merge(cx, a->element, b->element, &element))
        return false;
    *out_type = gml_type_sequence(cx->arena, element);
    out_type->kind = a->kind; /* a map merges like a sequence of its values */
    out_type->dtype = a->dtype;
    return true;
}

gml_type gml_type_freshen(gml_infer *cx, const gml_type *type)
{
    if (type->kind != GML_TYPE_TENSOR || type->rank <= 0)
        return *type;
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < type->rank; d++)
        dims[d] =
            gml_dim_is_const(type->dims[d]) ? type->dims[d] : gml_dim_fresh(cx->dims, "item");
    return gml_type_tensor(cx->arena, type->dtype, type->rank, dims);
}

gml_type gml_type_outside(gml_infer *cx, const gml_type *type, size_t mark)
{
    gml_type whole = *type;
    if (type->element != NULL) {
        gml_type element = gml_type_outside(cx, type->element, mark);
        whole.element = gml_arena_copy(cx->arena, &element, sizeof element);
    }
    if (type->kind != GML_TYPE_TENSOR || type->rank <= 0)
        return whole;
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < type->rank; d++) {
        bool is_known = gml_dim_is_const(type->dims[d]) || gml_dim_index(type->dims[d]) < mark;
        dims[d] = is_known ? type->dims[d] : gml_dim_fresh(cx->dims, "inner");
    }
    return gml_type_tensor(cx->arena, type->dtype, type->rank, dims);
}

gml_status gml_infer_item(gml_infer *cx, unsigned k, const gml_type **out_item)
{
    const gml_type *type = gml_operand_type(cx->node, k);
    if (type == NULL || type->kind != GML_TYPE_SEQUENCE)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u is not a sequence", k);
    *out_item = type->element;
    return GML_OK;
}
