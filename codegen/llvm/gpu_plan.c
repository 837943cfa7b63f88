/* codegen/llvm/gpu_plan.c - the phases of a GPU's kernel, their steps, where locals live. */
#include "codegen/llvm/gpu_plan.h"

#include "codegen/blocks.h"
#include "codegen/llvm/gpu_columns.h"
#include "codegen/split.h"

/* Shared memory that a block gets on every architecture from sm_80 on, if it asks. */
#define GML_SHARED_LIMIT   98304
/* Of it, what products and partial sums may take, and rows or columns at a time, where a kernel
 * in stages is cut. */
#define GML_STAGE_SHARED   33024
#define GML_BLOCK_ROWS     64
/* Fewer leave a device idle; so many are wanted then. */
#define GML_BUSY_BLOCKS    132
#define GML_WANTED_BLOCKS  528
/* Steps of a part at least: of a product, of a thread's column, of a team's row. */
#define GML_SPLIT_PRODUCTS 512
#define GML_SPLIT_COLUMN   32
#define GML_SPLIT_ROW      4096

/* A statement of its own; NULL: none. */
static void add_single(gml_gpu_plan *p, const gml_stmt *stmt)
{
    gml_gpu_work w = {0};
    gml_gpu_step one = {.stmt = stmt};
    if (!stmt)
        return;
    gml_push(p->e->kernel->arena, &w.steps, one);
    gml_push(p->e->kernel->arena, &p->works, w);
}

/* `is_alone`: it is the only step of its work, and others may go before. */
static void add_step(gml_gpu_plan *p, gml_gpu_work *w, const gml_stmt *stmt, bool is_alone)
{
    gml_kernel *kernel = p->e->kernel;
    gml_stmt *alone = gml_new(kernel->arena, gml_stmt);
    gml_contraction c;
    *alone = *stmt;
    alone->next = NULL;
    gml_gpu_step one = {.stmt = alone};
    if (gml_contract_find(kernel, alone, 0, &c)) {
        gml_gpu_gemm *gemm = gml_new(kernel->arena, gml_gpu_gemm);
        if (gml_gpu_gemm_prepare(p->e->be, kernel, &c, gemm)) {
            one.gemm = gemm;
            one.stmt = c.store;
            if (is_alone && gml_gpu_gemm_stream(kernel, gemm)) {
                gml_gpu_wgmma_choose(p->e->be, kernel, gemm);
                add_single(p, gemm->pack_a);
                add_single(p, gemm->pack_b);
            }
        }
    }
    gml_push(kernel->arena, &w->steps, one);
}

/* How many blocks a top-level statement keeps busy, and how long its reductions are. */
static bool is_idle(gml_gpu_plan *p, const gml_stmt *stmt, int64_t *out_parts,
                    int64_t *out_least)
{
    gml_kernel *kernel = p->e->kernel;
    gml_contraction c;
    gml_gpu_gemm gemm;
    gml_dim blocks = 0;
    if (gml_contract_find(kernel, stmt, 0, &c) &&
        gml_gpu_gemm_prepare(p->e->be, kernel, &c, &gemm)) {
        blocks = gml_gpu_gemm_units(kernel, &gemm);
        *out_least = GML_SPLIT_PRODUCTS;
    } else {
        gml_gpu_nest nest = gml_gpu_find_nest(kernel, stmt);
        blocks = gml_gpu_units(kernel, &nest);
        if (nest.is_flat)
            blocks = gml_dim_ceil_div(kernel->dims, blocks, nest.threads);
        *out_least = nest.is_flat ? GML_SPLIT_COLUMN : GML_SPLIT_ROW;
    }
    if (!gml_dim_is_const(blocks) || blocks <= 0 || blocks >= GML_BUSY_BLOCKS)
        return false;
    *out_parts = GML_WANTED_BLOCKS / blocks;
    return *out_parts > 1;
}

