/* codegen/positions.c - the left operand of a contraction whose rows overlap. */
#include "codegen/positions.h"

#include "codegen/schedule.h"
#include "ir/index.h"

typedef struct search {
    gml_kernel *kernel;
    const gml_contraction *c;
    gml_sliding *sliding;
} search;

static uint64_t bit(const gml_axis *axis)
{
    return UINT64_C(1) << axis->number;
}

static int64_t coefficient(const gml_linear *sum, const gml_axis *axis)
{
    for (unsigned i = 0; i < sum->n_terms; i++)
        if (sum->terms[i].atom->kind == GML_EXPR_AXIS && sum->terms[i].atom->as.axis == axis)
            return sum->terms[i].coefficient;
    return 0;
}

/* The first sum from the top in which one of the axes is a term; NULL: there is none. */
static const gml_expr *find_sum(const gml_expr *expr, uint64_t axes, gml_linear *out)
{
    if (!(expr->free & axes))
        return NULL;
    if (expr->dtype == GML_I64 && expr->kind != GML_EXPR_LOAD && gml_index_linear(expr, out))
        for (unsigned i = 0; i < out->n_terms; i++)
            if (out->terms[i].atom->kind == GML_EXPR_AXIS && (out->terms[i].atom->free & axes))
                return expr;
    const gml_expr *found = NULL;
    if (expr->kind == GML_EXPR_SCALAR)
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op) && !found; i++)
            found = find_sum(expr->as.scalar.args[i], axes, out);
    if (expr->kind == GML_EXPR_LOAD) {
        for (int d = 0; d < expr->as.load.mem->rank && !found; d++)
            found = find_sum(expr->as.load.index[d], axes, out);
        if (!found && expr->as.load.pred)
            found = find_sum(expr->as.load.pred, axes, out);
    }
    return found;
}

static bool is_const(const gml_axis *axis)
{
    return gml_dim_is_const(axis->extent);
}

const gml_meeting *gml_sliding_meeting(const gml_sliding *sliding, const gml_axis *axis)
{
    for (unsigned i = 0; i < sliding->n_meetings; i++)
        if (sliding->meetings[i].row == axis || sliding->meetings[i].tap == axis)
            return &sliding->meetings[i];
    return NULL;
}

/* The row that `tap` meets, if any. */
static void find_pair(search *s, const gml_axis *tap)
{
    gml_linear sum;
    if (tap->extent == 1 || !is_const(tap) || !find_sum(s->c->a_at, bit(tap), &sum))
        return;
    const gml_axis *row = NULL;
    for (unsigned i = 0; i < s->c->n_rows; i++) {
        if (coefficient(&sum, s->c->rows[i]) <= 0 || !is_const(s->c->rows[i]))
            continue;
        if (row)
            return;
        row = s->c->rows[i];
    }
    if (!row || coefficient(&sum, tap) <= 0 || gml_sliding_meeting(s->sliding, row))
        return;
    s->sliding->meetings[s->sliding->n_meetings++] =
        (gml_meeting){row, tap, NULL, coefficient(&sum, row), coefficient(&sum, tap)};
}

bool gml_positions_meet(const gml_expr *a, const gml_axis *row, const gml_axis *const *taps,
                        unsigned n_taps)
{
    gml_linear sum;
    for (unsigned i = 0; i < n_taps; i++)
        if (taps[i]->extent != 1 && find_sum(a, bit(taps[i]), &sum) &&
            coefficient(&sum, row) > 0)
            return true;
    return false;
}

static const gml_expr *integer(gml_kernel *kernel, int64_t value)
{
    return gml_expr_int(kernel, GML_I64, value);
}

static const gml_expr *times(gml_kernel *kernel, const gml_expr *a, int64_t factor)
{
    return gml_index_op(kernel, GML_X_MUL, a, integer(kernel, factor));
}

/* `sum` with factor * (stride * row + dilation * tap) as factor * position; NULL when row and
 * tap occur in another ratio. */
