/* ir/op.c - the operator table, and inference of one node.
 *
 * After an operator's own `infer`, small results are computed at once where their operands are
 * known: as sizes, when they are integers (so that Shape -> Gather -> Concat -> Reshape
 * resolves, symbols included), or as constants. That is done with the operator's lowering, not
 * with a second evaluator. */
#include "ir/op.h"

#include "ir/eval.h"
#include "ir/scalar.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Results of more elements than this are left to the passes. */
#define GML_SMALL 64

static const gml_op_info *const table[] = {
#define X(name) &gml_op_##name,
#include "ir/ops.def"
#undef X
    NULL,
};

const gml_op_info *const *gml_op_table(size_t *out_count)
{
    *out_count = sizeof table / sizeof *table - 1;
    return table;
}

static bool same_domain(const char *a, const char *b)
{
    if (!a || strcmp(a, "ai.onnx") == 0)
        a = "";
    if (!b || strcmp(b, "ai.onnx") == 0)
        b = "";
    return strcmp(a, b) == 0;
}

const gml_op_info *gml_op_find(const char *domain, const char *name)
{
    for (const gml_op_info *const *op = table; *op; op++)
        if (strcmp((*op)->name, name) == 0 && same_domain((*op)->domain, domain))
            return *op;
    return NULL;
}

/* ---- operands and known values ------------------------------------------------------------
 */

const gml_type *gml_operand_type(const gml_node *node, unsigned k)
{
    return gml_has_operand(node, k) ? &node->operands[k]->type : NULL;
}

bool gml_has_operand(const gml_node *node, unsigned k)
{
    return k < node->n_operands && node->operands[k];
}

uint32_t gml_node_named_values(const gml_node *node)
{
    size_t count = 0;
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
        const gml_attr *attr = spec->names_values ? gml_node_find_attr(node, spec->name) : NULL;
        if (attr)
            count += attr->kind == GML_ATTR_STRINGS ? attr->count : 1;
    }
    return count < node->n_operands ? (uint32_t)count : node->n_operands;
}

static bool is_integer(gml_dtype dtype)
{
    return gml_dtype_lanes(dtype) == GML_LANE_I64 &&
           gml_dtype_get_class(dtype) != GML_CLASS_STRING &&
           gml_dtype_get_class(dtype) != GML_CLASS_COMPLEX && dtype != GML_NONE;
}

static bool is_number(gml_dtype dtype)
{
    return is_integer(dtype) || gml_dtype_get_class(dtype) == GML_CLASS_FLOAT;
}

const gml_dim *gml_value_elements(const gml_value *value, gml_arena *arena, size_t *out_count)
{
    static const gml_dim none[1];
    *out_count = 0;
    if (value->elements) {
        *out_count = value->type.rank == 0 ? 1 : (size_t)value->type.dims[0];
        return value->elements;
    }
    const gml_tensor *tensor = value->constant;
    if (!tensor || !is_integer(tensor->dtype) || tensor->rank > 1)
        return NULL;
    int64_t n = gml_tensor_numel(tensor);
    if (n == 0)
        return none;
    if (n > 1 << 16)
        return NULL;
    gml_dim *elements = gml_new_array(arena, gml_dim, n);
    gml_lanes_load(tensor->dtype, tensor->data, 1, elements, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        /* "to the end" is often written as the largest integer */
        if (elements[i] >= GML_DIM_LIMIT)
            elements[i] = GML_DIM_LIMIT - 1;
        if (elements[i] <= -GML_DIM_LIMIT)
            elements[i] = -GML_DIM_LIMIT + 1;
    }
    *out_count = (size_t)n;
    return elements;
}

const double *gml_value_floats(const gml_value *value, gml_arena *arena, size_t *out_count)
{
    static const double none[1];
    *out_count = 0;
    const gml_tensor *tensor = value->constant;
    if (!tensor || !is_number(tensor->dtype))
        return NULL;
    int64_t n = gml_tensor_numel(tensor);
    if (n == 0)
        return none;
    if (n > 1 << 16)
        return NULL;
    double *values = gml_new_array(arena, double, n);
    uint64_t *lanes = gml_new_array(arena, uint64_t, n);
    gml_lanes_load(tensor->dtype, tensor->data, 1, lanes, (size_t)n);
    const void *args[3] = {lanes, NULL, NULL};
    gml_scalar_lanes(GML_X_CAST, GML_F64, tensor->dtype, 0, args, values, (size_t)n);
    *out_count = (size_t)n;
    return values;
}

