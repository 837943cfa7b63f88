/* ir/loop.c - kernels, and expressions made once each.
 *
 * gml_expr_scalar and its sisters simplify and then look the result up in the kernel's table,
 * so equal expressions are one pointer. Index arithmetic lives in ir/index.c. */
#include "ir/loop.h"

#include "ir/index.h"
#include "ir/scalar.h"

#include <string.h>

gml_kernel *gml_kernel_create(gml_arena *arena, gml_dim_pool *dims, const char *name)
{
    gml_kernel *kernel = gml_new(arena, gml_kernel);
    kernel->arena = arena;
    kernel->dims = dims;
    kernel->name = name;
    return kernel;
}

gml_mem *gml_kernel_add_mem(gml_kernel *kernel, gml_mem_role role, const char *name,
                            gml_dtype dtype, int rank, const gml_dim *dims)
{
    gml_mem *mem = gml_new(kernel->arena, gml_mem);
    *mem = (gml_mem){.role = role, .name = name, .dtype = dtype, .rank = rank};
    mem->dims = gml_arena_copy(kernel->arena, dims, (size_t)rank * sizeof *dims);
    switch (role) {
    case GML_MEM_INPUT:
        mem->number = (unsigned)kernel->inputs.count;
        gml_push(kernel->arena, &kernel->inputs, mem);
        break;
    case GML_MEM_OUTPUT:
        mem->number = (unsigned)kernel->outputs.count;
        gml_push(kernel->arena, &kernel->outputs, mem);
        break;
    case GML_MEM_LOCAL:
        mem->number = (unsigned)kernel->locals.count;
        gml_push(kernel->arena, &kernel->locals, mem);
        break;
    case GML_MEM_SUM: break;
    }
    return mem;
}

bool gml_kernel_has_axes(const gml_kernel *kernel, unsigned n)
{
    return kernel->axes.count + n <= GML_MAX_AXES;
}

gml_axis *gml_kernel_add_axis(gml_kernel *kernel, gml_dim extent)
{
    if (!gml_kernel_has_axes(kernel, 1))
        GML_BUG("a kernel has too many axes");
    gml_axis *axis = gml_new(kernel->arena, gml_axis);
    axis->number = (unsigned)kernel->axes.count;
    axis->extent = extent;
    gml_push(kernel->arena, &kernel->axes, axis);
    return axis;
}

gml_stmt *gml_stmt_for(gml_kernel *kernel, const gml_axis *axis, gml_stmt *body)
{
    gml_stmt *stmt = gml_new(kernel->arena, gml_stmt);
    stmt->kind = GML_STMT_FOR;
    stmt->as.loop.axis = axis;
    stmt->as.loop.body = body;
    return stmt;
}

gml_stmt *gml_stmt_store(gml_kernel *kernel, const gml_mem *mem, const gml_expr *const *index,
                         const gml_expr *value)
{
    gml_stmt *stmt = gml_new(kernel->arena, gml_stmt);
    stmt->kind = GML_STMT_STORE;
    stmt->as.store.mem = mem;
    stmt->as.store.index =
        gml_arena_copy(kernel->arena, index, (size_t)mem->rank * sizeof(*index));
    stmt->as.store.value = value;
    return stmt;
}

void gml_stmt_append(gml_stmt **list, gml_stmt *stmt)
{
    while (*list)
        list = &(*list)->next;
    *list = stmt;
}