/* A statement with long reductions and few elements is cut in two. */
static void add_parted(gml_gpu_plan *p, const gml_stmt *stmt)
{
    gml_kernel *kernel = p->e->kernel;
    gml_stmt alone = *stmt;
    gml_stmt *parts[2] = {NULL, NULL};
    int64_t n = 0;
    int64_t least = 1;
    alone.next = NULL;
    if (is_idle(p, &alone, &n, &least) &&
        gml_split_reduction(kernel, &alone, n, least, &parts[0], &parts[1])) {
        for (unsigned i = 0; i < 2; i++) {
            gml_gpu_work w = {0};
            add_step(p, &w, parts[i], true);
            gml_push(kernel->arena, &p->works, w);
        }
        return;
    }
    gml_gpu_work w = {0};
    add_step(p, &w, &alone, true);
    gml_push(kernel->arena, &p->works, w);
}

/* ---- sums of columns ----------------------------------------------------------------------
 */

static void add_sums(gml_gpu_plan *p, const gml_columns *columns)
{
    for (unsigned i = 0; i < columns->n_sums; i++)
        add_parted(p, columns->sums[i].rest);
}

/* The writer as a product that sums; false: it is none, or one that is better cut in two. */
static bool add_summing_product(gml_gpu_plan *p, gml_columns *columns)
{
    gml_kernel *kernel = p->e->kernel;
    gml_contraction c;
    gml_gpu_gemm gemm;
    int64_t n_parts = 0;
    int64_t least = 0;
    if (is_idle(p, columns->writer, &n_parts, &least) ||
        !gml_contract_find(kernel, columns->writer, 0, &c) ||
        !gml_gpu_gemm_prepare(p->e->be, kernel, &c, &gemm) ||
        !gml_tile_sums_fit(kernel, &c, columns))
        return false;
    gml_gpu_work w = {0};
    add_step(p, &w, columns->writer, true);
    gml_gpu_gemm *own = w.steps.items[0].gemm;
    gml_columns_cut(kernel, columns, (columns->rows + own->rows - 1) / own->rows);
    own->columns_of = columns;
    gml_push(kernel->arena, &p->works, w);
    add_sums(p, columns);
    return true;
}

static bool add_summing_nest(gml_gpu_plan *p, gml_columns *columns)
{
    gml_kernel *kernel = p->e->kernel;
    gml_gpu_nest nest = gml_gpu_find_nest(kernel, columns->writer);
    gml_gpu_work w = {.columns = columns};
    gml_gpu_step one = {.stmt = columns->writer};
    int64_t n_parts = nest.is_flat ? gml_gpu_columns_parts(&nest, columns)
                                   : gml_gpu_columns_blocks(kernel, &nest, columns);
    if (n_parts == 0)
        return false;
    w.is_block = !nest.is_flat;
    gml_columns_cut(kernel, columns, n_parts);
    gml_push(kernel->arena, &w.steps, one);
    gml_push(kernel->arena, &p->works, w);
    add_sums(p, columns);
    return true;
}

/* The first of `list` together with those behind it that sum columns of what it stores: how
 * many statements that are; 0: there are no such sums, or it is a statement of a form that
 * does not sum. */
static unsigned add_summing(gml_gpu_plan *p, const gml_stmt *list)
{
    gml_columns *columns = gml_new(p->e->kernel->arena, gml_columns);
    if (!gml_columns_find(p->e->kernel, list, columns) ||
        !(add_summing_product(p, columns) || add_summing_nest(p, columns)))
        return 0;
    return 1 + columns->n_sums;
}

/* All stages for each value of the axes around. */
static void add_stages(gml_gpu_plan *p, const gml_axis *const *outer, unsigned n_outer,
                       const gml_stmt *stages)
{
    gml_gpu_work unit = {.outer = outer, .n_outer = n_outer};
    for (; stages; stages = stages->next)
        add_step(p, &unit, stages, false);
    gml_push(p->e->kernel->arena, &p->works, unit);
}

