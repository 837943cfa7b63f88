/* ir/loop_print.c - kernels as text, as in the example of ir/loop.h. */
#include "ir/loop.h"

#include <inttypes.h>

static const char *const reduce_names[] = {
    [GML_REDUCE_SUM] = "sum", [GML_REDUCE_PROD] = "prod", [GML_REDUCE_MIN] = "min",
    [GML_REDUCE_MAX] = "max", [GML_REDUCE_AND] = "all",   [GML_REDUCE_OR] = "any",
};

/* Signs of the operators that have one; others print as functions. */
static const char *const infix[GML_SCALAR_COUNT] = {
    [GML_X_ADD] = "+", [GML_X_SUB] = "-", [GML_X_MUL] = "*", [GML_X_DIV] = "/",
    [GML_X_EQ] = "==", [GML_X_NE] = "!=", [GML_X_LT] = "<",  [GML_X_LE] = "<=",
    [GML_X_GT] = ">",  [GML_X_GE] = ">=", [GML_X_AND] = "&", [GML_X_OR] = "|",
    [GML_X_XOR] = "^",
};

static void print_mem_name(const gml_mem *mem, gml_str *out)
{
    static const char roles[] = {'x', 'y', 't'};
    gml_str_printf(out, "%c%u", roles[mem->role], mem->number);
}

static void print_index(const gml_kernel *kernel, const gml_mem *mem,
                        const gml_expr *const *index, gml_str *out)
{
    print_mem_name(mem, out);
    gml_str_putc(out, '[');
    for (int d = 0; d < mem->rank; d++) {
        if (d)
            gml_str_putc(out, ',');
        gml_expr_print(kernel, index[d], out);
    }
    gml_str_putc(out, ']');
}

static void print_scalar(const gml_kernel *kernel, const gml_expr *expr, gml_str *out)
{
    gml_scalar_op op = expr->as.scalar.op;
    if (infix[op]) {
        gml_str_putc(out, '(');
        gml_expr_print(kernel, expr->as.scalar.args[0], out);
        gml_str_printf(out, " %s ", infix[op]);
        gml_expr_print(kernel, expr->as.scalar.args[1], out);
        gml_str_putc(out, ')');
        return;
    }
    gml_str_puts(out, op == GML_X_CAST || op == GML_X_BITCAST ? gml_dtype_name(expr->dtype)
                                                              : gml_scalar_name(op));
    if (op == GML_X_BITCAST || expr->as.scalar.flags)
        gml_str_printf(out, "!%s%x", op == GML_X_BITCAST ? "bits" : "", expr->as.scalar.flags);
    gml_str_putc(out, '(');
    for (int i = 0; i < gml_scalar_arity(op); i++) {
        if (i)
            gml_str_puts(out, ", ");
        gml_expr_print(kernel, expr->as.scalar.args[i], out);
    }
    gml_str_putc(out, ')');
}

void gml_expr_print(const gml_kernel *kernel, const gml_expr *expr, gml_str *out)
{
    switch (expr->kind) {
    case GML_EXPR_CONST:
        if (gml_dtype_get_class(expr->dtype) == GML_CLASS_FLOAT)
            gml_str_printf(out, expr->dtype == GML_F64 ? "%.17gd" : "%.9gf", expr->as.cst.f);
        else
            gml_str_printf(out, "%" PRId64, expr->as.cst.i);
        break;
    case GML_EXPR_DIM: gml_dim_print(kernel->dims, expr->as.dim, out); break;
    case GML_EXPR_AXIS: gml_str_printf(out, "i%u", expr->as.axis->number); break;
    case GML_EXPR_LOAD:
        print_index(kernel, expr->as.load.mem, expr->as.load.index, out);
        if (expr->as.load.pred) {
            gml_str_puts(out, " if ");
            gml_expr_print(kernel, expr->as.load.pred, out);
        }
        break;
    case GML_EXPR_SCALAR: print_scalar(kernel, expr, out); break;
    case GML_EXPR_REDUCE:
        gml_str_printf(out, "%s(", reduce_names[expr->as.reduce.op]);
        for (unsigned i = 0; i < expr->as.reduce.n_axes; i++) {
            gml_str_printf(out, "%si%u in ", i ? ", " : "", expr->as.reduce.axes[i]->number);
            gml_dim_print(kernel->dims, expr->as.reduce.axes[i]->extent, out);
        }
        gml_str_puts(out, ": ");
        gml_expr_print(kernel, expr->as.reduce.body, out);
        gml_str_putc(out, ')');
        break;
    }
}

static void print_list(const gml_kernel *kernel, const gml_stmt *list, int depth, gml_str *out)
{
    for (; list; list = list->next) {
        gml_str_printf(out, "%*s", 4 * depth, "");
        if (list->kind == GML_STMT_FOR) {
            gml_str_printf(out, "for i%u in ", list->as.loop.axis->number);
            gml_dim_print(kernel->dims, list->as.loop.axis->extent, out);
            gml_str_putc(out, '\n');
            print_list(kernel, list->as.loop.body, depth + 1, out);
            continue;
        }
        print_index(kernel, list->as.store.mem, list->as.store.index, out);
        gml_str_puts(out, " = ");
        gml_expr_print(kernel, list->as.store.value, out);
        if (list->as.store.pred) {
            gml_str_puts(out, " if ");
            gml_expr_print(kernel, list->as.store.pred, out);
        }
        gml_str_putc(out, '\n');
    }
}

static void print_mem(const gml_kernel *kernel, const gml_mem *mem, gml_str *out)
{
    print_mem_name(mem, out);
    gml_str_printf(out, ": %s[", gml_dtype_name(mem->dtype));
    for (int d = 0; d < mem->rank; d++) {
        if (d)
            gml_str_putc(out, ',');
        gml_dim_print(kernel->dims, mem->dims[d], out);
    }
    gml_str_putc(out, ']');
}

void gml_kernel_print(const gml_kernel *kernel, gml_str *out)
{
    gml_str_printf(out, "kernel %s%s(", kernel->name, kernel->in_parts ? " in parts" : "");
    for (size_t i = 0; i < kernel->inputs.count; i++) {
        gml_str_puts(out, i ? ", " : "");
        print_mem(kernel, kernel->inputs.items[i], out);
    }
    gml_str_puts(out, ") -> (");
    for (size_t i = 0; i < kernel->outputs.count; i++) {
        gml_str_puts(out, i ? ", " : "");
        print_mem(kernel, kernel->outputs.items[i], out);
    }
    gml_str_puts(out, ")\n");
    for (size_t i = 0; i < kernel->locals.count; i++) {
        gml_str_puts(out, "    local ");
        print_mem(kernel, kernel->locals.items[i], out);
        gml_str_putc(out, '\n');
    }
    print_list(kernel, kernel->body, 1, out);
}