/* ---- helpers of infer ---------------------------------------------------------------------
 */

gml_status gml_infer_fail(gml_infer *cx, gml_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = gml_arena_vprintf(cx->diags->arena, format, args);
    va_end(args);
    return gml_fail(cx->diags, status, cx->node->loc, "%s", text);
}

gml_status gml_infer_tensor(gml_infer *cx, unsigned k, const gml_type **out_type)
{
    const gml_type *type = gml_operand_type(cx->node, k);
    *out_type = type;
    if (!type)
        return gml_infer_fail(cx, GML_E_INVALID, "operand %u is missing", k);
    /* What has no type since its own node failed is no fault of this one. */
    if (type->kind == GML_TYPE_UNKNOWN && cx->diags->list.count != 0)
        return GML_E_TYPE;
    if (type->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "operand %u is not a tensor", k);
    if (type->rank == GML_RANK_UNKNOWN)
        return gml_infer_fail(cx, GML_E_SHAPE, "the rank of operand %u is not known", k);
    return GML_OK;
}

gml_status gml_infer_set(gml_infer *cx, unsigned i, gml_dtype dtype, int rank,
                         const gml_dim *dims)
{
    if (rank > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %d is above the limit of %d", rank,
                              GML_MAX_RANK);
    return gml_infer_set_type(cx, i, gml_type_tensor(cx->arena, dtype, rank, dims));
}

gml_status gml_infer_set_type(gml_infer *cx, unsigned i, gml_type type)
{
    if (i >= cx->node->n_results)
        return GML_OK;
    GML_TRY(gml_type_check(&type, cx->diags, cx->node->loc));
    for (int d = 0; type.kind == GML_TYPE_TENSOR && d < type.rank; d++)
        (void)gml_infer_exceeds(cx, 0, type.dims[d]); /* constants are checked above */
    cx->node->results[i].type = type;
    return GML_OK;
}

gml_status gml_infer_same(gml_infer *cx)
{
    const gml_type *type = gml_operand_type(cx->node, 0);
    if (!type)
        return gml_infer_fail(cx, GML_E_INVALID, "operand 0 is missing");
    return gml_infer_set_type(cx, 0, *type);
}

static gml_status broadcast_operands(gml_infer *cx, bool same_dtype, int *out_rank,
                                     gml_dim *out_dims)
{
    *out_rank = 0;
    gml_dtype dtype = GML_NONE;
    for (unsigned k = 0; k < cx->node->n_operands; k++) {
        const gml_type *type = NULL;
        if (!gml_has_operand(cx->node, k))
            continue;
        GML_TRY(gml_infer_tensor(cx, k, &type));
        if (dtype == GML_NONE)
            dtype = type->dtype;
        else if (same_dtype && type->dtype != dtype)
            return gml_infer_fail(cx, GML_E_TYPE, "operand %u is %s where operand 0 is %s", k,
                                  gml_dtype_name(type->dtype), gml_dtype_name(dtype));
        int rank = 0;
        gml_dim dims[GML_MAX_RANK];
        GML_TRY(gml_infer_broadcast_dims(cx, *out_rank, out_dims, type->rank, type->dims, &rank,
                                         dims));
        *out_rank = rank;
        memcpy(out_dims, dims, (size_t)rank * sizeof *dims);
    }
    return GML_OK;
}

gml_status gml_infer_broadcast(gml_infer *cx)
{
    int rank = 0;
    gml_dim dims[GML_MAX_RANK];
    GML_TRY(broadcast_operands(cx, true, &rank, dims));
    return gml_infer_set(cx, 0, cx->node->operands[0]->type.dtype, rank, dims);
}

gml_status gml_infer_compare(gml_infer *cx)
{
    int rank = 0;
    gml_dim dims[GML_MAX_RANK];
    GML_TRY(broadcast_operands(cx, true, &rank, dims));
    return gml_infer_set(cx, 0, GML_BOOL, rank, dims);
}

