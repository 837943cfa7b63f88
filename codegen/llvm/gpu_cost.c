/* codegen/llvm/gpu_cost.c - what a phase on a GPU moves and does. */
#include "codegen/llvm/gpu_cost.h"

#include <string.h>

/* A part of a memory: from `lo` to `hi` in each dimension, of which `count` elements at most
 * are touched. */
typedef struct box {
    int64_t lo[GML_MAX_RANK], hi[GML_MAX_RANK];
    gml_dim count;
} box;

#define GML_MAX_BOXES 8

typedef struct gml_reach {
    gml_access access; /* without bytes */
    const gml_mem *mem;
    gml_dim times; /* units that have such an array of their own */
    box boxes[GML_MAX_BOXES];
    unsigned n_boxes;
} reach;

static gml_dim times(const gml_meter *m, gml_dim a, gml_dim b)
{
    return gml_dim_mul(m->kernel->dims, a, b);
}

static gml_dim plus(const gml_meter *m, gml_dim a, gml_dim b)
{
    return gml_dim_add(m->kernel->dims, a, b);
}

static gml_dim product_of(const gml_meter *m, uint64_t axes)
{
    gml_dim product = 1;
    for (size_t i = 0; i < m->kernel->axes.count; i++)
        if (axes >> m->kernel->axes.items[i]->number & 1)
            product = times(m, product, m->kernel->axes.items[i]->extent);
    return product;
}

static uint64_t outer_of(const gml_meter *m)
{
    uint64_t axes = 0;
    for (unsigned i = 0; i < m->n_outer; i++)
        axes |= UINT64_C(1) << m->outer[i]->number;
    return axes;
}

/* ---- memory -------------------------------------------------------------------------------
 */

/* Which memory it is to the kernel's caller; false: none, it is in registers or shared. */
static bool name_access(const gml_meter *m, const gml_mem *mem, gml_access *out)
{
    uint32_t n_inputs = (uint32_t)m->kernel->inputs.count;
    uint32_t n_params = n_inputs + (uint32_t)m->kernel->outputs.count;
    *out = (gml_access){.kind = GML_ACCESS_VALUE, .mem = mem->number};
    if (mem->role == GML_MEM_SUM)
        return false;
    if (mem->role == GML_MEM_OUTPUT)
        out->mem += n_inputs;
    if (mem->role != GML_MEM_LOCAL)
        return true;
    const gml_home *home = &m->homes->of[mem->number];
    if (home->shared) {
        out->kind = home->is_operand ? GML_ACCESS_OPERAND : GML_ACCESS_BETWEEN;
        out->mem = n_params + home->temporary;
        return true;
    }
    out->kind = GML_ACCESS_ROOM;
    out->mem = n_params + m->room;
    return m->room != GML_NO_ROOM && mem->rank > 0;
}

/* A unit's own arrays lie in one memory, and each counts again for each statement. */
static reach *find_reach(gml_meter *m, const gml_mem *mem, const gml_access *access)
{
    for (size_t i = 0; i < m->reaches.count; i++) {
        reach *r = &m->reaches.items[i];
        if (r->mem == mem && r->access.is_store == access->is_store &&
            (access->kind != GML_ACCESS_ROOM || i >= m->n_closed))
            return r;
    }
    reach fresh = {.access = *access, .mem = mem, .times = 1};
    gml_push(m->kernel->arena, &m->reaches, fresh);
    return &m->reaches.items[m->reaches.count - 1];
}

static gml_dim volume_of(const gml_meter *m, const gml_mem *mem, const box *b)
{
    gml_dim volume = 1;
    for (int d = 0; d < mem->rank; d++) {
        bool is_known = gml_dim_is_const(mem->dims[d]);
        volume = times(m, volume, is_known ? b->hi[d] - b->lo[d] + 1 : mem->dims[d]);
    }
    return volume;
}

static box make_box(const gml_meter *m, const gml_mem *mem, const gml_expr *const *index)
{
    box b = {.count = 0};
    uint64_t axes = 0;
    for (int d = 0; d < mem->rank; d++) {
        bool is_known = gml_dim_is_const(mem->dims[d]);
        axes |= index[d]->free;
        b.hi[d] = is_known ? mem->dims[d] - 1 : GML_DIM_LIMIT;
        if (is_known && index[d]->lo > 0)
            b.lo[d] = index[d]->lo < b.hi[d] ? index[d]->lo : b.hi[d];
        if (is_known && index[d]->hi < b.hi[d])
            b.hi[d] = index[d]->hi > b.lo[d] ? index[d]->hi : b.lo[d];
    }
    b.count = gml_dim_min(m->kernel->dims, product_of(m, axes), volume_of(m, mem, &b));
    return b;
}