/* ---- hash-consing -------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash ^= word;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_expr(const gml_expr *expr)
{
    uint64_t h = mix((uint64_t)expr->kind * 131 + (uint64_t)expr->dtype, 17);
    switch (expr->kind) {
    case GML_EXPR_CONST: {
        uint64_t bits = 0;
        memcpy(&bits, &expr->as.cst.f, sizeof bits);
        return mix(mix(h, bits), (uint64_t)expr->as.cst.i);
    }
    case GML_EXPR_DIM: return mix(h, (uint64_t)expr->as.dim);
    case GML_EXPR_AXIS: return mix(h, expr->as.axis->number);
    case GML_EXPR_LOAD:
        h = mix(h, (uint64_t)expr->as.load.mem->role * 4096 + expr->as.load.mem->number);
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            h = mix(h, expr->as.load.index[d]->id);
        return mix(h, expr->as.load.pred ? expr->as.load.pred->id + 1u : 0);
    case GML_EXPR_SCALAR:
        h = mix(h, (uint64_t)expr->as.scalar.op * 256 + expr->as.scalar.flags);
        for (int i = 0; i < 3; i++)
            h = mix(h, expr->as.scalar.args[i] ? expr->as.scalar.args[i]->id + 1u : 0);
        return h;
    case GML_EXPR_REDUCE:
        h = mix(h, expr->as.reduce.op);
        for (unsigned i = 0; i < expr->as.reduce.n_axes; i++)
            h = mix(h, expr->as.reduce.axes[i]->number);
        return mix(h, expr->as.reduce.body->id);
    }
    return h;
}

static bool same_load(const gml_expr *a, const gml_expr *b)
{
    return a->as.load.mem == b->as.load.mem && a->as.load.pred == b->as.load.pred &&
           (a->as.load.mem->rank == 0 ||
            memcmp(a->as.load.index, b->as.load.index,
                   (size_t)a->as.load.mem->rank * sizeof(*a->as.load.index)) == 0);
}

static bool same_expr(const gml_expr *a, const gml_expr *b)
{
    if (a->kind != b->kind || a->dtype != b->dtype)
        return false;
    switch (a->kind) {
    case GML_EXPR_CONST:
        return memcmp(&a->as.cst.f, &b->as.cst.f, sizeof(double)) == 0 &&
               a->as.cst.i == b->as.cst.i;
    case GML_EXPR_DIM: return a->as.dim == b->as.dim;
    case GML_EXPR_AXIS: return a->as.axis == b->as.axis;
    case GML_EXPR_LOAD: return same_load(a, b);
    case GML_EXPR_SCALAR:
        return a->as.scalar.op == b->as.scalar.op && a->as.scalar.flags == b->as.scalar.flags &&
               memcmp(a->as.scalar.args, b->as.scalar.args, sizeof a->as.scalar.args) == 0;
    case GML_EXPR_REDUCE:
        return a->as.reduce.op == b->as.reduce.op && a->as.reduce.body == b->as.reduce.body &&
               a->as.reduce.n_axes == b->as.reduce.n_axes &&
               memcmp(a->as.reduce.axes, b->as.reduce.axes,
                      a->as.reduce.n_axes * sizeof(*a->as.reduce.axes)) == 0;
    }
    return false;
}

static void grow_slots(gml_kernel *kernel)
{
    size_t n = kernel->n_slots ? kernel->n_slots * 2 : 128;
    kernel->slots = gml_new_array(kernel->arena, uint32_t, n);
    kernel->n_slots = n;
    for (size_t i = 0; i < kernel->exprs.count; i++) {
        size_t slot = hash_expr(kernel->exprs.items[i]) & (n - 1);
        while (kernel->slots[slot])
            slot = (slot + 1) & (n - 1);
        kernel->slots[slot] = (uint32_t)i + 1;
    }
}

/* The kernel's own copy of `candidate`, whose operands are the kernel's. */
static const gml_expr *intern(gml_kernel *kernel, const gml_expr *candidate)
{
    if (kernel->exprs.count * 2 >= kernel->n_slots)
        grow_slots(kernel);
    size_t slot = hash_expr(candidate) & (kernel->n_slots - 1);
    while (kernel->slots[slot]) {
        const gml_expr *known = kernel->exprs.items[kernel->slots[slot] - 1];
        if (same_expr(known, candidate))
            return known;
        slot = (slot + 1) & (kernel->n_slots - 1);
    }
    gml_expr *expr = gml_arena_copy(kernel->arena, candidate, sizeof *candidate);
    expr->id = (uint32_t)kernel->exprs.count;
    gml_index_bound(kernel, expr);
    gml_push(kernel->arena, &kernel->exprs, expr);
    kernel->slots[slot] = (uint32_t)kernel->exprs.count;
    return expr;
}

