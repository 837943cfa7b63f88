/* ir/eval.c - the loop IR interpreter.
 *
 * Works on lanes: the innermost loops around a store, or the last axis of a reduction that
 * stands alone, are run some hundreds of values at a time, so that walking the expression costs
 * little. A loop of few values takes the loops around it along, as one loop over all of their
 * values. What does not depend on the lane axes is computed once, as one lane.
 *
 * Each expression has a slot with its latest lanes. They are valid while none of the axes that
 * the expression depends on has moved: every axis carries the time of its last move, every slot
 * the time at which it was filled. Locals move the axes of their `depends`, by being inside
 * those loops. */
#include "ir/eval.h"

#include "ir/scalar.h"

#include <stdlib.h>
#include <string.h>

#define GML_LANES         256
#define GML_FEW_LANES     32 /* a nest of fewer takes the next outer loop along */
#define GML_MAX_LANE_AXES 8

typedef struct slot {
    void *lanes;
    uint64_t time;
    uint32_t n; /* 1: the same for every lane */
} slot;

/* The loops that are run as lanes: `n` values of their nest from number `begin` on, the last
 * axis fastest. */
typedef struct lane_nest {
    uint64_t mask; /* of the axes; 0: no lanes */
    unsigned n_axes;
    const gml_axis *axes[GML_MAX_LANE_AXES];
    int64_t extents[GML_MAX_LANE_AXES];
    int64_t begin;
    uint32_t n;
} lane_nest;

typedef struct machine {
    const gml_kernel *kernel;
    const gml_eval_args *args;
    gml_diags *diags;
    gml_loc loc;
    gml_status status;
    slot *slots;
    int64_t value[GML_MAX_AXES]; /* of each axis; its first lane when it is a lane axis */
    uint64_t moved[GML_MAX_AXES];
    uint64_t time;
    lane_nest lanes;
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
    case GML_MEM_SUM: GML_BUG("the interpreter meets what only generated code has");
    }
    return m->kernel->inputs.count + m->kernel->outputs.count + mem->number;
}

static char *mem_data(const machine *m, const gml_mem *mem)
{
    switch (mem->role) {
    case GML_MEM_INPUT: return m->args->inputs[mem->number];
    case GML_MEM_OUTPUT: return m->args->outputs[mem->number];
    case GML_MEM_LOCAL: break;
    case GML_MEM_SUM: GML_BUG("the interpreter meets what only generated code has");
    }
    return m->locals[mem->number];
}

static void move_axis(machine *m, const gml_axis *axis, int64_t value)
{
    m->value[axis->number] = value;
    m->moved[axis->number] = ++m->time;
}

/* The next lanes of the nest. */
static void move_lanes(machine *m, int64_t begin, uint32_t n)
{
    lane_nest *nest = &m->lanes;
    int64_t rest = begin;
    nest->begin = begin;
    nest->n = n;
    for (unsigned a = nest->n_axes; a-- > 0;) {
        move_axis(m, nest->axes[a], rest % nest->extents[a]);
        rest /= nest->extents[a];
    }
}

static const slot *evaluate(machine *m, const gml_expr *expr);

/* ---- leaves and scalars -------------------------------------------------------------------
 */

static bool on_lanes(const machine *m, const gml_expr *expr)
{
    return (expr->free & m->lanes.mask) != 0;
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
    const lane_nest *nest = &m->lanes;
    int64_t *lanes = out->lanes;
    int64_t at = m->value[expr->as.axis->number];
    int64_t inner = 1; /* lanes for which the axis stands still */
    unsigned a = nest->n_axes;
    lanes[0] = at;
    if (!on_lanes(m, expr))
        return;
    while (nest->axes[--a] != expr->as.axis)
        inner *= nest->extents[a];
    int64_t left = inner - nest->begin % inner;
    for (uint32_t i = 0; i < out->n; i++) {
        if (left == 0) {
            at = at + 1 == nest->extents[a] ? 0 : at + 1;
            left = inner;
        }
        lanes[i] = at;
        left--;
    }
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

/* Adds a dimension's index to the flat positions; false when one that counts is outside. */
static bool add_index(int64_t *flat, const slot *in, int64_t size, const int64_t *pred,
                      uint32_t n)
{
    const int64_t *lanes = in->lanes;
    bool is_outside = false;
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = lanes[in->n == 1 ? 0 : i];
        bool is_inside = (uint64_t)at < (uint64_t)size;
        is_outside |= !is_inside && (!pred || pred[i]);
        flat[i] = flat[i] * size + (is_inside ? at : 0);
    }
    return !is_outside;
}

/* Flat positions of `n` lanes; false when one of those that count is outside. */
static bool flat_positions(machine *m, const gml_mem *mem, const gml_expr *const *index,
                           const int64_t *pred, uint32_t n, int64_t *flat)
{
    const int64_t *dims = m->dims[mem_slot(m, mem)];
    int64_t base = 0; /* while the indices are the same for every lane */
    int d = 0;
    for (; d < mem->rank; d++) {
        const slot *in = evaluate(m, index[d]);
        int64_t at = *(const int64_t *)in->lanes;
        if (in->n != 1 || at < 0 || at >= dims[d])
            break;
        base = base * dims[d] + at;
    }
    for (uint32_t i = 0; i < n; i++)
        flat[i] = base;
    for (; d < mem->rank; d++)
        if (!add_index(flat, evaluate(m, index[d]), dims[d], pred, n))
            return false;
    return true;
}

