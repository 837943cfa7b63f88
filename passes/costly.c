/* passes/costly.c - what repeating a node costs. */
#include "passes/costly.h"

#include "ir/op.h"

static bool costs(const gml_expr *expr, unsigned depth)
{
    if (expr->kind != GML_EXPR_SCALAR || depth == 0)
        return false;
    gml_scalar_op op = expr->as.scalar.op;
    if ((op >= GML_X_EXP && op <= GML_X_ERF) || op == GML_X_POW)
        return true;
    for (int i = 0; i < gml_scalar_arity(op); i++)
        if (costs(expr->as.scalar.args[i], depth - 1))
            return true;
    return false;
}

bool gml_is_costly(gml_pass_cx *cx, const gml_node *node)
{
    gml_kernel *kernel = gml_kernel_create(cx->scratch, &cx->module->dims, "cost");
    gml_lower x = {.kernel = kernel, .node = node};
    const gml_expr *args[64];
    if (node->n_operands > 64)
        return true;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_type *type = gml_operand_type(node, k);
        args[k] = NULL;
        if (!type)
            continue;
        const gml_mem *mem =
            gml_kernel_add_mem(kernel, GML_MEM_INPUT, "x", type->dtype, 0, NULL);
        args[k] = gml_expr_load(kernel, mem, NULL, NULL);
        if (node->operands[k]->constant && gml_tensor_numel(node->operands[k]->constant) == 1)
            args[k] = gml_expr_float(kernel, type->dtype, 2);
    }
    return costs(node->op->scalar(&x, node, args), 64);
}

bool gml_is_cheap_view(const gml_node *node)
{
    if (!node->op->lower || !(node->op->traits & GML_VIEW) || node->n_results != 1)
        return false;
    unsigned n_read = 0;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !node->operands[k]->constant && !node->operands[k]->elements)
            n_read++;
    return n_read <= 1;
}