static void find_works(gml_gpu_plan *p)
{
    gml_kernel *kernel = p->e->kernel;
    gml_block_unit units[GML_MAX_BLOCK_UNITS];
    const gml_stmt *list = kernel->body;
    while (kernel->n_shared == 0 && list) {
        unsigned n = add_summing(p, list);
        if (n == 0)
            add_parted(p, list);
        for (unsigned i = n == 0 ? 1 : n; i > 0; i--)
            list = list->next;
    }
    if (kernel->n_shared == 0)
        return;
    unsigned n =
        gml_blocks_cut(kernel, GML_BLOCK_ROWS, GML_SHARED_LIMIT - GML_STAGE_SHARED, units);
    for (unsigned i = 0; i < n; i++)
        add_stages(p, units[i].outer, units[i].n_outer, units[i].stages);
    if (n > 0)
        return;
    const gml_axis **outer = gml_new_array(kernel->arena, const gml_axis *, kernel->n_shared);
    for (unsigned i = 0; i < kernel->n_shared; i++, list = list->as.loop.body)
        outer[i] = list->as.loop.axis;
    add_stages(p, outer, kernel->n_shared, list);
}

static void note_sums(gml_gpu_plan *p, const gml_columns *columns, unsigned phase)
{
    for (unsigned i = 0; columns && i < columns->n_sums; i++)
        p->homes.of[columns->sums[i].parts->number].stored_in = phase;
}

static void note_step(gml_gpu_plan *p, const gml_gpu_step *one, unsigned phase)
{
    gml_homes_note(&p->homes, one->stmt, phase, false);
    note_sums(p, one->gemm ? one->gemm->columns_of : NULL, phase);
    if (!one->gemm)
        return;
    const gml_gpu_gemm *g = one->gemm;
    gml_homes_note_load(&p->homes, g->a_load ? g->a_load : g->c.a, phase);
    gml_homes_note_load(&p->homes, g->b_load ? g->b_load : g->c.b, phase);
    if (g->pack_a && g->a_load)
        p->homes.of[g->a_load->as.load.mem->number].is_operand = true;
    if (g->pack_b && g->b_load)
        p->homes.of[g->b_load->as.load.mem->number].is_operand = true;
}

/* So many bytes of shared memory behind the partial sums. */
static void need(gml_gpu_plan *p, unsigned bytes)
{
    if (bytes + GML_PARTIALS > p->shared)
        p->shared = bytes + GML_PARTIALS;
}

/* Where the locals are, and how much a block needs. */
static void settle(gml_gpu_plan *p)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    gml_homes_init(&p->homes, kernel);
    for (size_t i = 0; i < p->works.count; i++) {
        note_sums(p, p->works.items[i].columns, (unsigned)i + 1);
        for (size_t k = 0; k < p->works.items[i].steps.count; k++)
            note_step(p, &p->works.items[i].steps.items[k], (unsigned)i + 1);
    }
    gml_homes_settle(&p->homes);
    p->shared = GML_PARTIALS;
    p->room_blocks = GML_ROOMY_BLOCKS;
    for (size_t i = 0; i < p->works.count; i++) {
        const gml_gpu_work *w = &p->works.items[i];
        if (w->is_block) {
            need(p, gml_gpu_columns_shared(w->columns));
            if (w->columns->n_parts > p->room_blocks)
                p->room_blocks = w->columns->n_parts;
        }
        for (size_t k = 0; k < w->steps.count; k++)
            if (w->steps.items[k].gemm && !w->steps.items[k].gemm->is_wgmma)
                need(p, gml_gpu_gemm_shared(w->steps.items[k].gemm));
    }
    gml_dim own = p->homes.scratch;
    p->is_roomy = !gml_dim_is_const(own) || own + p->shared > GML_SHARED_LIMIT;
    if (p->is_roomy) {
        p->room = p->homes.n_temporaries++;
        p->homes.temporaries[p->room] = gml_dim_mul(kernel->dims, own, p->room_blocks);
    }
    e->apart = gml_new_array(kernel->arena, bool, kernel->locals.count + 1);
    e->meets = gml_new_array(kernel->arena, bool, kernel->locals.count + 1);
    for (size_t i = 0; i < kernel->locals.count; i++) {
        e->apart[i] = p->homes.of[i].shared || kernel->locals.items[i]->rank > 0;
        e->meets[i] = e->apart[i] && p->homes.of[i].inside;
    }
}

void gml_gpu_plan_make(gml_gpu_plan *p)
{
    find_works(p);
    settle(p);
}