static const gml_expr *with_position(gml_kernel *kernel, const gml_linear *sum,
                                     const gml_meeting *p)
{
    int64_t factor = coefficient(sum, p->row) / p->stride;
    if (factor == 0 || coefficient(sum, p->row) != factor * p->stride ||
        coefficient(sum, p->tap) != factor * p->dilation)
        return NULL;
    const gml_expr *result = times(kernel, gml_expr_axis(kernel, p->position), factor);
    for (unsigned i = 0; i < sum->n_terms; i++) {
        const gml_expr *atom = sum->terms[i].atom;
        if (atom->kind == GML_EXPR_AXIS && (atom->as.axis == p->row || atom->as.axis == p->tap))
            continue;
        result = gml_index_op(kernel, GML_X_ADD, result,
                              times(kernel, atom, sum->terms[i].coefficient));
    }
    return gml_index_op(kernel, GML_X_ADD, result, integer(kernel, sum->constant));
}

/* `a` in terms of positions, or NULL. */
static const gml_expr *by_positions(search *s)
{
    const gml_expr *value = s->c->a_at;
    for (unsigned i = 0; i < s->sliding->n_meetings; i++) {
        gml_meeting *p = &s->sliding->meetings[i];
        p->position =
            gml_kernel_add_axis(s->kernel, p->stride * (p->row->extent - 1) +
                                               p->dilation * (p->tap->extent - 1) + 1);
        uint64_t gone = bit(p->row) | bit(p->tap);
        for (unsigned step = 0; value->free & gone; step++) {
            gml_linear sum;
            const gml_expr *old = find_sum(value, gone, &sum);
            const gml_expr *by = old ? with_position(s->kernel, &sum, p) : NULL;
            if (!by || step == 32)
                return NULL;
            value = gml_expr_replace(s->kernel, value, old, by);
        }
    }
    return value;
}

bool gml_sliding_find(gml_kernel *kernel, const gml_contraction *c, gml_sliding *out)
{
    search s = {kernel, c, out};
    *out = (gml_sliding){.n_meetings = 0};
    for (unsigned i = 0; i < c->n_taps; i++)
        find_pair(&s, c->taps[i]);
    if (out->n_meetings == 0 || !gml_kernel_has_axes(kernel, out->n_meetings + 4))
        return false;
    out->value = by_positions(&s);
    return out->value != NULL;
}

/* ---- the copy -----------------------------------------------------------------------------
 */

typedef struct dimension {
    const gml_axis *axis;  /* of the loop that fills it */
    const gml_expr *index; /* where the product reads it */
    int64_t stride;        /* in the memory read */
} dimension;

typedef struct copy {
    dimension dims[GML_MAX_RANK];
    int rank;
    int n_outer; /* batch: stay first */
    const gml_expr *source;
} copy;

static bool add_dimension(search *s, copy *out, const gml_axis *axis, const gml_expr *index)
{
    int64_t stride = gml_schedule_stride(s->kernel, out->source->as.load.mem,
                                         out->source->as.load.index, axis);
    if (out->rank == GML_MAX_RANK || !is_const(axis) || stride == GML_STRIDE_UNKNOWN)
        return false;
    int at = out->rank++;
    for (; at > out->n_outer && out->dims[at - 1].stride < stride; at--)
        out->dims[at] = out->dims[at - 1];
    out->dims[at] = (dimension){axis, index, stride};
    return true;
}

static bool add_dimensions(search *s, const gml_expr *value, copy *out)
{
    gml_kernel *kernel = s->kernel;
    const gml_contraction *c = s->c;
    out->source = gml_schedule_first_load(value);
    if (!out->source)
        return false;
    for (unsigned i = 0; i < c->n_batch; i++)
        if (value->free & bit(c->batch[i]))
            out->dims[out->rank++] =
                (dimension){c->batch[i], gml_expr_axis(kernel, c->batch[i]), 0};
    out->n_outer = out->rank;
    for (unsigned i = 0; i < c->n_rows + c->n_taps; i++) {
        const gml_axis *axis = i < c->n_rows ? c->rows[i] : c->taps[i - c->n_rows];
        if (!gml_sliding_meeting(s->sliding, axis) &&
            !add_dimension(s, out, axis, gml_expr_axis(kernel, axis)))
            return false;
    }
    for (unsigned i = 0; i < s->sliding->n_meetings; i++) {
        const gml_meeting *p = &s->sliding->meetings[i];
        const gml_expr *at = gml_index_op(
            kernel, GML_X_ADD, times(kernel, gml_expr_axis(kernel, p->row), p->stride),
            times(kernel, gml_expr_axis(kernel, p->tap), p->dilation));
        if (!add_dimension(s, out, p->position, at))
            return false;
    }
    return true;
}