/* ---- leaves -------------------------------------------------------------------------------
 */

const gml_expr *gml_expr_int(gml_kernel *kernel, gml_dtype dtype, int64_t value)
{
    if (gml_dtype_get_class(dtype) == GML_CLASS_FLOAT)
        return gml_expr_float(kernel, dtype, (double)value);
    gml_expr expr = {.kind = GML_EXPR_CONST, .dtype = dtype};
    expr.as.cst.i = gml_wrap_int(dtype, value);
    return intern(kernel, &expr);
}

const gml_expr *gml_expr_float(gml_kernel *kernel, gml_dtype dtype, double value)
{
    if (gml_dtype_get_class(dtype) != GML_CLASS_FLOAT)
        return gml_expr_int(kernel, dtype, (int64_t)value);
    gml_expr expr = {.kind = GML_EXPR_CONST, .dtype = dtype};
    const void *args[3] = {&value, NULL, NULL};
    if (dtype == GML_F64) {
        expr.as.cst.f = value;
    } else {
        float rounded = 0;
        gml_scalar_lanes(GML_X_CAST, dtype, GML_F64, 0, args, &rounded, 1);
        expr.as.cst.f = (double)rounded;
    }
    return intern(kernel, &expr);
}

const gml_expr *gml_expr_dim(gml_kernel *kernel, gml_dim dim)
{
    if (gml_dim_is_const(dim))
        return gml_expr_int(kernel, GML_I64, dim);
    gml_expr expr = {.kind = GML_EXPR_DIM, .dtype = GML_I64};
    expr.as.dim = dim;
    return intern(kernel, &expr);
}

const gml_expr *gml_expr_axis(gml_kernel *kernel, const gml_axis *axis)
{
    if (axis->extent == 1)
        return gml_expr_int(kernel, GML_I64, 0);
    gml_expr expr = {.kind = GML_EXPR_AXIS, .dtype = GML_I64};
    expr.free = UINT64_C(1) << axis->number;
    expr.as.axis = axis;
    return intern(kernel, &expr);
}

const gml_expr *gml_expr_load(gml_kernel *kernel, const gml_mem *mem,
                              const gml_expr *const *index, const gml_expr *pred)
{
    if (pred && pred->kind == GML_EXPR_CONST) {
        if (!pred->as.cst.i)
            return gml_expr_int(kernel, mem->dtype, 0);
        pred = NULL;
    }
    gml_expr expr = {.kind = GML_EXPR_LOAD, .dtype = mem->dtype};
    expr.as.load.mem = mem;
    expr.as.load.pred = pred;
    expr.as.load.index =
        gml_arena_copy(kernel->arena, index, (size_t)mem->rank * sizeof(*index));
    expr.free = mem->depends | (pred ? pred->free : 0);
    for (int d = 0; d < mem->rank; d++)
        expr.free |= index[d]->free;
    return intern(kernel, &expr);
}

/* ---- scalars ------------------------------------------------------------------------------
 */

static void constant_lane(const gml_expr *expr, void *lane)
{
    switch (gml_dtype_lanes(expr->dtype)) {
    case GML_LANE_F32: *(float *)lane = (float)expr->as.cst.f; break;
    case GML_LANE_F64: *(double *)lane = expr->as.cst.f; break;
    case GML_LANE_I64: *(int64_t *)lane = expr->as.cst.i; break;
    }
}

static const gml_expr *fold(gml_kernel *kernel, gml_scalar_op op, gml_dtype dtype,
                            unsigned flags, const gml_expr *const *args, int arity)
{
    union {
        float f;
        double d;
        int64_t i;
    } in[3], out = {.i = 0};
    const void *lanes[3] = {&in[0], &in[1], &in[2]};
    for (int i = 0; i < arity; i++)
        constant_lane(args[i], &in[i]);
    gml_scalar_lanes(op, dtype, args[op == GML_X_SELECT ? 1 : 0]->dtype, flags, lanes, &out, 1);
    switch (gml_dtype_lanes(dtype)) {
    case GML_LANE_F32: return gml_expr_float(kernel, dtype, (double)out.f);
    case GML_LANE_F64: return gml_expr_float(kernel, dtype, out.d);
    case GML_LANE_I64: break;
    }
    return gml_expr_int(kernel, dtype, out.i);
}