static const char *dim_text(gml_infer *cx, gml_dim dim)
{
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(cx->dims, dim, &str);
    const char *text = gml_arena_text(cx->diags->arena, str.text, str.len);
    gml_str_reset(&str);
    return text;
}

gml_status gml_infer_broadcast_dims(gml_infer *cx, int rank_a, const gml_dim *a, int rank_b,
                                    const gml_dim *b, int *out_rank, gml_dim *out_dims)
{
    int rank = rank_a > rank_b ? rank_a : rank_b;
    *out_rank = rank;
    for (int back = 1; back <= rank; back++) {
        gml_dim x = back <= rank_a ? a[rank_a - back] : 1;
        gml_dim y = back <= rank_b ? b[rank_b - back] : 1;
        gml_dim *out = &out_dims[rank - back];
        if (!gml_infer_broadcast_dim(cx, x, y, out))
            return gml_infer_fail(cx, GML_E_SHAPE,
                                  "operands do not broadcast: %s against %s, %d from the end",
                                  dim_text(cx, x), dim_text(cx, y), back);
    }
    return GML_OK;
}

gml_status gml_infer_elements(gml_infer *cx, unsigned k, const gml_dim **out_elements,
                              size_t *out_count)
{
    *out_elements = NULL;
    *out_count = 0;
    if (!gml_has_operand(cx->node, k))
        return GML_OK;
    *out_elements = gml_value_elements(cx->node->operands[k], cx->arena, out_count);
    if (*out_elements)
        return GML_OK;
    return gml_infer_fail(cx, GML_E_UNSUPPORTED,
                          "operand %u decides the shape of the result and is not known", k);
}

gml_status gml_infer_floats(gml_infer *cx, unsigned k, const double **out_values,
                            size_t *out_count)
{
    *out_values = NULL;
    *out_count = 0;
    if (!gml_has_operand(cx->node, k))
        return GML_OK;
    *out_values = gml_value_floats(cx->node->operands[k], cx->arena, out_count);
    if (*out_values)
        return GML_OK;
    return gml_infer_fail(cx, GML_E_UNSUPPORTED,
                          "operand %u decides the shape of the result and is not known", k);
}

gml_status gml_infer_axis(gml_infer *cx, int64_t axis, int rank, int *out_axis)
{
    *out_axis = 0;
    if (axis < -rank || axis >= rank)
        return gml_infer_fail(cx, GML_E_RANGE, "axis %lld is outside rank %d", (long long)axis,
                              rank);
    *out_axis = (int)(axis < 0 ? axis + rank : axis);
    return GML_OK;
}

/* ---- small results, computed at once ------------------------------------------------------
 */

static const gml_mem *operand_mem(const gml_pull *how, gml_kernel *kernel,
                                  const gml_value *value)
{
    const gml_node *node = how->context;
    if (value->def == node)
        return NULL;
    for (unsigned k = 0; k < node->n_operands; k++)
        if (node->operands[k] == value)
            return kernel->inputs.items[k]; /* one memory an operand, in their order */
    return NULL;
}

static bool known_load(void *context, const gml_mem *mem, const int64_t *index,
                       gml_dim *out_value)
{
    const gml_node *node = context;
    const gml_value *value = node->operands[mem->number];
    int64_t flat = 0;
    for (int d = 0; d < mem->rank; d++) {
        if (!gml_dim_is_const(mem->dims[d]) || index[d] < 0 || index[d] >= mem->dims[d])
            return false;
        flat = flat * mem->dims[d] + index[d];
    }
    if (value->elements) {
        *out_value = value->elements[flat];
        return true;
    }
    if (!value->constant || !is_integer(value->constant->dtype))
        return false;
    const char *data = value->constant->data;
    gml_lanes_load(mem->dtype, data + flat * (int64_t)gml_dtype_size(mem->dtype), 0, out_value,
                   1);
    return gml_dim_is_const(*out_value);
}

