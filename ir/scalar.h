/* ir/scalar.h - the scalar operators of loop IR, computed over lanes.
 *
 * A lane array holds one number an element in the widest type of its kind: float for f32 and
 * every smaller float, double for f64, int64_t for integers and bool (u64 by its bits). It is
 * what the interpreter computes with and what folds constants, so both always agree. Pure
 * functions; any thread.
 */
#ifndef GML_IR_SCALAR_H
#define GML_IR_SCALAR_H

#include "ir/loop.h"

typedef enum gml_lane_kind { GML_LANE_F32, GML_LANE_F64, GML_LANE_I64 } gml_lane_kind;

gml_lane_kind gml_dtype_lanes(gml_dtype dtype);

/* Bytes a lane takes: 4 or 8. */
static inline size_t gml_lane_size(gml_lane_kind kind)
{
    return kind == GML_LANE_F32 ? sizeof(float) : sizeof(int64_t);
}

/* out[i] = op(args[0][i], …) for i < n. `dtype` is the result's type, `arg_dtype` that of the
 * operand that decides the arithmetic: operand 0, of a select operand 1. */
void gml_scalar_lanes(gml_scalar_op op, gml_dtype dtype, gml_dtype arg_dtype, unsigned flags,
                      const void *const *args, void *out, size_t n);

/* acc[i] = op(acc[i], x[i]). */
void gml_reduce_lanes(gml_reduce_op op, gml_dtype dtype, void *acc, const void *x, size_t n);
/* The value that a reduction starts with. */
void gml_reduce_identity(gml_reduce_op op, gml_dtype dtype, void *acc, size_t n);

/* Elements in memory to lanes and back. Memory has any alignment; `stride` counts elements. */
void gml_lanes_load(gml_dtype dtype, const void *data, int64_t stride, void *out, size_t n);
void gml_lanes_store(gml_dtype dtype, void *data, int64_t stride, const void *lanes, size_t n);

/* Wraps an integer to the width of `dtype`. */
int64_t gml_wrap_int(gml_dtype dtype, int64_t value);

#endif