/* Replaces the dimension of the first row's positions by those of a band of them. */
static const gml_expr *cut_band(search *s, const gml_expr *value, int64_t band, copy *made,
                                gml_positions *out)
{
    gml_kernel *kernel = s->kernel;
    const gml_meeting *p = gml_sliding_meeting(s->sliding, s->c->rows[0]);
    int d = made->n_outer;
    while (p && d < made->rank && made->dims[d].axis != p->position)
        d++;
    if (!p || d == made->rank)
        return NULL;
    int64_t rows = p->row->extent;
    out->block = gml_kernel_add_axis(kernel, (rows + band - 1) / band);
    gml_axis *inside = gml_kernel_add_axis(kernel, p->stride * (band - 1) +
                                                       p->dilation * (p->tap->extent - 1) + 1);
    const gml_expr *begin = times(kernel, gml_expr_axis(kernel, out->block), p->stride * band);
    const gml_expr *at = gml_index_op(kernel, GML_X_ADD, begin, gml_expr_axis(kernel, inside));
    /* the last band may be short: it copies the last position again */
    if (rows % band != 0)
        at = gml_index_op(kernel, GML_X_MIN, at, integer(kernel, p->position->extent - 1));
    made->dims[d].axis = inside;
    made->dims[d].index = gml_index_op(kernel, GML_X_SUB, made->dims[d].index, begin);
    return gml_expr_substitute(kernel, value, &p->position, &at, 1);
}

static void write_copy(gml_kernel *kernel, const copy *made, const gml_expr *value, int first,
                       gml_positions *out)
{
    gml_dim dims[GML_MAX_RANK];
    const gml_expr *fill_at[GML_MAX_RANK];
    const gml_expr *read_at[GML_MAX_RANK];
    int rank = 0;
    out->bytes = 4;
    for (int d = first; d < made->rank; d++, rank++) {
        dims[rank] = made->dims[d].axis->extent;
        fill_at[rank] = gml_expr_axis(kernel, made->dims[d].axis);
        read_at[rank] = made->dims[d].index;
        if (d >= made->n_outer)
            out->bytes *= dims[rank];
    }
    /* rows whose distance is a multiple of half a page share the sets of L1 */
    if (dims[rank - 1] % 512 == 0)
        dims[rank - 1] += 16;
    out->mem = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "a", GML_F32, rank, dims);
    out->fill = gml_stmt_store(kernel, out->mem, fill_at, value);
    for (int d = made->rank; d-- > first;)
        out->fill = gml_stmt_for(kernel, made->dims[d].axis, out->fill);
    out->load = gml_expr_load(kernel, out->mem, read_at, NULL);
}

bool gml_positions_find(gml_kernel *kernel, const gml_contraction *c, int64_t band,
                        gml_positions *out)
{
    gml_sliding sliding;
    search s = {kernel, c, &sliding};
    copy made = {.rank = 0};
    *out = (gml_positions){0};
    if (!gml_sliding_find(kernel, c, &sliding) || !add_dimensions(&s, sliding.value, &made))
        return false;
    const gml_expr *value = sliding.value;
    if (band > 0)
        value = cut_band(&s, value, band, &made, out);
    if (!value)
        return false;
    write_copy(kernel, &made, value, band > 0 ? made.n_outer : 0, out);
    return true;
}

/* ---- runs ---------------------------------------------------------------------------------
 */

unsigned gml_positions_runs(gml_kernel *kernel, const gml_expr *load,
                            const gml_axis *const *axes, unsigned n_axes, gml_run *out)
{
    unsigned n = 0;
    for (unsigned i = 0; i < n_axes; i++) {
        int64_t stride =
            gml_schedule_stride(kernel, load->as.load.mem, load->as.load.index, axes[i]);
        if (!is_const(axes[i]) || stride == GML_STRIDE_UNKNOWN)
            return 0;
        if (axes[i]->extent == 1)
            continue;
        if (n > 0 && out[n - 1].stride == axes[i]->extent * stride) {
            out[n - 1].extent *= axes[i]->extent;
            out[n - 1].stride = stride;
            continue;
        }
        out[n++] = (gml_run){axes[i]->extent, stride};
    }
    if (n == 0)
        out[n++] = (gml_run){1, 1};
    return n;
}
