/* ir/eval.c - the loop IR interpreter.
 *
 * Works on lanes: the innermost loop around a store, or the last axis of a reduction that
 * stands alone, is run some hundreds of values at a time, so that walking the expression costs
 * little. What does not depend on the lane axis is computed once, as one lane.
 *
 * Each expression has a slot with its latest lanes. They are valid while none of the axes that
 * the expression depends on has moved: every axis carries the time of its last move, every slot
 * the time at which it was filled. Locals move the axes of their `depends`, by being inside
 * those loops. */
#include "ir/eval.h"

#include "ir/scalar.h"

#include <stdlib.h>
#include <string.h>

#define GML_LANES 256

typedef struct slot {
    void *lanes;
    uint64_t time;
    uint32_t n; /* 1: the same for every lane */
} slot;

typedef struct machine {
    const gml_kernel *kernel;
    const gml_eval_args *args;
    gml_diags *diags;
    gml_loc loc;
    gml_status status;
    slot *slots;
    int64_t value[GML_MAX_AXES]; /* of each axis; its first lane when it is the lane axis */
    uint64_t moved[GML_MAX_AXES];
    uint64_t time;
    const gml_axis *lane_axis;
    uint32_t n_lanes;
    void **locals;
    int64_t (*dims)[GML_MAX_RANK]; /* of inputs, outputs, locals, in that order */
} machine;

static void fail(machine *m, gml_status status, const char *text)
{
    if (m->status == GML_OK)
        m->status = gml_fail(m->diags, status, m->loc, "%s", text);
}

static int64_t size_of(machine *m, gml_dim dim)
{
    int64_t value = 0;
    if (gml_dim_is_const(dim))
        return dim;
    if (!m->args->dims || !gml_dim_eval(m->kernel->dims, dim, m->args->dims, &value))
        fail(m, GML_E_SHAPE, "a symbolic size has no value");
    return value;
}

static size_t mem_slot(const machine *m, const gml_mem *mem)
{
    switch (mem->role) {
    case GML_MEM_INPUT: return mem->number;
    case GML_MEM_OUTPUT: return m->kernel->inputs.count + mem->number;
    case GML_MEM_LOCAL: break;
    }
    return m->kernel->inputs.count + m->kernel->outputs.count + mem->number;
}

static char *mem_data(const machine *m, const gml_mem *mem)
{
    switch (mem->role) {
    case GML_MEM_INPUT: return m->args->inputs[mem->number];
    case GML_MEM_OUTPUT: return m->args->outputs[mem->number];
    case GML_MEM_LOCAL: break;
    }
    return m->locals[mem->number];
}

static void move_axis(machine *m, const gml_axis *axis, int64_t value)
{
    m->value[axis->number] = value;
    m->moved[axis->number] = ++m->time;
}

static const slot *evaluate(machine *m, const gml_expr *expr);

/* ---- leaves and scalars -------------------------------------------------------------------
 */

static bool on_lanes(const machine *m, const gml_expr *expr)
{
    return m->lane_axis && (expr->free >> m->lane_axis->number & 1);
}

static void eval_constant(const gml_expr *expr, void *lane)
{
    switch (gml_dtype_lanes(expr->dtype)) {
    case GML_LANE_F32: *(float *)lane = (float)expr->as.cst.f; break;
    case GML_LANE_F64: *(double *)lane = expr->as.cst.f; break;
    case GML_LANE_I64: *(int64_t *)lane = expr->as.cst.i; break;
    }
}

static void eval_axis(const machine *m, const gml_expr *expr, slot *out)
{
    int64_t *lanes = out->lanes;
    for (uint32_t i = 0; i < out->n; i++)
        lanes[i] = m->value[expr->as.axis->number] + (int64_t)i;
}

/* The lanes of a slot, spread out when there is one and `n` are wanted. */
static const void *spread(const slot *in, gml_dtype dtype, uint32_t n, void *scratch)
{
    if (in->n == n)
        return in->lanes;
    if (gml_dtype_lanes(dtype) == GML_LANE_F32) {
        for (uint32_t i = 0; i < n; i++)
            ((float *)scratch)[i] = *(const float *)in->lanes;
    } else {
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)scratch)[i] = *(const uint64_t *)in->lanes;
    }
    return scratch;
}

