/* passes/fold.c - computes what depends on constants alone, with the interpreter.
 *
 * Results that would be much larger than what they are made from (an Expand of one number) stay
 * nodes: they cost less to compute than to keep. Reductions over much data, too, are left to
 * the program when it would take the interpreter long. */
#include "ir/eval.h"
#include "ir/op.h"
#include "passes/pass.h"

#include <string.h>

#define GML_ALWAYS_BYTES   4096
#define GML_MAX_FOLD_FLOPS 200000000

static int64_t bytes_of(const gml_tensor *tensor)
{
    return gml_tensor_numel(tensor) * (int64_t)gml_dtype_size(tensor->dtype);
}

static bool is_number(gml_dtype dtype)
{
    gml_dtype_class class = gml_dtype_get_class(dtype);
    return class != GML_CLASS_STRING && class != GML_CLASS_COMPLEX && class != GML_CLASS_NONE;
}

static bool can_fold(const gml_node *node, int64_t *out_bytes)
{
    const gml_type *type = &node->results[0].type;
    if (node->n_results != 1 || node->results[0].constant || (node->op->traits & GML_EFFECT) ||
        !(node->op->scalar || node->op->lower) || type->kind != GML_TYPE_TENSOR ||
        !gml_type_is_static(type) || !is_number(type->dtype) || node->n_operands == 0)
        return false;
    int64_t given = GML_ALWAYS_BYTES;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        if (!node->operands[k])
            continue;
        if (!node->operands[k]->constant || !is_number(node->operands[k]->type.dtype))
            return false;
        given += bytes_of(node->operands[k]->constant);
    }
    int64_t bytes = (int64_t)gml_dtype_size(type->dtype);
    for (int d = 0; d < type->rank; d++)
        if (__builtin_mul_overflow(bytes, type->dims[d], &bytes))
            return false;
    *out_bytes = bytes;
    return bytes <= 2 * given;
}

/* Constants that were read lie in the mapped model: folding many would bring all of it into
 * memory. */
static void forget_operands(const gml_module *module, const gml_node *node)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k])
            gml_module_forget(module, node->operands[k]->constant->data,
                              (size_t)bytes_of(node->operands[k]->constant));
}

/* A Constant in the place of `node`. */
static void become(gml_node *node, const gml_tensor *tensor)
{
    gml_value *constant = gml_graph_constant(node->graph, node, tensor, node->loc);
    constant->name = node->results[0].name;
    gml_value_replace(&node->results[0], constant);
    gml_node_retire(node);
}

static void fold(gml_node *node, int64_t bytes, gml_pass_cx *cx, bool *out_changed)
{
    gml_module *module = cx->module;
    unsigned *numbers = gml_new_array(cx->scratch, unsigned, node->n_operands + 1);
    void **inputs = gml_new_array(cx->scratch, void *, node->n_operands + 1);
    gml_dim flops = 0;
    gml_dim moved = 0;
    gml_kernel *kernel = gml_lower_node(cx->scratch, &module->dims, node, numbers);
    gml_kernel_cost(kernel, &flops, &moved);
    if (!gml_dim_is_const(flops) || flops > GML_MAX_FOLD_FLOPS)
        return;
    for (size_t i = 0; i < kernel->inputs.count; i++)
        inputs[i] = node->operands[numbers[i]]->constant->data;
    const gml_type *type = &node->results[0].type;
    gml_tensor *tensor = gml_new(&module->arena, gml_tensor);
    tensor->dtype = type->dtype;
    tensor->rank = type->rank;
    if (type->rank)
        memcpy(tensor->dims, type->dims, (size_t)type->rank * sizeof *type->dims);
    tensor->data = gml_arena_alloc(&module->arena, (size_t)bytes + 1);
    gml_diags ignored;
    gml_diags_init(&ignored, cx->scratch);
    gml_eval_args args = {inputs, &tensor->data, NULL};
    /* a fault shows when the program runs */
    if (gml_kernel_eval(kernel, &args, &ignored, node->loc) != GML_OK)
        return;
    forget_operands(module, node);
    become(node, tensor);
    *out_changed = true;
}

gml_status gml_pass_fold(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_for_each_node(node, graph) {
        int64_t bytes = 0;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
                GML_TRY(gml_pass_fold(node->attrs[i].as.graph, cx, out_changed));
        if (node->n_results == 1 && node->n_operands && node->results[0].constant) {
            become(node, node->results[0].constant); /* inference knew it */
            *out_changed = true;
        } else if (can_fold(node, &bytes))
            fold(node, bytes, cx, out_changed);
    }
    return GML_OK;
}