/* Every element of `inner` is one of `outer`'s, which are all touched. */
static bool covers(const gml_meter *m, const gml_mem *mem, const box *outer, const box *inner)
{
    for (int d = 0; d < mem->rank; d++)
        if (outer->lo[d] > inner->lo[d] || outer->hi[d] < inner->hi[d])
            return false;
    return outer->count == volume_of(m, mem, outer);
}

static bool are_equal(const gml_mem *mem, const box *a, const box *b)
{
    size_t size = (size_t)mem->rank * sizeof *a->lo;
    return memcmp(a->lo, b->lo, size) == 0 && memcmp(a->hi, b->hi, size) == 0;
}

static void add_box(const gml_meter *m, reach *r, const box *b)
{
    for (unsigned i = 0; i < r->n_boxes; i++) {
        box *known = &r->boxes[i];
        if (are_equal(r->mem, known, b)) {
            known->count = gml_dim_max(m->kernel->dims, known->count, b->count);
            return;
        }
        if (covers(m, r->mem, known, b))
            return;
        if (covers(m, r->mem, b, known)) {
            *known = *b;
            return;
        }
    }
    if (r->n_boxes < GML_MAX_BOXES)
        r->boxes[r->n_boxes++] = *b;
    else
        r->boxes[0].count = plus(m, r->boxes[0].count, b->count);
}

static void touch(gml_meter *m, const gml_mem *mem, const gml_expr *const *index, bool is_store)
{
    gml_access access;
    uint64_t indexed = 0;
    if (!name_access(m, mem, &access))
        return;
    access.is_store = is_store;
    for (int d = 0; d < mem->rank; d++)
        indexed |= index[d]->free;
    reach *r = find_reach(m, mem, &access);
    if (access.kind == GML_ACCESS_ROOM)
        r->times = product_of(m, (mem->depends | outer_of(m)) & ~indexed);
    box b = make_box(m, mem, index);
    add_box(m, r, &b);
}

static void look(gml_meter *m, const gml_expr *expr)
{
    if (m->seen[expr->id])
        return;
    m->seen[expr->id] = true;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD:
        touch(m, expr->as.load.mem, expr->as.load.index, false);
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            look(m, expr->as.load.index[d]);
        if (expr->as.load.pred)
            look(m, expr->as.load.pred);
        break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            look(m, expr->as.scalar.args[i]);
        break;
    case GML_EXPR_REDUCE: look(m, expr->as.reduce.body); break;
    }
}

/* ---- statements ---------------------------------------------------------------------------
 */

/* A load, in another type at most, or the choice between such. */
static bool is_loaded(const gml_expr *expr, unsigned depth)
{
    if (expr->kind != GML_EXPR_SCALAR)
        return expr->kind == GML_EXPR_LOAD || expr->kind == GML_EXPR_CONST;
    const gml_expr *const *args = expr->as.scalar.args;
    if (depth == 0)
        return false;
    if (expr->as.scalar.op == GML_X_CAST)
        return is_loaded(args[0], depth - 1);
    return expr->as.scalar.op == GML_X_SELECT && is_loaded(args[1], depth - 1) &&
           is_loaded(args[2], depth - 1);
}

static void look_stores(gml_meter *m, const gml_stmt *list)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_FOR) {
            look_stores(m, list->as.loop.body);
            continue;
        }
        m->computes = m->computes || !is_loaded(list->as.store.value, 16);
        look(m, list->as.store.value);
        for (int d = 0; d < list->as.store.mem->rank; d++)
            look(m, list->as.store.index[d]);
        touch(m, list->as.store.mem, list->as.store.index, true);
    }
}

static void begin(gml_meter *m)
{
    m->n_closed = m->reaches.count;
    m->seen = gml_new_array(m->kernel->arena, bool, m->kernel->exprs.count + 1);
}