static void eval_scalar(machine *m, const gml_expr *expr, slot *out)
{
    uint64_t scratch[3][GML_LANES];
    const slot *in[3] = {NULL, NULL, NULL};
    const void *args[3] = {NULL, NULL, NULL};
    int arity = gml_scalar_arity(expr->as.scalar.op);
    for (int i = 0; i < arity; i++)
        in[i] = evaluate(m, expr->as.scalar.args[i]);
    for (int i = 0; i < arity; i++)
        args[i] = spread(in[i], expr->as.scalar.args[i]->dtype, out->n, scratch[i]);
    gml_dtype arg = expr->as.scalar.args[expr->as.scalar.op == GML_X_SELECT ? 1 : 0]->dtype;
    gml_scalar_lanes(expr->as.scalar.op, expr->dtype, arg, expr->as.scalar.flags, args,
                     out->lanes, out->n);
}

/* ---- memory -------------------------------------------------------------------------------
 */

/* Flat positions of `n` lanes; false when one of those that count is outside. */
static bool flat_positions(machine *m, const gml_mem *mem, const gml_expr *const *index,
                           const int64_t *pred, uint32_t n, int64_t *flat)
{
    const int64_t *dims = m->dims[mem_slot(m, mem)];
    memset(flat, 0, n * sizeof *flat);
    for (int d = 0; d < mem->rank; d++) {
        const slot *in = evaluate(m, index[d]);
        const int64_t *lanes = in->lanes;
        for (uint32_t i = 0; i < n; i++) {
            int64_t at = lanes[in->n == 1 ? 0 : i];
            if (at < 0 || at >= dims[d]) {
                if (!pred || pred[i])
                    return false;
                at = 0;
            }
            flat[i] = flat[i] * dims[d] + at;
        }
    }
    return true;
}

static void eval_load(machine *m, const gml_expr *expr, slot *out)
{
    const gml_mem *mem = expr->as.load.mem;
    uint64_t scratch[GML_LANES];
    int64_t flat[GML_LANES];
    const int64_t *pred = NULL;
    if (expr->as.load.pred)
        pred = spread(evaluate(m, expr->as.load.pred), GML_BOOL, out->n, scratch);
    if (!flat_positions(m, mem, expr->as.load.index, pred, out->n, flat)) {
        fail(m, GML_E_RANGE, "an index is outside its tensor");
        memset(out->lanes, 0, out->n * sizeof(uint64_t));
        return;
    }
    const char *data = mem_data(m, mem);
    int64_t size = (int64_t)gml_dtype_size(mem->dtype);
    size_t lane = gml_lane_size(gml_dtype_lanes(mem->dtype));
    int64_t step = out->n > 1 ? flat[1] - flat[0] : 0;
    bool even = !pred;
    for (uint32_t i = 2; i < out->n && even; i++)
        even = flat[i] - flat[i - 1] == step;
    if (even) {
        gml_lanes_load(mem->dtype, data + flat[0] * size, step, out->lanes, out->n);
        return;
    }
    for (uint32_t i = 0; i < out->n; i++) {
        char *to = (char *)out->lanes + i * lane;
        if (!pred || pred[i])
            gml_lanes_load(mem->dtype, data + flat[i] * size, 0, to, 1);
        else
            memset(to, 0, lane);
    }
}

static void run_store(machine *m, const gml_stmt *stmt)
{
    const gml_mem *mem = stmt->as.store.mem;
    int64_t flat[GML_LANES];
    uint64_t scratch[GML_LANES];
    uint32_t n = m->lane_axis ? m->n_lanes : 1;
    const slot *value = evaluate(m, stmt->as.store.value);
    const void *lanes = spread(value, mem->dtype, n, scratch);
    if (m->status != GML_OK)
        return;
    if (!flat_positions(m, mem, stmt->as.store.index, NULL, n, flat)) {
        fail(m, GML_E_RANGE, "a store is outside its tensor");
        return;
    }
    char *data = mem_data(m, mem);
    size_t lane = gml_lane_size(gml_dtype_lanes(mem->dtype));
    for (uint32_t i = 0; i < n; i++)
        gml_lanes_store(mem->dtype, data + flat[i] * (int64_t)gml_dtype_size(mem->dtype), 0,
                        (const char *)lanes + i * lane, 1);
}

