/* codegen/llvm/gpu_box.c - operands of products as arrays of which boxes can be copied.
 *
 * An operand is a load whose place is a sum of axes times strides. The axis along memory and
 * the other one of the product become dimensions of a tensor map, each of them two where it is
 * cut, and everything else, batch axes above all, one more. What is no such sum, or cut where a
 * box would have to be, has no map. */
#include "codegen/llvm/gpu_gemm.h"
#include "ir/index.h"

typedef struct finder {
    gml_kernel *kernel;
    const gml_axis *at, *line; /* along memory, and the other one */
    gml_gpu_box *box;
} finder;

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    return b == 0 ? a : greatest_divisor(b, a % b);
}

/* Adds a dimension of `extent`, which coordinate `at` runs over; those behind the first are
 * kept in rising order of their strides, as the driver's examples have them. */
static bool add_dimension(finder *f, gml_dim extent, int64_t stride, uint32_t length,
                          const gml_expr *at)
{
    gml_map_layout *map = &f->box->map;
    uint32_t d = map->rank;
    if (map->rank == GML_MAP_RANK)
        return false;
    for (; d > 1 && map->strides[d - 1] > stride * 2; d--) {
        map->extents[d] = map->extents[d - 1];
        map->strides[d] = map->strides[d - 1];
        map->box[d] = map->box[d - 1];
        f->box->at[d] = f->box->at[d - 1];
    }
    map->rank++;
    map->extents[d] = extent;
    map->strides[d] = stride * 2;
    map->box[d] = length;
    f->box->at[d] = at;
    return true;
}

/* `atom` is `op` of the axis and `*out_size`. */
static bool is_cut(const gml_expr *atom, gml_scalar_op op, const gml_axis *axis,
                   int64_t *out_size)
{
    if (atom->kind != GML_EXPR_SCALAR || atom->as.scalar.op != op)
        return false;
    const gml_expr *at = atom->as.scalar.args[0];
    const gml_expr *size = atom->as.scalar.args[1];
    if (at->kind != GML_EXPR_AXIS || at->as.axis != axis || size->kind != GML_EXPR_CONST)
        return false;
    *out_size = size->as.cst.i;
    return true;
}

/* The dimensions of one axis, `length` of which a box has from a multiple of that on: the axis
 * itself, or, where it is cut as heads cut a token's line, what is in a piece, and the pieces.
 */
static bool add_axis(finder *f, const gml_linear *sum, const gml_axis *axis, uint32_t length)
{
    const gml_expr *inside = NULL;
    const gml_expr *pieces = NULL;
    int64_t stride = 0;
    int64_t far = 0;
    int64_t size = 0;
    for (unsigned i = 0; i < sum->n_terms; i++) {
        const gml_expr *atom = sum->terms[i].atom;
        int64_t cut = 0;
        if (!(atom->free >> axis->number & 1))
            continue;
        if (atom->kind == GML_EXPR_AXIS || is_cut(atom, GML_X_FLOORMOD, axis, &cut)) {
            if (inside || (pieces && cut != size))
                return false;
            inside = atom;
            stride = sum->terms[i].coefficient;
        } else if (is_cut(atom, GML_X_FLOORDIV, axis, &cut)) {
            if (pieces || (inside && cut != size))
                return false;
            pieces = atom;
            far = sum->terms[i].coefficient;
        } else {
            return false;
        }
        size = cut;
    }
    if (!inside || stride <= 0 || (size != 0) != (pieces != NULL))
        return false;
    if (!pieces)
        return add_dimension(f, axis->extent, stride, length, inside);
    return far > 0 && size % length == 0 && gml_dim_is_const(axis->extent) &&
           axis->extent % size == 0 && add_dimension(f, size, stride, length, inside) &&
           add_dimension(f, axis->extent / size, far, 1, pieces);
}

/* All that does not depend on the two axes is one dimension, in steps of what divides it. */
static bool add_rest(finder *f, const gml_linear *sum)
{
    gml_dim_pool *pool = f->kernel->dims;
    uint64_t axes = UINT64_C(1) << f->at->number | UINT64_C(1) << f->line->number;
    int64_t step = 0;
    for (unsigned i = 0; i < sum->n_terms; i++)
        if (!(sum->terms[i].atom->free & axes)) {
            if (sum->terms[i].coefficient <= 0)
                return false;
            step = greatest_divisor(sum->terms[i].coefficient, step);
        }
    if (step == 0)
        return true;
    const gml_expr *at = gml_expr_int(f->kernel, GML_I64, 0);
    gml_dim extent = 1;
    for (unsigned i = 0; i < sum->n_terms; i++) {
        const gml_expr *atom = sum->terms[i].atom;
        int64_t times = sum->terms[i].coefficient / step;
        if (atom->free & axes)
            continue;
        if (atom->kind != GML_EXPR_AXIS && (atom->lo < 0 || atom->hi > INT32_MAX))
            return false;
        gml_dim last = atom->kind == GML_EXPR_AXIS
                           ? gml_dim_add(pool, atom->as.axis->extent, -1)
                           : atom->hi;
        extent = gml_dim_add(pool, extent, gml_dim_mul(pool, last, times));
        at = gml_index_op(
            f->kernel, GML_X_ADD, at,
            gml_index_op(f->kernel, GML_X_MUL, atom, gml_expr_int(f->kernel, GML_I64, times)));
    }
    return add_dimension(f, extent, step, 1, at);
}

bool gml_gpu_box_find(gml_kernel *kernel, const gml_expr *load, const gml_axis *at,
                      const gml_axis *line, uint32_t lines, gml_gpu_box *out_box)
{
    gml_linear sum;
    finder f = {.kernel = kernel, .at = at, .line = line, .box = out_box};
    *out_box = (gml_gpu_box){.mem = load->as.load.mem,
                             .map = {.dtype = GML_BF16, .is_swizzled = true}};
    if (!gml_index_linear(gml_index_flat(kernel, out_box->mem, load->as.load.index), &sum) ||
        sum.constant < 0 || sum.constant % 8 != 0)
        return false;
    out_box->map.offset = sum.constant * 2;
    if (!add_axis(&f, &sum, at, GML_BOX_LINE) || out_box->map.strides[0] != 2 ||
        !add_axis(&f, &sum, line, lines) || !add_rest(&f, &sum))
        return false;
    for (uint32_t d = 1; d < out_box->map.rank; d++)
        if (out_box->map.strides[d] % 16 != 0 || out_box->map.strides[d] >= INT64_C(1) << 40)
            return false;
    return true;
}