void gml_meter_read(gml_meter *m, const gml_stmt *stmt)
{
    gml_stmt alone = *stmt;
    alone.next = NULL;
    begin(m);
    look_stores(m, &alone);
    gml_dim flops = gml_list_flops(m->kernel, &alone);
    m->flops = plus(m, m->flops, times(m, flops, product_of(m, outer_of(m))));
}

static void store_all(gml_meter *m, const gml_mem *mem)
{
    gml_access access;
    box b = {.count = 1};
    if (!name_access(m, mem, &access))
        return;
    access.is_store = true;
    for (int d = 0; d < mem->rank; d++) {
        b.hi[d] = mem->dims[d] - 1;
        b.count = times(m, b.count, mem->dims[d]);
    }
    add_box(m, find_reach(m, mem, &access), &b);
}

void gml_meter_read_sums(gml_meter *m, const gml_columns *columns)
{
    for (unsigned i = 0; i < columns->n_sums; i++) {
        gml_dim flops = gml_expr_flops(m->kernel, columns->sums[i].reduce);
        m->flops = plus(m, m->flops, times(m, flops, columns->columns));
        store_all(m, columns->sums[i].parts);
    }
}

/* Operands that are evaluated on the way are so for each tile. */
static gml_dim operand_flops(const gml_meter *m, const gml_expr *expr, const gml_axis *side,
                             const gml_axis *other, unsigned tile)
{
    gml_dim tiles = gml_dim_ceil_div(m->kernel->dims, other->extent, tile);
    return times(m, times(m, gml_expr_flops(m->kernel, expr), side->extent), tiles);
}

void gml_meter_read_product(gml_meter *m, const gml_gpu_gemm *g)
{
    const gml_contraction *c = &g->c;
    gml_dim batch = product_of(m, outer_of(m));
    for (unsigned i = 0; i < c->n_batch; i++)
        batch = times(m, batch, c->batch[i]->extent);
    begin(m);
    m->seen[c->sum->id] = true; /* it is in registers */
    look(m, g->a_load ? g->a_load : c->a);
    look(m, g->b_load ? g->b_load : c->b);
    look_stores(m, c->store);
    m->computes = true;
    gml_dim results = times(m, batch, times(m, c->m->extent, c->n->extent));
    gml_dim products = times(m, times(m, results, c->k->extent), 2);
    gml_dim each = 0;
    for (const gml_stmt *store = c->store; store; store = store->next)
        if (store->as.store.mem->role != GML_MEM_SUM)
            each = plus(m, each, gml_expr_flops(m->kernel, store->as.store.value));
    gml_dim flops = times(m, results, each);
    gml_dim deep = times(m, batch, c->k->extent);
    if (!g->a_load)
        flops = plus(m, flops, times(m, deep, operand_flops(m, c->a, c->m, c->n, g->columns)));
    if (!g->b_load)
        flops = plus(m, flops, times(m, deep, operand_flops(m, c->b, c->n, c->m, g->rows)));
    if (g->is_mma)
        m->mma = plus(m, m->mma, products);
    else
        flops = plus(m, flops, products);
    m->flops = plus(m, m->flops, flops);
}

static gml_dim bytes_of(const gml_meter *m, const reach *r)
{
    gml_dim count = 0;
    gml_dim all = 1;
    for (unsigned i = 0; i < r->n_boxes; i++)
        count = plus(m, count, r->boxes[i].count);
    for (int d = 0; d < r->mem->rank; d++)
        all = times(m, all, r->mem->dims[d]);
    count = gml_dim_min(m->kernel->dims, count, all);
    return times(m, times(m, count, r->times), (gml_dim)gml_dtype_size(r->mem->dtype));
}

gml_cost gml_meter_total(gml_meter *m)
{
    gml_access *accesses = gml_new_array(m->kernel->arena, gml_access, m->reaches.count + 1);
    uint32_t n = 0;
    for (size_t i = 0; i < m->reaches.count; i++) {
        gml_access one = m->reaches.items[i].access;
        one.bytes = bytes_of(m, &m->reaches.items[i]);
        uint32_t k = 0;
        while (k < n && (accesses[k].mem != one.mem || accesses[k].is_store != one.is_store))
            k++;
        if (k < n)
            accesses[k].bytes = plus(m, accesses[k].bytes, one.bytes);
        else
            accesses[n++] = one;
    }
    return (gml_cost){.accesses = accesses,
                      .n_accesses = n,
                      .mma = m->mma,
                      .flops = m->flops,
                      .is_copy = !m->computes};
}
