/* ir/build.c - placing nodes with their types inferred at once. */
#include "ir/op.h"
#include "ir/scalar.h"

#include <string.h>

gml_build gml_build_expand(gml_expand *cx)
{
    return (gml_build){cx->graph, cx->node, cx->node->loc, cx->diags, GML_OK};
}

/* Something to return after a failure: a constant 0, so that callers need not check. */
static gml_node *placeholder(gml_build *b, uint32_t n_results)
{
    static const float zero = 0;
    static const gml_tensor tensor = {GML_F32, 0, {0}, (void *)(uintptr_t)&zero};
    gml_value *value = gml_graph_constant(b->graph, b->before, &tensor, b->loc);
    if (n_results <= 1)
        return value->def;
    gml_node *node =
        gml_node_create(b->graph, b->before, value->def->op, NULL, 0, n_results, b->loc);
    for (uint32_t r = 0; r < n_results; r++)
        node->results[r].type = gml_type_scalar(GML_F32);
    return node;
}

gml_node *gml_build_node(gml_build *b, const gml_op_info *op, gml_value *const *operands,
                         uint32_t n_operands, const gml_attr *attrs, size_t n_attrs,
                         uint32_t n_results)
{
    if (b->status != GML_OK)
        return placeholder(b, n_results);
    gml_node *node =
        gml_node_create(b->graph, b->before, op, operands, n_operands, n_results, b->loc);
    for (size_t i = 0; i < n_attrs; i++)
        gml_node_set_attr(node, &attrs[i]);
    b->status = gml_node_infer(node, b->diags);
    return b->status == GML_OK ? node : placeholder(b, n_results);
}

gml_value *gml_build_op(gml_build *b, const gml_op_info *op, gml_value *const *operands,
                        uint32_t n_operands, const gml_attr *attrs, size_t n_attrs)
{
    return &gml_build_node(b, op, operands, n_operands, attrs, n_attrs, 1)->results[0];
}

gml_value *gml_build_unary(gml_build *b, const gml_op_info *op, gml_value *x)
{
    return gml_build_op(b, op, &x, 1, NULL, 0);
}

gml_value *gml_build_binary(gml_build *b, const gml_op_info *op, gml_value *x, gml_value *y)
{
    gml_value *operands[2] = {x, y};
    return gml_build_op(b, op, operands, 2, NULL, 0);
}

/* ---- constants ----------------------------------------------------------------------------
 */

static gml_value *build_tensor(gml_build *b, gml_dtype dtype, int rank, int64_t count,
                               const void *lanes)
{
    gml_arena *arena = &b->graph->module->arena;
    gml_tensor *tensor = gml_new(arena, gml_tensor);
    tensor->dtype = dtype;
    tensor->rank = rank;
    tensor->dims[0] = count;
    tensor->data = gml_arena_alloc(arena, (size_t)count * gml_dtype_size(dtype) + 1);
    gml_lanes_store(dtype, tensor->data, 1, lanes, (size_t)count);
    return gml_graph_constant(b->graph, b->before, tensor, b->loc);
}

gml_value *gml_build_scalar(gml_build *b, gml_dtype dtype, double value)
{
    uint64_t lane = 0;
    const void *args[3] = {&value, NULL, NULL};
    gml_scalar_lanes(GML_X_CAST, dtype, GML_F64, 0, args, &lane, 1);
    return build_tensor(b, dtype, 0, 1, &lane);
}

gml_value *gml_build_ints(gml_build *b, const int64_t *values, size_t count)
{
    return build_tensor(b, GML_I64, 1, (int64_t)count, values);
}

gml_value *gml_build_dims(gml_build *b, const gml_dim *dims, size_t count)
{
    bool constant = true;
    for (size_t i = 0; i < count; i++)
        constant = constant && gml_dim_is_const(dims[i]);
    if (constant)
        return gml_build_ints(b, dims, count);
    gml_arena *arena = &b->graph->module->arena;
    gml_node *node =
        gml_node_create(b->graph, b->before, &gml_op_sizevector, NULL, 0, 1, b->loc);
    gml_dim length = (gml_dim)count;
    node->results[0].type = gml_type_tensor(arena, GML_I64, 1, &length);
    node->results[0].elements = gml_arena_copy(arena, dims, count * sizeof *dims);
    return &node->results[0];
}

