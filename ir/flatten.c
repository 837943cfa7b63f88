/* ir/flatten.c - kernels that do the same to any number of elements. */
#include "ir/flatten.h"

/* A multiple of every vector's lanes but those of bytes: what is known to be one needs no
 * remainder. */
#define GML_FLAT_MULTIPLE 8

typedef struct flattener {
    const gml_kernel *from;
    gml_kernel *to;
    const gml_axis *const *axes; /* of `from`, outermost first */
    unsigned n_axes;
    const gml_expr *at;   /* the element */
    const gml_expr **map; /* by id in `from`: the same in `to`; NULL: not there yet */
} flattener;

static bool is_one_element(const gml_mem *mem)
{
    for (int d = 0; d < mem->rank; d++)
        if (mem->dims[d] != 1)
            return false;
    return true;
}

/* Whether an access moves through `mem` as the loops go on, one element a step: but for sizes
 * of 1 its indices are the loops' axes, all of them. */
static bool is_element(const flattener *f, const gml_mem *mem, const gml_expr *const *index)
{
    unsigned next = 0;
    for (int d = 0; d < mem->rank; d++) {
        if (mem->dims[d] == 1)
            continue;
        while (next < f->n_axes && f->axes[next]->extent == 1)
            next++;
        if (next == f->n_axes || index[d]->kind != GML_EXPR_AXIS ||
            index[d]->as.axis != f->axes[next] || mem->dims[d] != f->axes[next]->extent)
            return false;
        next++;
    }
    for (; next < f->n_axes; next++)
        if (f->axes[next]->extent != 1)
            return false;
    return true;
}

static const gml_mem *find_mem(const flattener *f, const gml_mem *mem)
{
    return mem->role == GML_MEM_INPUT    ? f->to->inputs.items[mem->number]
           : mem->role == GML_MEM_OUTPUT ? f->to->outputs.items[mem->number]
                                         : NULL;
}

static const gml_expr *copy_expr(flattener *f, const gml_expr *expr);

static const gml_expr *copy_load(flattener *f, const gml_expr *load)
{
    const gml_mem *mem = load->as.load.mem;
    const gml_mem *copy = find_mem(f, mem);
    if (!copy || load->as.load.pred)
        return NULL;
    if (is_one_element(mem))
        return gml_expr_load(f->to, copy, NULL, NULL);
    return is_element(f, mem, load->as.load.index) ? gml_expr_load(f->to, copy, &f->at, NULL)
                                                   : NULL;
}

static const gml_expr *copy_scalar(flattener *f, const gml_expr *expr)
{
    const gml_expr *args[3] = {NULL, NULL, NULL};
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++) {
        args[i] = copy_expr(f, expr->as.scalar.args[i]);
        if (!args[i])
            return NULL;
    }
    return gml_expr_scalar(f->to, expr->as.scalar.op, expr->dtype, expr->as.scalar.flags, args);
}

/* NULL when it depends on the shape. */
static const gml_expr *copy_expr(flattener *f, const gml_expr *expr)
{
    const gml_expr *copy = f->map[expr->id];
    if (copy)
        return copy;
    switch (expr->kind) {
    case GML_EXPR_CONST:
        copy = gml_dtype_get_class(expr->dtype) == GML_CLASS_FLOAT
                   ? gml_expr_float(f->to, expr->dtype, expr->as.cst.f)
                   : gml_expr_int(f->to, expr->dtype, expr->as.cst.i);
        break;
    case GML_EXPR_LOAD: copy = copy_load(f, expr); break;
    case GML_EXPR_SCALAR: copy = copy_scalar(f, expr); break;
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS:
    case GML_EXPR_REDUCE: break;
    }
    f->map[expr->id] = copy;
    return copy;
}

/* The stores inside the loops around everything; NULL when there is more than that. */
static const gml_stmt *find_stores(const gml_kernel *kernel, const gml_axis **axes,
                                   unsigned *out_n, int64_t *out_count)
{
    const gml_stmt *list = kernel->body;
    *out_n = 0;
    *out_count = 1;
    while (list && list->kind == GML_STMT_FOR && !list->next && *out_n < GML_MAX_AXES) {
        const gml_axis *axis = list->as.loop.axis;
        if (!gml_dim_is_const(axis->extent) ||
            __builtin_mul_overflow(*out_count, axis->extent, out_count))
            return NULL;
        axes[(*out_n)++] = axis;
        list = list->as.loop.body;
    }
    for (const gml_stmt *stmt = list; stmt; stmt = stmt->next)
        if (stmt->kind != GML_STMT_STORE)
            return NULL;
    return list;
}

static void copy_mems(flattener *f, gml_dim extent)
{
    const gml_kernel *from = f->from;
    for (size_t i = 0; i < from->inputs.count; i++) {
        const gml_mem *mem = from->inputs.items[i];
        (void)gml_kernel_add_mem(f->to, GML_MEM_INPUT, mem->name, mem->dtype,
                                 is_one_element(mem) ? 0 : 1, &extent);
    }
    for (size_t i = 0; i < from->outputs.count; i++) {
        const gml_mem *mem = from->outputs.items[i];
        (void)gml_kernel_add_mem(f->to, GML_MEM_OUTPUT, mem->name, mem->dtype, 1, &extent);
    }
}

gml_kernel *gml_kernel_flatten(const gml_kernel *kernel, gml_dim_pool *dims,
                               gml_dim *out_symbol, int64_t *out_value)
{
    const gml_axis *axes[GML_MAX_AXES];
    gml_arena *arena = kernel->arena;
    flattener f = {.from = kernel, .axes = axes};
    int64_t count = 0;
    const gml_stmt *stores = find_stores(kernel, axes, &f.n_axes, &count);
    if (!stores || kernel->n_shared > 0 || kernel->locals.count > 0 || count < 2)
        return NULL;
    int64_t multiple = count % GML_FLAT_MULTIPLE == 0 ? GML_FLAT_MULTIPLE : 1;
    *out_symbol = gml_dim_symbol(dims, "n");
    *out_value = count / multiple;
    gml_dim extent = gml_dim_mul(dims, *out_symbol, multiple);
    f.to = gml_kernel_create(arena, dims, kernel->name);
    f.to->in_parts = true;
    f.map = gml_new_array(arena, const gml_expr *, kernel->exprs.count + 1);
    copy_mems(&f, extent);
    const gml_axis *axis = gml_kernel_add_axis(f.to, extent);
    f.at = gml_expr_axis(f.to, axis);
    gml_stmt *body = NULL;
    for (const gml_stmt *store = stores; store; store = store->next) {
        const gml_mem *mem = find_mem(&f, store->as.store.mem);
        const gml_expr *value = copy_expr(&f, store->as.store.value);
        if (!mem || !value || !is_element(&f, store->as.store.mem, store->as.store.index))
            return NULL;
        gml_stmt_append(&body, gml_stmt_store(f.to, mem, &f.at, value));
    }
    f.to->body = gml_stmt_for(f.to, axis, body);
    gml_kernel_place(f.to);
    return f.to;
}