/* ---- reductions ---------------------------------------------------------------------------
 */

/* One lane in `acc`; the last axis runs as lanes and is added up in rising order. */
static void reduce_last_axis(machine *m, const gml_expr *expr, const gml_axis *axis,
                             int64_t extent, void *acc)
{
    const gml_axis *outer = m->lane_axis;
    uint32_t n_outer = m->n_lanes;
    size_t lane = gml_lane_size(gml_dtype_lanes(expr->dtype));
    for (int64_t begin = 0; begin < extent && m->status == GML_OK; begin += GML_LANES) {
        m->lane_axis = axis;
        m->n_lanes = (uint32_t)(extent - begin < GML_LANES ? extent - begin : GML_LANES);
        move_axis(m, axis, begin);
        const slot *body = evaluate(m, expr->as.reduce.body);
        for (uint32_t i = 0; i < m->n_lanes; i++)
            gml_reduce_lanes(expr->as.reduce.op, expr->dtype, acc,
                             (const char *)body->lanes + (body->n == 1 ? 0 : i) * lane, 1);
    }
    m->lane_axis = outer;
    m->n_lanes = n_outer;
}

static void reduce_axes(machine *m, const gml_expr *expr, unsigned level, slot *out)
{
    uint64_t scratch[GML_LANES];
    if (level == expr->as.reduce.n_axes) {
        const slot *body = evaluate(m, expr->as.reduce.body);
        gml_reduce_lanes(expr->as.reduce.op, expr->dtype, out->lanes,
                         spread(body, expr->dtype, out->n, scratch), out->n);
        return;
    }
    const gml_axis *axis = expr->as.reduce.axes[level];
    int64_t extent = size_of(m, axis->extent);
    if (level + 1 == expr->as.reduce.n_axes && out->n == 1) {
        reduce_last_axis(m, expr, axis, extent, out->lanes);
        return;
    }
    for (int64_t i = 0; i < extent && m->status == GML_OK; i++) {
        move_axis(m, axis, i);
        reduce_axes(m, expr, level + 1, out);
    }
}

static const slot *evaluate(machine *m, const gml_expr *expr)
{
    slot *out = &m->slots[expr->id];
    uint32_t n = on_lanes(m, expr) ? m->n_lanes : 1;
    uint64_t moved = 1;
    for (uint64_t rest = expr->free; rest; rest &= rest - 1) {
        uint64_t time = m->moved[__builtin_ctzll(rest)];
        moved = time > moved ? time : moved;
    }
    if (out->time >= moved && out->n == n)
        return out;
    out->n = n;
    switch (expr->kind) {
    case GML_EXPR_CONST: eval_constant(expr, out->lanes); break;
    case GML_EXPR_DIM: *(int64_t *)out->lanes = size_of(m, expr->as.dim); break;
    case GML_EXPR_AXIS: eval_axis(m, expr, out); break;
    case GML_EXPR_LOAD: eval_load(m, expr, out); break;
    case GML_EXPR_SCALAR: eval_scalar(m, expr, out); break;
    case GML_EXPR_REDUCE:
        gml_reduce_identity(expr->as.reduce.op, expr->dtype, out->lanes, n);
        reduce_axes(m, expr, 0, out);
        break;
    }
    out->time = m->time;
    return out;
}

/* ---- statements ---------------------------------------------------------------------------
 */

static void run(machine *m, const gml_stmt *list);

static void run_loop(machine *m, const gml_stmt *stmt)
{
    const gml_axis *axis = stmt->as.loop.axis;
    const gml_stmt *body = stmt->as.loop.body;
    int64_t extent = size_of(m, axis->extent);
    bool lanes = body && body->kind == GML_STMT_STORE && !body->next;
    int64_t step = lanes ? GML_LANES : 1;
    for (int64_t i = 0; i < extent && m->status == GML_OK; i += step) {
        if (lanes) {
            m->lane_axis = axis;
            m->n_lanes = (uint32_t)(extent - i < step ? extent - i : step);
        }
        move_axis(m, axis, i);
        run(m, body);
        m->lane_axis = NULL;
    }
}

