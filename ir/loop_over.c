/* ir/loop_over.c - which outputs of a kernel may be computed over its inputs.
 *
 * Only for stores of one loop nest: whoever splits, tiles or reorders the loops keeps the
 * stores of one body in their order for each element, so that an element that only these stores
 * read, at their own index, is not needed once it is overwritten. What a reduction reads is not
 * read at that index; the sum of a product is finished before any store of its element. */
#include "ir/loop.h"

#include <string.h>

/* Where the loads of an input are. */
typedef struct usage {
    const gml_expr *const *index; /* of every load so far; NULL: none yet */
    const gml_stmt *body;         /* first statement of the loop that they are in */
    unsigned last;                /* the last store of it that loads */
    bool is_mixed;                /* loads differ, or are guarded */
} usage;

typedef struct finder {
    const gml_kernel *kernel;
    usage *inputs;
    uint8_t
        *seen; /* by expression id, in the store at hand: 1 outside of reductions, 2 inside */
    unsigned reductions; /* around the expression at hand */
    const gml_stmt *body;
    unsigned store;
} finder;

static bool same_index(const gml_expr *const *a, const gml_expr *const *b, int rank)
{
    for (int d = 0; d < rank; d++)
        if (a[d] != b[d])
            return false;
    return true;
}

static void note_load(finder *f, const gml_expr *load)
{
    const gml_mem *mem = load->as.load.mem;
    if (mem->role != GML_MEM_INPUT)
        return;
    usage *u = &f->inputs[mem->number];
    if (load->as.load.pred || f->reductions > 0 ||
        (u->index &&
         (u->body != f->body || !same_index(u->index, load->as.load.index, mem->rank))))
        u->is_mixed = true;
    u->index = load->as.load.index;
    u->body = f->body;
    u->last = f->store;
}

static void walk(finder *f, const gml_expr *expr)
{
    uint8_t where = f->reductions > 0 ? 2 : 1;
    if (f->seen[expr->id] & where)
        return;
    f->seen[expr->id] |= where;
    switch (expr->kind) {
    case GML_EXPR_LOAD:
        note_load(f, expr);
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            walk(f, expr->as.load.index[d]);
        if (expr->as.load.pred)
            walk(f, expr->as.load.pred);
        break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            walk(f, expr->as.scalar.args[i]);
        break;
    case GML_EXPR_REDUCE:
        f->reductions++;
        walk(f, expr->as.reduce.body);
        f->reductions--;
        break;
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    }
}

typedef struct place {
    const gml_expr *const *index;
    const gml_stmt *body;
    unsigned store;
    unsigned n_stores;
} place;

static void walk_body(finder *f, const gml_stmt *body, place *outputs)
{
    unsigned number = 0;
    for (const gml_stmt *stmt = body; stmt; stmt = stmt->next) {
        if (stmt->kind == GML_STMT_FOR) {
            walk_body(f, stmt->as.loop.body, outputs);
            continue;
        }
        f->body = body;
        f->store = number++;
        memset(f->seen, 0, f->kernel->exprs.count * sizeof *f->seen);
        walk(f, stmt->as.store.value);
        for (int d = 0; d < stmt->as.store.mem->rank; d++)
            walk(f, stmt->as.store.index[d]);
        if (stmt->as.store.mem->role != GML_MEM_OUTPUT)
            continue;
        place *p = &outputs[stmt->as.store.mem->number];
        *p = (place){stmt->as.store.index, body, f->store, p->n_stores + 1};
    }
}

static bool same_type(const gml_mem *a, const gml_mem *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

static bool fits(const usage *u, const place *p, const gml_mem *input, const gml_mem *output)
{
    return u->index && !u->is_mixed && p->n_stores == 1 && u->body == p->body &&
           u->last <= p->store && same_type(input, output) &&
           same_index(u->index, p->index, output->rank);
}

void gml_kernel_over(const gml_kernel *kernel, uint64_t *out_over)
{
    gml_arena arena;
    gml_arena_init(&arena);
    size_t n_outputs = kernel->outputs.count;
    finder f = {.kernel = kernel,
                .inputs = gml_new_array(&arena, usage, kernel->inputs.count + 1),
                .seen = gml_new_array(&arena, uint8_t, kernel->exprs.count + 1)};
    place *outputs = gml_new_array(&arena, place, n_outputs + 1);
    memset(out_over, 0, n_outputs * sizeof *out_over);
    walk_body(&f, kernel->body, outputs);
    for (size_t o = 0; o < n_outputs; o++)
        for (size_t i = 0; i < kernel->inputs.count && i < 64; i++)
            if (fits(&f.inputs[i], &outputs[o], kernel->inputs.items[i],
                     kernel->outputs.items[o]))
                out_over[o] |= UINT64_C(1) << i;
    gml_arena_reset(&arena);
}