static int64_t small_count(const gml_type *type)
{
    if (type->kind != GML_TYPE_TENSOR || !gml_type_is_static(type))
        return -1;
    int64_t count = 1;
    for (int d = 0; d < type->rank; d++) {
        if (__builtin_mul_overflow(count, type->dims[d], &count) || count > GML_SMALL)
            return -1;
    }
    return count;
}

/* Elements that turned out to be plain numbers make the value a constant. */
static void settle_constant(gml_infer *cx, gml_value *result, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!gml_dim_is_const(result->elements[i]))
            return;
    gml_dtype dtype = result->type.dtype;
    gml_tensor *tensor = gml_new(cx->arena, gml_tensor);
    tensor->dtype = dtype;
    tensor->rank = result->type.rank;
    tensor->dims[0] = count;
    tensor->data = gml_arena_alloc(cx->arena, (size_t)count * gml_dtype_size(dtype) + 1);
    gml_lanes_store(dtype, tensor->data, 1, result->elements, (size_t)count);
    result->constant = tensor;
}

/* Integer elements of a result of rank 0 or 1, as sizes. */
static void find_elements(gml_infer *cx, gml_value *result, gml_arena *scratch)
{
    const gml_node *node = cx->node;
    int64_t count = small_count(&result->type);
    if (result->elements || result->constant || count < 0 || result->type.rank > 1 ||
        !is_integer(result->type.dtype))
        return;
    gml_kernel *kernel = gml_kernel_create(scratch, cx->dims, node->op->name);
    for (unsigned k = 0; k < node->n_operands; k++) {
        const gml_type *type = gml_operand_type(node, k);
        bool ranked = type && type->kind == GML_TYPE_TENSOR && type->rank >= 0;
        gml_kernel_add_mem(kernel, GML_MEM_INPUT, "x", ranked ? type->dtype : GML_I64,
                           ranked ? type->rank : 0, ranked ? type->dims : NULL);
    }
    union {
        const gml_node *in;
        void *out;
    } context = {.in = node};
    gml_pull how = {operand_mem, context.out};
    gml_dim *elements = gml_new_array(cx->arena, gml_dim, count ? count : 1);
    for (int64_t i = 0; i < count; i++) {
        const gml_expr *index[1] = {gml_expr_int(kernel, GML_I64, i)};
        const gml_expr *expr = gml_pull_value(kernel, &how, result, index);
        if (!gml_expr_to_dim(kernel, expr, known_load, context.out, &elements[i]))
            return;
    }
    result->elements = elements;
    settle_constant(cx, result, count);
}

static bool all_constant(const gml_node *node)
{
    for (unsigned k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !node->operands[k]->constant)
            return false;
    return true;
}

/* Results of a node all of whose operands are constants. A fault leaves them unknown: it will
 * show when the program runs, if it ever does. */
static void find_constants(gml_infer *cx, gml_arena *scratch)
{
    gml_node *node = cx->node;
    unsigned numbers[64];
    void *inputs[64];
    if (!all_constant(node) || node->n_operands > 64 || node->n_results > 64)
        return;
    for (unsigned r = 0; r < node->n_results; r++)
        if (small_count(&node->results[r].type) < 0 || !is_number(node->results[r].type.dtype))
            return;
    for (unsigned k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !is_number(node->operands[k]->constant->dtype))
            return;
    gml_kernel *kernel = gml_lower_node(scratch, cx->dims, node, numbers);
    for (size_t i = 0; i < kernel->inputs.count; i++)
        inputs[i] = node->operands[numbers[i]]->constant->data;
    gml_tensor *tensors = gml_new_array(cx->arena, gml_tensor, node->n_results);
    void *outputs[64];
    for (unsigned r = 0; r < node->n_results; r++) {
        const gml_type *type = &node->results[r].type;
        tensors[r].dtype = type->dtype;
        tensors[r].rank = type->rank;
        if (type->rank)
            memcpy(tensors[r].dims, type->dims, (size_t)type->rank * sizeof *type->dims);
        tensors[r].data = gml_arena_alloc(
            cx->arena, (size_t)small_count(type) * gml_dtype_size(type->dtype) + 1);
        outputs[r] = tensors[r].data;
    }
    gml_diags ignored;
    gml_diags_init(&ignored, scratch);
    gml_eval_args args = {inputs, outputs, NULL};
    if (gml_kernel_eval(kernel, &args, &ignored, node->loc) != GML_OK)
        return;
    for (unsigned r = 0; r < node->n_results; r++)
        if (!node->results[r].constant)
            node->results[r].constant = &tensors[r];
}