static void run(machine *m, const gml_stmt *list)
{
    for (; list && m->status == GML_OK; list = list->next) {
        if (list->kind == GML_STMT_FOR)
            run_loop(m, list);
        else
            run_store(m, list);
    }
}

/* ---- setting up ---------------------------------------------------------------------------
 */

static void measure(machine *m, const gml_mem *mem)
{
    for (int d = 0; d < mem->rank; d++)
        m->dims[mem_slot(m, mem)][d] = size_of(m, mem->dims[d]);
}

static void allocate_locals(machine *m)
{
    for (size_t i = 0; i < m->kernel->locals.count; i++) {
        const gml_mem *mem = m->kernel->locals.items[i];
        size_t bytes = gml_dtype_size(mem->dtype);
        for (int d = 0; d < mem->rank; d++)
            if (__builtin_mul_overflow(bytes, (size_t)m->dims[mem_slot(m, mem)][d], &bytes))
                fail(m, GML_E_MEMORY, "a local array is too large");
        if (m->status == GML_OK)
            m->locals[i] = malloc(bytes ? bytes : 1);
        if (!m->locals[i])
            fail(m, GML_E_MEMORY, "no memory for a local array");
    }
}

static bool allocate(machine *m)
{
    const gml_kernel *kernel = m->kernel;
    size_t n_mems = kernel->inputs.count + kernel->outputs.count + kernel->locals.count;
    m->slots = calloc(kernel->exprs.count + 1, sizeof *m->slots);
    m->dims = calloc(n_mems + 1, sizeof *m->dims);
    m->locals = calloc(kernel->locals.count + 1, sizeof *m->locals);
    bool ok = m->slots && m->dims && m->locals;
    char *lanes = ok ? malloc((kernel->exprs.count + 1) * GML_LANES * sizeof(uint64_t)) : NULL;
    if (!lanes)
        return false;
    for (size_t i = 0; i <= kernel->exprs.count; i++)
        m->slots[i].lanes = lanes + i * GML_LANES * sizeof(uint64_t);
    return true;
}

gml_status gml_kernel_eval(const gml_kernel *kernel, const gml_eval_args *args,
                           gml_diags *diags, gml_loc loc)
{
    machine m = {.kernel = kernel, .args = args, .diags = diags, .loc = loc, .time = 1};
    if (allocate(&m)) {
        for (size_t i = 0; i < kernel->inputs.count; i++)
            measure(&m, kernel->inputs.items[i]);
        for (size_t i = 0; i < kernel->outputs.count; i++)
            measure(&m, kernel->outputs.items[i]);
        for (size_t i = 0; i < kernel->locals.count; i++)
            measure(&m, kernel->locals.items[i]);
        if (m.status == GML_OK)
            allocate_locals(&m);
        run(&m, kernel->body);
        free(m.slots[0].lanes);
    } else {
        fail(&m, GML_E_MEMORY, "no memory for the interpreter");
    }
    for (size_t i = 0; m.locals && i < kernel->locals.count; i++)
        free(m.locals[i]);
    free(m.locals);
    free(m.dims);
    free(m.slots);
    return m.status;
}

/* ---- one element as a size ----------------------------------------------------------------
 */

typedef struct sizing {
    gml_kernel *kernel;
    gml_size_of_load load;
    void *context;
    unsigned budget;
} sizing;

static const gml_expr *known(sizing *s, const gml_expr *expr);