/* ---- the everyday operators ---------------------------------------------------------------
 */

gml_value *gml_build_cast(gml_build *b, gml_value *x, gml_dtype dtype)
{
    if (x->type.dtype == dtype)
        return x;
    gml_attr to = gml_attr_int("to", dtype);
    return gml_build_op(b, &gml_op_cast, &x, 1, &to, 1);
}

gml_value *gml_build_reshape(gml_build *b, gml_value *x, const gml_dim *dims, size_t rank)
{
    gml_attr allow_zero = gml_attr_int("allowzero", 1);
    gml_value *operands[2] = {x, gml_build_dims(b, dims, rank)};
    return gml_build_op(b, &gml_op_reshape, operands, 2, &allow_zero, 1);
}

gml_value *gml_build_transpose(gml_build *b, gml_value *x, const int64_t *perm, size_t rank)
{
    const int64_t *kept = gml_arena_copy(&b->graph->module->arena, perm, rank * sizeof *perm);
    gml_attr attr = gml_attr_ints("perm", kept, rank);
    return gml_build_op(b, &gml_op_transpose, &x, 1, &attr, 1);
}

gml_value *gml_build_reduce(gml_build *b, const gml_op_info *op, gml_value *x,
                            const int64_t *axes, size_t count, bool keepdims)
{
    gml_attr keep = gml_attr_int("keepdims", keepdims);
    gml_value *operands[2] = {x, count ? gml_build_ints(b, axes, count) : NULL};
    return gml_build_op(b, op, operands, count ? 2 : 1, &keep, 1);
}

gml_value *gml_build_unsqueeze(gml_build *b, gml_value *x, const int64_t *axes, size_t count)
{
    return gml_build_binary(b, &gml_op_unsqueeze, x, gml_build_ints(b, axes, count));
}

gml_value *gml_build_squeeze(gml_build *b, gml_value *x, const int64_t *axes, size_t count)
{
    return gml_build_binary(b, &gml_op_squeeze, x, gml_build_ints(b, axes, count));
}

gml_value *gml_build_concat(gml_build *b, gml_value *const *xs, uint32_t count, int64_t axis)
{
    gml_attr attr = gml_attr_int("axis", axis);
    return gml_build_op(b, &gml_op_concat, xs, count, &attr, 1);
}

gml_value *gml_build_slice(gml_build *b, gml_value *x, int64_t axis, int64_t start, int64_t end)
{
    gml_value *operands[4] = {x, gml_build_ints(b, &start, 1), gml_build_ints(b, &end, 1),
                              gml_build_ints(b, &axis, 1)};
    return gml_build_op(b, &gml_op_slice, operands, 4, NULL, 0);
}

/* ---- attributes ---------------------------------------------------------------------------
 */

gml_attr gml_attr_int(const char *name, int64_t value)
{
    gml_attr attr = {.name = name, .kind = GML_ATTR_INT};
    attr.as.i = value;
    return attr;
}

gml_attr gml_attr_float(const char *name, float value)
{
    gml_attr attr = {.name = name, .kind = GML_ATTR_FLOAT};
    attr.as.f = value;
    return attr;
}

gml_attr gml_attr_string(const char *name, const char *value)
{
    gml_attr attr = {.name = name, .kind = GML_ATTR_STRING};
    attr.as.s = (gml_string){value, strlen(value)};
    return attr;
}

gml_attr gml_attr_ints(const char *name, const int64_t *values, size_t count)
{
    gml_attr attr = {.name = name, .kind = GML_ATTR_INTS, .count = count};
    attr.as.ints = values;
    return attr;
}
