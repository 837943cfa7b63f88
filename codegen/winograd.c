/* codegen/winograd.c - 3 x 3 convolutions with fewer multiplications. */
#include "codegen/winograd.h"

#include "codegen/positions.h"
#include "ir/index.h"

#define POINTS 16 /* of a tile, after its transformation */

/* Fewer channels, columns or tiles do not pay for the transformations. */
#define GML_MIN_CHANNELS  16
#define GML_MIN_TILES     16
#define GML_MIN_UNIT      12 /* tiles of a unit: nearly the rows of a register tile */
/* Transformed weights are 16/9 of the original: above this many, reading them costs more than
 * the multiplications. */
#define GML_MAX_WEIGHTS   (256 * 256)
/* Transformed inputs and sums of a unit stay in L2; where the weights take all of it, units
 * would read them again and again, and phases over all tiles are better as long as these stay
 * in L3. */
#define GML_UNIT_BYTES    (512 * 1024)
#define GML_WEIGHTS_IN_L2 (1024 * 1024)
#define GML_PHASE_BYTES   (24 * 1024 * 1024)

typedef const gml_expr *expr;

typedef struct maker {
    gml_kernel *kernel;
    const gml_contraction *c;
    gml_sliding sliding;
    const gml_meeting *along[2];        /* the meetings of both rows */
    const gml_axis *channel;            /* the tap that meets nothing */
    unsigned columns;                   /* of a panel */
    int64_t tiles[2];                   /* of the image */
    int64_t unit[2];                    /* of a unit */
    const gml_axis *block[2];           /* the unit's place; NULL: 0 */
    const gml_axis *tile[2];            /* the tile's place in the unit */
    const gml_axis *lead[GML_MAX_RANK]; /* batch axes that belong to the rows of the product */
    unsigned n_lead;
    gml_mem *inputs, *sums; /* [16][tile][channel], [16][tile][column] */
    gml_winograd *out;
} maker;

static uint64_t bit(const gml_axis *axis)
{
    return UINT64_C(1) << axis->number;
}

static expr integer(maker *m, int64_t value)
{
    return gml_expr_int(m->kernel, GML_I64, value);
}

static expr axis_value(maker *m, const gml_axis *axis)
{
    return gml_expr_axis(m->kernel, axis);
}

static expr op(maker *m, gml_scalar_op what, expr a, expr b)
{
    return gml_index_op(m->kernel, what, a, b);
}

static expr scalar(maker *m, gml_scalar_op what, gml_dtype dtype, expr a, expr b)
{
    expr args[3] = {a, b, NULL};
    return gml_expr_scalar(m->kernel, what, dtype, 0, args);
}

/* sum of coefficients[i] * values[i], coefficients being 0, 1 or -1. */
static expr combine(maker *m, const int *coefficients, const expr *values, int count)
{
    expr sum = NULL;
    for (int positive = 1; positive >= -1; positive -= 2)
        for (int i = 0; i < count; i++) {
            if (coefficients[i] != positive)
                continue;
            gml_dtype dtype = values[i]->dtype;
            if (sum)
                sum = scalar(m, positive > 0 ? GML_X_ADD : GML_X_SUB, dtype, sum, values[i]);
            else
                sum = positive > 0 ? values[i] : scalar(m, GML_X_NEG, dtype, values[i], NULL);
        }
    return sum;
}

/* out = left * in * left', for `in` of count x count and `left` of rows x count. */
static void both_sides(maker *m, int rows, int count, const int *left, const expr *in,
                       expr *out)
{
    expr half[16];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < count; j++) {
            expr column[4];
            for (int i = 0; i < count; i++)
                column[i] = in[i * count + j];
            half[r * count + j] = combine(m, &left[r * count], column, count);
        }
    for (int r = 0; r < rows; r++)
        for (int s = 0; s < rows; s++)
            out[r * rows + s] = combine(m, &left[s * count], &half[r * count], count);
}

/* ---- whether ------------------------------------------------------------------------------
 */

static bool is_simple(expr value, unsigned depth)
{
    if (value->dtype == GML_I64 || value->dtype == GML_BOOL || value->kind != GML_EXPR_SCALAR)
        return true;
    return depth > 0 && value->as.scalar.op == GML_X_SELECT &&
           is_simple(value->as.scalar.args[1], depth - 1) &&
           is_simple(value->as.scalar.args[2], depth - 1);
}

