/* ir/eval.h - the loop IR interpreter: the oracle of the tests, the folder of constants, and
 * the fallback without LLVM.
 *
 * Runs a kernel over memories given by the caller, with bounds checks on every load and store.
 * Values of f32 are computed in float, of f64 in double, of integers with wrap-around, of
 * smaller floats in float and rounded after every operator. Sums run in rising order of the
 * reduced axes. Thread-safe for different kernels; a kernel may be run by several threads at
 * once.
 */
#ifndef GML_IR_EVAL_H
#define GML_IR_EVAL_H

#include "ir/loop.h"

typedef struct gml_eval_args {
    void *const *inputs;  /* per kernel->inputs; any alignment */
    void *const *outputs; /* per kernel->outputs */
    const int64_t
        *dims; /* value of each symbol by its number in the pool; NULL when there are none */
} gml_eval_args;

/* GML_E_RANGE with a diagnostic when an index is outside its memory, GML_E_MEMORY when a local
 * does not fit. Outputs are undefined then. */
gml_status gml_kernel_eval(const gml_kernel *kernel, const gml_eval_args *args,
                           gml_diags *diags, gml_loc loc);

/* One element, without any axis: `expr` must have no free axis, and its loads must be of
 * memories of which `load` knows the elements (it returns NULL for one that it does not know).
 * Gives an i64 expression's value as a size, symbols included; false when it is not known. */
typedef bool (*gml_size_of_load)(void *context, const gml_mem *mem, const int64_t *index,
                                 gml_dim *out_value);
bool gml_expr_to_dim(gml_kernel *kernel, const gml_expr *expr, gml_size_of_load load,
                     void *context, gml_dim *out_dim);

#endif