static bool has_known_operand(const gml_node *node)
{
    for (unsigned k = 0; k < node->n_operands; k++)
        if (node->operands[k] && (node->operands[k]->elements || node->operands[k]->constant))
            return true;
    return node->n_operands == 0;
}

static void find_small_results(gml_infer *cx)
{
    const gml_op_info *op = cx->node->op;
    if ((!op->scalar && !op->lower) || (op->traits & GML_EFFECT))
        return;
    if (!(op->traits & GML_VALUE_FREE) && !has_known_operand(cx->node))
        return;
    gml_arena scratch;
    gml_arena_init(&scratch);
    if (!(op->traits & GML_VALUE_FREE))
        find_constants(cx, &scratch);
    for (unsigned r = 0; r < cx->node->n_results; r++)
        find_elements(cx, &cx->node->results[r], &scratch);
    gml_arena_reset(&scratch);
}

/* ---- one node, one graph ------------------------------------------------------------------
 */

static gml_status check_counts(const gml_node *node, gml_diags *diags)
{
    const gml_op_info *op = node->op;
    if (op->scalar && node->n_operands > GML_MAX_SCALAR_OPERANDS)
        return gml_fail(diags, GML_E_UNSUPPORTED, node->loc,
                        "%u operands are above the limit of %d", node->n_operands,
                        GML_MAX_SCALAR_OPERANDS);
    bool in = (int)node->n_operands >= op->min_in &&
              (op->max_in < 0 || (int)node->n_operands <= op->max_in);
    if (!in)
        return gml_fail(diags, GML_E_INVALID, node->loc,
                        "%u operands where %d to %d are allowed", node->n_operands, op->min_in,
                        op->max_in);
    bool out = (int)node->n_results >= op->min_out &&
               (op->max_out < 0 || (int)node->n_results <= op->max_out);
    if (!out)
        return gml_fail(diags, GML_E_INVALID, node->loc,
                        "%u results where %d to %d are allowed", node->n_results, op->min_out,
                        op->max_out);
    return GML_OK;
}

static gml_status check_attrs(const gml_node *node, gml_diags *diags)
{
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
        const gml_attr *attr = gml_node_find_attr(node, spec->name);
        if (!attr && spec->presence == GML_ATTR_REQUIRED)
            return gml_fail(diags, GML_E_INVALID, node->loc, "attribute '%s' is missing",
                            spec->name);
        if (attr && attr->kind != spec->kind)
            return gml_fail(diags, GML_E_INVALID, node->loc,
                            "attribute '%s' has the wrong kind", spec->name);
    }
    return GML_OK;
}

gml_status gml_node_infer(gml_node *node, gml_diags *diags)
{
    gml_module *module = node->graph->module;
    GML_TRY(check_counts(node, diags));
    GML_TRY(check_attrs(node, diags));
    /* Of a list of operands none may be left out, but by those that run regions. */
    bool is_list = node->op->max_in < 0 && !node->op->host;
    uint32_t n_needed = is_list ? node->n_operands : (uint32_t)node->op->min_in;
    for (uint32_t k = 0; k < n_needed; k++)
        if (!node->operands[k])
            return gml_fail(diags, GML_E_INVALID, node->loc, "operand %u is missing", k);
    gml_infer cx = {node, module, &module->arena, &module->dims, diags};
    node->assumptions.count = 0;
    GML_TRY(node->op->infer(&cx));
    if (node->op->traits & GML_FORWARDS) {
        node->results[0].constant = node->operands[0]->constant;
        node->results[0].elements = node->operands[0]->elements;
    }
    find_small_results(&cx);
    return GML_OK;
}

gml_status gml_graph_infer(gml_graph *graph, gml_diags *diags)
{
    gml_status first = GML_OK;
    gml_for_each_node(node, graph) {
        gml_status status = gml_node_infer(node, diags);
        if (first == GML_OK)
            first = status;
    }
    return first;
}