static bool has_form(maker *m)
{
    const gml_contraction *c = m->c;
    if (!c->b_constant || c->b_batch || c->n_rows != 2 || c->n_taps != 3 ||
        !gml_dim_is_const(c->n->extent) || !gml_sliding_find(m->kernel, c, &m->sliding) ||
        m->sliding.n_meetings != 2)
        return false;
    for (int i = 0; i < 2; i++) {
        m->along[i] = gml_sliding_meeting(&m->sliding, c->rows[i]);
        if (!m->along[i] || m->along[i]->stride != 1 || m->along[i]->dilation != 1 ||
            m->along[i]->tap->extent != 3)
            return false;
        m->tiles[i] = (c->rows[i]->extent + 1) / 2;
    }
    for (unsigned i = 0; i < c->n_taps; i++)
        if (!gml_sliding_meeting(&m->sliding, c->taps[i]))
            m->channel = c->taps[i];
    return m->channel && gml_dim_is_const(m->channel->extent) &&
           is_simple(m->sliding.value, 4) && gml_kernel_has_axes(m->kernel, 12);
}

static int64_t largest_divisor(int64_t of, int64_t most)
{
    int64_t divisor = of < most ? of : most;
    while (divisor > 1 && of % divisor != 0)
        divisor--;
    return divisor;
}

/* Tiles of a unit; false where it would not gain. */
static bool choose_units(maker *m, bool *out_phases)
{
    const gml_contraction *c = m->c;
    int64_t channels = m->channel->extent;
    int64_t columns = c->n->extent;
    int64_t bytes = POINTS * 4 * (channels + columns); /* of a tile */
    int64_t all = m->tiles[0] * m->tiles[1];
    if (channels < GML_MIN_CHANNELS || columns < GML_MIN_CHANNELS || all < GML_MIN_TILES ||
        channels * columns > GML_MAX_WEIGHTS)
        return false;
    int64_t images = 1;
    for (unsigned i = 0; i < c->n_batch; i++)
        images *= gml_dim_is_const(c->batch[i]->extent) ? c->batch[i]->extent : 8;
    *out_phases = channels * columns * POINTS * 4 > GML_WEIGHTS_IN_L2;
    if (*out_phases) {
        m->unit[0] = m->tiles[0];
        m->unit[1] = m->tiles[1];
        return images * all * bytes <= GML_PHASE_BYTES;
    }
    int64_t most = GML_UNIT_BYTES / bytes;
    for (int i = 2; i-- > 0; most /= m->unit[i]) {
        bool odd = c->rows[i]->extent % 2 != 0; /* the last tile is another than the others */
        m->unit[i] = odd ? m->tiles[i] : largest_divisor(m->tiles[i], most);
    }
    return most > 0 && m->unit[0] * m->unit[1] >= GML_MIN_UNIT;
}

/* ---- axes and memories --------------------------------------------------------------------
 */

static void add_axes(maker *m, bool phases)
{
    const gml_contraction *c = m->c;
    for (unsigned i = 0; i < c->n_batch; i++) {
        if (phases)
            m->lead[m->n_lead++] = c->batch[i];
        else
            m->out->outer[m->out->n_outer++] = c->batch[i];
    }
    for (int i = 0; i < 2; i++) {
        m->tile[i] = gml_kernel_add_axis(m->kernel, m->unit[i]);
        if (m->unit[i] == m->tiles[i])
            continue;
        m->block[i] = gml_kernel_add_axis(m->kernel, m->tiles[i] / m->unit[i]);
        m->out->outer[m->out->n_outer++] = m->block[i];
    }
    /* a unit of everything is one unit all the same */
    if (!phases && m->out->n_outer == 0)
        m->out->outer[m->out->n_outer++] = gml_kernel_add_axis(m->kernel, 1);
}

static void add_memories(maker *m)
{
    gml_kernel *kernel = m->kernel;
    gml_dim tiles = m->unit[0] * m->unit[1];
    for (unsigned i = 0; i < m->n_lead; i++)
        tiles = gml_dim_mul(kernel->dims, tiles, m->lead[i]->extent);
    int64_t channels = m->channel->extent;
    gml_dim inputs[3] = {POINTS, tiles, channels % 256 == 0 ? channels + 16 : channels};
    gml_dim sums[3] = {POINTS, tiles, m->c->n->extent};
    gml_dim weights[4] = {POINTS, (m->c->n->extent + m->columns - 1) / m->columns, channels,
                          m->columns};
    m->inputs = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "tiles", GML_F32, 3, inputs);
    m->sums = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "sums", GML_F32, 3, sums);
    m->out->weights = gml_kernel_add_mem(kernel, GML_MEM_INPUT, "weights", GML_F32, 4, weights);
}

/* The place in the image, along row axis `i`, of the tile that `tile` counts in the unit. */
static expr place(maker *m, int i, const gml_axis *tile)
{
    expr at = axis_value(m, tile);
    if (m->block[i])
        at = op(m, GML_X_ADD,
                op(m, GML_X_MUL, axis_value(m, m->block[i]), integer(m, m->unit[i])), at);
    return at;
}