static const gml_expr *known_load(sizing *s, const gml_expr *expr)
{
    int64_t index[GML_MAX_RANK];
    gml_dim value = 0;
    if (expr->as.load.pred) {
        const gml_expr *pred = known(s, expr->as.load.pred);
        if (!pred || pred->kind != GML_EXPR_CONST)
            return NULL;
        if (!pred->as.cst.i)
            return gml_expr_int(s->kernel, expr->dtype, 0);
    }
    for (int d = 0; d < expr->as.load.mem->rank; d++) {
        const gml_expr *at = known(s, expr->as.load.index[d]);
        if (!at || at->kind != GML_EXPR_CONST)
            return NULL;
        index[d] = at->as.cst.i;
    }
    if (!s->load(s->context, expr->as.load.mem, index, &value))
        return NULL;
    /* sizes stay sizes whatever integer type carries them */
    return gml_dim_is_const(value) ? gml_expr_int(s->kernel, expr->dtype, value)
                                   : gml_expr_dim(s->kernel, value);
}

static const gml_expr *known_scalar(sizing *s, const gml_expr *expr)
{
    const gml_expr *args[3] = {NULL, NULL, NULL};
    if (expr->as.scalar.op == GML_X_SELECT) {
        const gml_expr *cond = known(s, expr->as.scalar.args[0]);
        if (!cond || cond->kind != GML_EXPR_CONST)
            return NULL;
        return known(s, expr->as.scalar.args[cond->as.cst.i ? 1 : 2]);
    }
    bool symbolic = false;
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++) {
        args[i] = known(s, expr->as.scalar.args[i]);
        if (!args[i])
            return NULL;
        symbolic = symbolic || args[i]->kind == GML_EXPR_DIM;
    }
    if (!symbolic)
        return gml_expr_scalar(s->kernel, expr->as.scalar.op, expr->dtype,
                               expr->as.scalar.flags, args);
    if (expr->as.scalar.op == GML_X_CAST)
        return gml_dtype_lanes(expr->dtype) == GML_LANE_I64 ? args[0] : NULL;
    const gml_expr *result =
        gml_expr_scalar(s->kernel, expr->as.scalar.op, expr->dtype, 0, args);
    return result->kind == GML_EXPR_CONST || result->kind == GML_EXPR_DIM ? result : NULL;
}

/* A sum or product over a few values of one axis. */
static const gml_expr *known_reduce(sizing *s, const gml_expr *expr)
{
    const gml_axis *axis = expr->as.reduce.axes[0];
    if (expr->as.reduce.n_axes != 1 || !gml_dim_is_const(axis->extent) || axis->extent > 64)
        return NULL;
    gml_scalar_op op = GML_X_ADD;
    if (expr->as.reduce.op == GML_REDUCE_PROD)
        op = GML_X_MUL;
    else if (expr->as.reduce.op != GML_REDUCE_SUM)
        return NULL;
    const gml_expr *total = gml_expr_int(s->kernel, expr->dtype, op == GML_X_MUL);
    for (int64_t i = 0; i < axis->extent && total; i++) {
        const gml_expr *value = gml_expr_int(s->kernel, GML_I64, i);
        const gml_expr *args[3] = {
            total,
            known(s, gml_expr_substitute(s->kernel, expr->as.reduce.body, &axis, &value, 1)),
            NULL};
        total = args[1] ? gml_expr_scalar(s->kernel, op, expr->dtype, 0, args) : NULL;
    }
    return total;
}

static const gml_expr *known(sizing *s, const gml_expr *expr)
{
    if (s->budget == 0)
        return NULL;
    s->budget--;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM: return expr;
    case GML_EXPR_AXIS: return NULL;
    case GML_EXPR_LOAD: return known_load(s, expr);
    case GML_EXPR_SCALAR: return known_scalar(s, expr);
    case GML_EXPR_REDUCE: return known_reduce(s, expr);
    }
    return NULL;
}

bool gml_expr_to_dim(gml_kernel *kernel, const gml_expr *expr, gml_size_of_load load,
                     void *context, gml_dim *out_dim)
{
    sizing s = {kernel, load, context, 4096};
    const gml_expr *value = known(&s, expr);
    if (!value || (value->kind != GML_EXPR_CONST && value->kind != GML_EXPR_DIM) ||
        gml_dtype_lanes(value->dtype) != GML_LANE_I64)
        return false;
    *out_dim = value->kind == GML_EXPR_DIM ? value->as.dim : value->as.cst.i;
    return value->kind == GML_EXPR_DIM || gml_dim_is_const(*out_dim);
}
