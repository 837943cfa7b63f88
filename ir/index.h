/* ir/index.h - integer arithmetic of indices: bounds and simplification.
 *
 * Used by ir/loop.c when it makes an i64 expression. Views of views compose into index
 * expressions full of divisions (Reshape); most of them vanish here, and the rest of the
 * compiler may rely on that: sums are in canonical order, constants last, and a division or
 * remainder remains only where the bounds do not decide it.
 */
#ifndef GML_IR_INDEX_H
#define GML_IR_INDEX_H

#include "ir/loop.h"

/* Sets `lo`, `hi` and `affine` of a new expression. */
void gml_index_bound(const gml_kernel *kernel, gml_expr *expr);
/* An equal, simpler expression for `op` on i64 operands, or NULL. */
const gml_expr *gml_index_simplify(gml_kernel *kernel, gml_scalar_op op,
                                   const gml_expr *const *args);
/* `op` on two i64 expressions, simplified. */
const gml_expr *gml_index_op(gml_kernel *kernel, gml_scalar_op op, const gml_expr *a,
                             const gml_expr *b);
/* The flat row-major position of an access. */
const gml_expr *gml_index_flat(gml_kernel *kernel, const gml_mem *mem,
                               const gml_expr *const *index);
/* The scalar expression without simplification (ir/loop.c). */
const gml_expr *gml_expr_plain(gml_kernel *kernel, gml_scalar_op op, gml_dtype dtype,
                               unsigned flags, const gml_expr *const *args);

/* An i64 expression as constant + sum of coefficient * atom. */
#define GML_MAX_TERMS 24
typedef struct gml_linear {
    int64_t constant;
    unsigned n_terms;
    struct {
        int64_t coefficient;
        const gml_expr *atom; /* no sum, no product by a constant */
    } terms[GML_MAX_TERMS];   /* rising atom id */
} gml_linear;

/* False when it has too many terms or a coefficient overflows. */
bool gml_index_linear(const gml_expr *expr, gml_linear *out_linear);

#endif