/* The number of a tile in the unit. */
static expr number(maker *m, const gml_axis *const *tile)
{
    expr at = integer(m, 0);
    for (unsigned i = 0; i < m->n_lead; i++)
        at = op(m, GML_X_ADD, op(m, GML_X_MUL, at, gml_expr_dim(m->kernel, m->lead[i]->extent)),
                axis_value(m, m->lead[i]));
    for (int i = 0; i < 2; i++)
        at = op(m, GML_X_ADD, op(m, GML_X_MUL, at, integer(m, m->unit[i])),
                axis_value(m, tile[i]));
    return at;
}

static gml_stmt *tile_loops(maker *m, gml_stmt *body, const gml_axis *const *tile)
{
    for (int i = 2; i-- > 0;)
        body = gml_stmt_for(m->kernel, tile[i], body);
    for (unsigned i = m->n_lead; i-- > 0;)
        body = gml_stmt_for(m->kernel, m->lead[i], body);
    return body;
}

/* ---- the three steps ----------------------------------------------------------------------
 */

static void make_pack(maker *m)
{
    static const int g[12] = {2, 0, 0, 1, 1, 1, 1, -1, 1, 0, 0, 2}; /* 2 G */
    const gml_contraction *c = m->c;
    gml_kernel *kernel = m->kernel;
    const gml_mem *mem = m->out->weights;
    const gml_axis *panel = gml_kernel_add_axis(kernel, mem->dims[1]);
    const gml_axis *column = gml_kernel_add_axis(kernel, m->columns);
    expr n = op(m, GML_X_ADD, op(m, GML_X_MUL, axis_value(m, panel), integer(m, m->columns)),
                axis_value(m, column));
    if (c->n->extent % m->columns != 0)
        n = op(m, GML_X_MIN, n, integer(m, c->n->extent - 1));
    gml_stmt *body = NULL;
    for (int p = 0; p < POINTS; p++) {
        expr sum = gml_expr_float(kernel, GML_F64, 0);
        for (int t = 0; t < 9; t++) {
            int factor = g[p / 4 * 3 + t / 3] * g[p % 4 * 3 + t % 3];
            const gml_axis *from[3] = {c->n, m->along[0]->tap, m->along[1]->tap};
            expr to[3] = {n, integer(m, t / 3), integer(m, t % 3)};
            expr weight = gml_expr_substitute(kernel, c->b_at, from, to, 3);
            if (factor != 0)
                sum = scalar(m, GML_X_ADD, GML_F64, sum,
                             scalar(m, GML_X_MUL, GML_F64,
                                    scalar(m, GML_X_CAST, GML_F64, weight, NULL),
                                    gml_expr_float(kernel, GML_F64, factor / 4.0)));
        }
        expr at[4] = {integer(m, p), axis_value(m, panel), axis_value(m, m->channel),
                      axis_value(m, column)};
        gml_stmt_append(
            &body, gml_stmt_store(kernel, mem, at, scalar(m, GML_X_CAST, GML_F32, sum, NULL)));
    }
    body = gml_stmt_for(kernel, column, body);
    body = gml_stmt_for(kernel, m->channel, body);
    m->out->pack = gml_stmt_for(kernel, panel, body);
}

static void make_fill(maker *m)
{
    static const int left[16] = {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1}; /* B' */
    gml_kernel *kernel = m->kernel;
    expr in[16], out[16];
    for (int p = 0; p < POINTS; p++) {
        const gml_axis *from[2] = {m->along[0]->position, m->along[1]->position};
        expr to[2];
        for (int i = 0; i < 2; i++) {
            to[i] = op(m, GML_X_ADD, op(m, GML_X_MUL, place(m, i, m->tile[i]), integer(m, 2)),
                       integer(m, i == 0 ? p / 4 : p % 4));
            /* of an odd number of rows, half of the last tile is not stored */
            if (m->along[i]->row->extent % 2 != 0)
                to[i] = op(m, GML_X_MIN, to[i], integer(m, from[i]->extent - 1));
        }
        in[p] = gml_expr_substitute(kernel, m->sliding.value, from, to, 2);
    }
    both_sides(m, 4, 4, left, in, out);
    gml_stmt *body = NULL;
    for (int p = 0; p < POINTS; p++) {
        expr at[3] = {integer(m, p), number(m, m->tile), axis_value(m, m->channel)};
        gml_stmt_append(&body, gml_stmt_store(kernel, m->inputs, at, out[p]));
    }
    m->out->fill = tile_loops(m, gml_stmt_for(kernel, m->channel, body), m->tile);
}

