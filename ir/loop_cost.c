/* ir/loop_cost.c - what a kernel must compute and move at least. */
#include "ir/loop.h"

typedef struct counter {
    const gml_kernel *kernel;
    gml_dim_pool *dims;
    const gml_expr **seen; /* shared expressions count once a statement */
    size_t n_seen;
} counter;

static gml_dim count_expr(counter *c, const gml_expr *expr);

static gml_dim count_reduce(counter *c, const gml_expr *expr)
{
    gml_dim each = gml_dim_add(c->dims, count_expr(c, expr->as.reduce.body), 1);
    for (unsigned i = 0; i < expr->as.reduce.n_axes; i++)
        each = gml_dim_mul(c->dims, each, expr->as.reduce.axes[i]->extent);
    return each;
}

/* Operators that one evaluation of `expr` runs. */
static gml_dim count_expr(counter *c, const gml_expr *expr)
{
    if (expr->kind != GML_EXPR_SCALAR && expr->kind != GML_EXPR_REDUCE)
        return 0;
    for (size_t i = 0; i < c->n_seen; i++)
        if (c->seen[i] == expr)
            return 0;
    if (c->n_seen < 256)
        c->seen[c->n_seen++] = expr;
    if (expr->kind == GML_EXPR_REDUCE)
        return count_reduce(c, expr);
    /* choosing between two numbers, as padding does, is no arithmetic */
    bool counts = gml_dtype_get_class(expr->dtype) == GML_CLASS_FLOAT &&
                  expr->as.scalar.op != GML_X_SELECT;
    gml_dim total = counts ? 1 : 0;
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
        total = gml_dim_add(c->dims, total, count_expr(c, expr->as.scalar.args[i]));
    return total;
}

static gml_dim count_list(counter *c, const gml_stmt *list)
{
    gml_dim total = 0;
    for (; list; list = list->next) {
        gml_dim each = 0;
        if (list->kind == GML_STMT_FOR) {
            each = gml_dim_mul(c->dims, count_list(c, list->as.loop.body),
                               list->as.loop.axis->extent);
        } else if (list->as.store.mem->role != GML_MEM_SUM) {
            c->n_seen = 0;
            each = count_expr(c, list->as.store.value);
        }
        total = gml_dim_add(c->dims, total, each);
    }
    return total;
}

static gml_dim bytes_of(const gml_kernel *kernel, const gml_mem *mem)
{
    gml_dim bytes = (gml_dim)gml_dtype_size(mem->dtype);
    for (int d = 0; d < mem->rank; d++)
        bytes = gml_dim_mul(kernel->dims, bytes, mem->dims[d]);
    return bytes;
}

gml_dim gml_list_flops(const gml_kernel *kernel, const gml_stmt *list)
{
    const gml_expr *seen[256];
    counter c = {kernel, kernel->dims, seen, 0};
    return count_list(&c, list);
}

gml_dim gml_expr_flops(const gml_kernel *kernel, const gml_expr *expr)
{
    const gml_expr *seen[256];
    counter c = {kernel, kernel->dims, seen, 0};
    return count_expr(&c, expr);
}

void gml_kernel_cost(const gml_kernel *kernel, gml_dim *out_flops, gml_dim *out_bytes)
{
    gml_dim bytes = 0;
    for (size_t i = 0; i < kernel->inputs.count; i++)
        bytes = gml_dim_add(kernel->dims, bytes, bytes_of(kernel, kernel->inputs.items[i]));
    for (size_t i = 0; i < kernel->outputs.count; i++)
        bytes = gml_dim_add(kernel->dims, bytes, bytes_of(kernel, kernel->outputs.items[i]));
    *out_flops = gml_list_flops(kernel, kernel->body);
    *out_bytes = bytes;
}