static bool is_float(const gml_expr *expr, double value)
{
    return expr->kind == GML_EXPR_CONST &&
           gml_dtype_get_class(expr->dtype) == GML_CLASS_FLOAT && expr->as.cst.f == value;
}

/* Identities that hold bit for bit; NULL when none applies. */
static const gml_expr *simplify_float(gml_scalar_op op, const gml_expr *const *args)
{
    switch ((int)op) {
    case GML_X_MUL:
        if (is_float(args[0], 1))
            return args[1];
        return is_float(args[1], 1) ? args[0] : NULL;
    case GML_X_DIV: return is_float(args[1], 1) ? args[0] : NULL;
    case GML_X_SUB: {
        /* x - 0 is x, x - (-0) is not when x is -0 */
        double zero = 0;
        return is_float(args[1], 0) && memcmp(&args[1]->as.cst.f, &zero, sizeof zero) == 0
                   ? args[0]
                   : NULL;
    }
    default: return NULL;
    }
}

static const gml_expr *simplify_bool(gml_kernel *kernel, gml_scalar_op op,
                                     const gml_expr *const *args)
{
    for (int i = 0; i < 2 && (op == GML_X_AND || op == GML_X_OR); i++) {
        const gml_expr *other = args[1 - i];
        if (args[i]->kind != GML_EXPR_CONST)
            continue;
        if (op == GML_X_AND)
            return args[i]->as.cst.i ? other : gml_expr_int(kernel, GML_BOOL, 0);
        return args[i]->as.cst.i ? gml_expr_int(kernel, GML_BOOL, 1) : other;
    }
    if ((op == GML_X_AND || op == GML_X_OR) && args[0] == args[1])
        return args[0];
    return NULL;
}

static const gml_expr *simplify(gml_kernel *kernel, gml_scalar_op op, gml_dtype dtype,
                                unsigned flags, const gml_expr *const *args)
{
    int arity = gml_scalar_arity(op);
    bool constant = true;
    for (int i = 0; i < arity; i++)
        constant = constant && args[i]->kind == GML_EXPR_CONST;
    if (constant)
        return fold(kernel, op, dtype, flags, args, arity);
    if (op == GML_X_SELECT) {
        if (args[0]->kind == GML_EXPR_CONST)
            return args[0]->as.cst.i ? args[1] : args[2];
        return args[1] == args[2] ? args[1] : NULL;
    }
    if ((op == GML_X_CAST || op == GML_X_BITCAST) && args[0]->dtype == dtype)
        return args[0];
    if (gml_dtype_get_class(dtype) == GML_CLASS_FLOAT)
        return simplify_float(op, args);
    if (args[0]->dtype == GML_I64 && (arity == 1 || args[1]->dtype == GML_I64))
        return gml_index_simplify(kernel, op, args);
    return dtype == GML_BOOL && args[0]->dtype == GML_BOOL ? simplify_bool(kernel, op, args)
                                                           : NULL;
}

const gml_expr *gml_expr_plain(gml_kernel *kernel, gml_scalar_op op, gml_dtype dtype,
                               unsigned flags, const gml_expr *const *args)
{
    gml_expr expr = {.kind = GML_EXPR_SCALAR, .dtype = dtype};
    expr.as.scalar.op = op;
    expr.as.scalar.flags = flags;
    for (int i = 0; i < gml_scalar_arity(op); i++) {
        expr.as.scalar.args[i] = args[i];
        expr.free |= args[i]->free;
    }
    return intern(kernel, &expr);
}

const gml_expr *gml_expr_scalar(gml_kernel *kernel, gml_scalar_op op, gml_dtype dtype,
                                unsigned flags, const gml_expr *const *args)
{
    const gml_expr *simple = simplify(kernel, op, dtype, flags, args);
    return simple ? simple : gml_expr_plain(kernel, op, dtype, flags, args);
}