static void make_product(maker *m)
{
    gml_kernel *kernel = m->kernel;
    gml_contraction *p = &m->out->product;
    const gml_axis *point = gml_kernel_add_axis(kernel, POINTS);
    *p = (gml_contraction){.batch = {point}, .n_batch = 1, .n = m->c->n, .b_constant = true};
    p->m = gml_kernel_add_axis(kernel, m->sums->dims[1]);
    p->k = m->channel;
    p->rows[p->n_rows++] = p->m;
    p->taps[p->n_taps++] = m->channel;
    p->a_batch = p->b_batch = bit(point);
    expr a_index[3] = {axis_value(m, point), axis_value(m, p->m), axis_value(m, m->channel)};
    p->a = p->a_at = gml_expr_load(kernel, m->inputs, a_index, NULL);
    gml_mem *sum = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "sum", GML_F32, 0, NULL);
    sum->depends = bit(point) | bit(p->m) | bit(p->n);
    p->sum = gml_expr_load(kernel, sum, NULL, NULL);
    expr at[3] = {axis_value(m, point), axis_value(m, p->m), axis_value(m, p->n)};
    p->store = gml_stmt_store(kernel, m->sums, at, p->sum);
}

/* Tiles of the unit that have result 0 or 1 along row axis `i`: the last has no second one
 * where rows are odd. */
static int64_t tiles_with(const maker *m, int i, int result)
{
    return result == 0 ? m->unit[i] : m->unit[i] - m->along[i]->row->extent % 2;
}

/* The store of result (r, s) of a tile, where the sum is `sum`. */
static gml_stmt *result_store(maker *m, const gml_axis *const *tile, int r, int s, expr sum)
{
    const gml_contraction *c = m->c;
    gml_kernel *kernel = m->kernel;
    const gml_mem *mem = c->store->as.store.mem;
    expr row =
        op(m, GML_X_ADD, op(m, GML_X_MUL, place(m, 0, tile[0]), integer(m, 2)), integer(m, r));
    expr column =
        op(m, GML_X_ADD, op(m, GML_X_MUL, place(m, 1, tile[1]), integer(m, 2)), integer(m, s));
    expr at =
        op(m, GML_X_ADD, op(m, GML_X_MUL, row, integer(m, m->along[1]->row->extent)), column);
    expr index[GML_MAX_RANK];
    for (int d = 0; d < mem->rank; d++)
        index[d] = gml_expr_substitute(kernel, c->store->as.store.index[d], &c->m, &at, 1);
    expr value = gml_expr_replace(kernel, c->store->as.store.value, c->sum, sum);
    return gml_stmt_store(kernel, mem, index,
                          gml_expr_substitute(kernel, value, &c->m, &at, 1));
}

/* The nest for all results that the same tiles have as result `first`. */
static gml_stmt *finish_nest(maker *m, int first, bool *done)
{
    static const int left[8] = {1, 1, 1, 0, 0, 1, -1, -1}; /* A' */
    const gml_axis *tile[2];
    for (int i = 0; i < 2; i++)
        tile[i] =
            gml_kernel_add_axis(m->kernel, tiles_with(m, i, i == 0 ? first / 2 : first % 2));
    expr in[16], out[4];
    for (int p = 0; p < POINTS; p++) {
        expr at[3] = {integer(m, p), number(m, tile), axis_value(m, m->c->n)};
        in[p] = gml_expr_load(m->kernel, m->sums, at, NULL);
    }
    both_sides(m, 2, 4, left, in, out);
    gml_stmt *body = NULL;
    for (int r = first; r < 4; r++) {
        if (tiles_with(m, 0, r / 2) != tile[0]->extent ||
            tiles_with(m, 1, r % 2) != tile[1]->extent)
            continue;
        done[r] = true;
        gml_stmt_append(&body, result_store(m, tile, r / 2, r % 2, out[r]));
    }
    return tile_loops(m, gml_stmt_for(m->kernel, m->c->n, body), tile);
}

static void make_finish(maker *m)
{
    bool done[4] = {false};
    for (int r = 0; r < 4; r++)
        if (!done[r])
            gml_stmt_append(&m->out->finish, finish_nest(m, r, done));
}

bool gml_winograd_find(gml_kernel *kernel, const gml_contraction *c, unsigned columns,
                       gml_winograd *out)
{
    maker m = {.kernel = kernel, .c = c, .columns = columns, .out = out};
    bool phases = false;
    *out = (gml_winograd){.n_outer = 0};
    if (c->store->next || !has_form(&m) || !choose_units(&m, &phases))
        return false;
    add_axes(&m, phases);
    add_memories(&m);
    make_pack(&m);
    make_fill(&m);
    make_product(&m);
    make_finish(&m);
    return true;
}