/* How many of `n` lanes from `at` on lie evenly spaced, and agree in whether they count. */
static uint32_t even_run(const int64_t *flat, const int64_t *pred, uint32_t at, uint32_t n)
{
    uint32_t end = at + 1;
    if (pred && !pred[at]) {
        while (end < n && !pred[end])
            end++;
        return end - at;
    }
    while (end < n && (!pred || pred[end]) &&
           flat[end] - flat[end - 1] == flat[at + 1] - flat[at])
        end++;
    return end - at;
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
    uint32_t run = 0;
    for (uint32_t i = 0; i < out->n; i += run) {
        char *to = (char *)out->lanes + i * lane;
        run = even_run(flat, pred, i, out->n);
        int64_t step = run > 1 ? flat[i + 1] - flat[i] : 0;
        if (!pred || pred[i])
            gml_lanes_load(mem->dtype, data + flat[i] * size, step, to, run);
        else
            memset(to, 0, run * lane);
    }
}

static void run_store(machine *m, const gml_stmt *stmt)
{
    const gml_mem *mem = stmt->as.store.mem;
    int64_t flat[GML_LANES];
    uint64_t scratch[GML_LANES];
    uint64_t pred_scratch[GML_LANES];
    const int64_t *pred = NULL;
    uint32_t n = m->lanes.mask ? m->lanes.n : 1;
    if (stmt->as.store.pred)
        pred = spread(evaluate(m, stmt->as.store.pred), GML_BOOL, n, pred_scratch);
    const slot *value = evaluate(m, stmt->as.store.value);
    const void *lanes = spread(value, mem->dtype, n, scratch);
    if (m->status != GML_OK)
        return;
    if (!flat_positions(m, mem, stmt->as.store.index, pred, n, flat)) {
        fail(m, GML_E_RANGE, "a store is outside its tensor");
        return;
    }
    char *data = mem_data(m, mem);
    size_t lane = gml_lane_size(gml_dtype_lanes(mem->dtype));
    uint32_t run = 0;
    for (uint32_t i = 0; i < n; i += run) {
        run = even_run(flat, pred, i, n);
        if (pred && !pred[i])
            continue;
        gml_lanes_store(mem->dtype, data + flat[i] * (int64_t)gml_dtype_size(mem->dtype),
                        run > 1 ? flat[i + 1] - flat[i] : 0, (const char *)lanes + i * lane,
                        run);
    }
}

/* ---- reductions ---------------------------------------------------------------------------
 */

/* One lane in `acc`; the last axis runs as lanes and is added up in rising order. */
static void reduce_last_axis(machine *m, const gml_expr *expr, const gml_axis *axis,
                             int64_t extent, void *acc)
{
    lane_nest outer = m->lanes;
    size_t lane = gml_lane_size(gml_dtype_lanes(expr->dtype));
    m->lanes = (lane_nest){
        .mask = UINT64_C(1) << axis->number, .n_axes = 1, .axes = {axis}, .extents = {extent}};
    for (int64_t begin = 0; begin < extent && m->status == GML_OK; begin += GML_LANES) {
        int64_t left = extent - begin;
        move_lanes(m, begin, (uint32_t)(left < GML_LANES ? left : GML_LANES));
        const slot *body = evaluate(m, expr->as.reduce.body);
        for (uint32_t i = 0; i < m->lanes.n; i++)
            gml_reduce_lanes(expr->as.reduce.op, expr->dtype, acc,
                             (const char *)body->lanes + (body->n == 1 ? 0 : i) * lane, 1);
    }
    m->lanes = outer;
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
    uint32_t n = on_lanes(m, expr) ? m->lanes.n : 1;
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

/* Sets `nest` to `loop` and the loops inside it, down to a store that stands alone. False when
 * there is no such store, or when the loops inside are lanes enough by themselves. */
static bool collect_nest(machine *m, const gml_stmt *loop, lane_nest *nest, int64_t *out_total)
{
    int64_t total = 1;
    const gml_stmt *stmt = loop;
    *nest = (lane_nest){0};
    for (; stmt && stmt->kind == GML_STMT_FOR; stmt = stmt->as.loop.body) {
        if (nest->n_axes == GML_MAX_LANE_AXES || (stmt != loop && stmt->next))
            return false;
        const gml_axis *axis = stmt->as.loop.axis;
        int64_t extent = size_of(m, axis->extent);
        nest->axes[nest->n_axes] = axis;
        nest->extents[nest->n_axes++] = extent;
        nest->mask |= UINT64_C(1) << axis->number;
        if (stmt != loop && __builtin_mul_overflow(total, extent, &total))
            return false;
    }
    bool few = nest->n_axes == 1 || total < GML_FEW_LANES;
    return few && stmt && !stmt->next &&
           !__builtin_mul_overflow(total, nest->extents[0], out_total);
}

static void run_loop(machine *m, const gml_stmt *stmt)
{
    int64_t total = 0;
    lane_nest nest;
    if (!collect_nest(m, stmt, &nest, &total)) {
        int64_t extent = size_of(m, stmt->as.loop.axis->extent);
        for (int64_t i = 0; i < extent && m->status == GML_OK; i++) {
            move_axis(m, stmt->as.loop.axis, i);
            run(m, stmt->as.loop.body);
        }
        return;
    }
    const gml_stmt *store = stmt;
    while (store->kind == GML_STMT_FOR)
        store = store->as.loop.body;
    m->lanes = nest;
    for (int64_t i = 0; i < total && m->status == GML_OK; i += GML_LANES) {
        move_lanes(m, i, (uint32_t)(total - i < GML_LANES ? total - i : GML_LANES));
        run_store(m, store);
    }
    m->lanes = (lane_nest){0};
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