const gml_expr *gml_expr_reduce(gml_kernel *kernel, gml_reduce_op op,
                                const gml_axis *const *axes, unsigned n_axes,
                                const gml_expr *body)
{
    gml_expr expr = {.kind = GML_EXPR_REDUCE, .dtype = body->dtype, .free = body->free};
    expr.as.reduce.op = op;
    expr.as.reduce.n_axes = n_axes;
    expr.as.reduce.body = body;
    expr.as.reduce.axes = gml_arena_copy(kernel->arena, axes, n_axes * sizeof(*axes));
    for (unsigned i = 0; i < n_axes; i++)
        expr.free &= ~(UINT64_C(1) << axes[i]->number);
    if (n_axes == 0)
        return body;
    return intern(kernel, &expr);
}

/* ---- substitution -------------------------------------------------------------------------
 */

typedef struct substitution {
    gml_kernel *kernel;
    const gml_axis *const *axes;
    const gml_expr *const *values;
    unsigned count;
    uint64_t bound;      /* the axes as bits */
    const gml_expr *old; /* an expression to replace, or NULL */
    const gml_expr *replacement;
    const gml_expr **memo; /* by id, for the expressions that existed at the start */
} substitution;

static const gml_expr *substitute(substitution *s, const gml_expr *expr);

static const gml_expr *substitute_load(substitution *s, const gml_expr *expr)
{
    const gml_expr *index[GML_MAX_RANK];
    for (int d = 0; d < expr->as.load.mem->rank; d++)
        index[d] = substitute(s, expr->as.load.index[d]);
    const gml_expr *pred = expr->as.load.pred ? substitute(s, expr->as.load.pred) : NULL;
    return gml_expr_load(s->kernel, expr->as.load.mem, index, pred);
}

static const gml_expr *rebuild(substitution *s, const gml_expr *expr)
{
    switch (expr->kind) {
    case GML_EXPR_AXIS:
        for (unsigned i = 0; i < s->count; i++)
            if (s->axes[i] == expr->as.axis)
                return s->values[i];
        return expr;
    case GML_EXPR_LOAD: return substitute_load(s, expr);
    case GML_EXPR_SCALAR: {
        const gml_expr *args[3] = {NULL, NULL, NULL};
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            args[i] = substitute(s, expr->as.scalar.args[i]);
        return gml_expr_scalar(s->kernel, expr->as.scalar.op, expr->dtype,
                               expr->as.scalar.flags, args);
    }
    case GML_EXPR_REDUCE:
        return gml_expr_reduce(s->kernel, expr->as.reduce.op, expr->as.reduce.axes,
                               expr->as.reduce.n_axes, substitute(s, expr->as.reduce.body));
    case GML_EXPR_CONST:
    case GML_EXPR_DIM: break;
    }
    return expr;
}

static const gml_expr *substitute(substitution *s, const gml_expr *expr)
{
    if (expr == s->old)
        return s->replacement;
    /* operands have smaller numbers: nothing below can be the one looked for */
    if (s->old ? expr->id <= s->old->id : !(expr->free & s->bound))
        return expr;
    if (!s->memo[expr->id])
        s->memo[expr->id] = rebuild(s, expr);
    return s->memo[expr->id];
}

const gml_expr *gml_expr_substitute(gml_kernel *kernel, const gml_expr *expr,
                                    const gml_axis *const *axes, const gml_expr *const *values,
                                    unsigned count)
{
    substitution s = {.kernel = kernel, .axes = axes, .values = values, .count = count};
    for (unsigned i = 0; i < count; i++)
        s.bound |= UINT64_C(1) << axes[i]->number;
    if (!(expr->free & s.bound))
        return expr;
    s.memo = gml_new_array(kernel->arena, const gml_expr *, expr->id + 1);
    return substitute(&s, expr);
}

const gml_expr *gml_expr_replace(gml_kernel *kernel, const gml_expr *expr, const gml_expr *old,
                                 const gml_expr *replacement)
{
    substitution s = {.kernel = kernel, .old = old, .replacement = replacement};
    s.memo = gml_new_array(kernel->arena, const gml_expr *, expr->id + 1);
    return substitute(&s, expr);
}
