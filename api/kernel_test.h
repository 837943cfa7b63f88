/* api/kernel_test.h - the kernels of small graphs: generated code against the interpreter.
 *
 * A file (tests/ops/<operator>.gir) holds cases, textual IR with `## name` above each, whose
 * element type is the letter T:
 *
 *     # TYPES: float i32
 *     # RANGE: -4 4
 *     # SPECIALS
 *
 *     ## broadcast
 *     graph @add(%x: T[3,1,5], %y: T[4,1]) {
 *       %z = Add(%x, %y)
 *       return %z
 *     }
 *
 * TYPES lists element types, or classes of them: float (f16 bf16 f32 f64), int and uint (8 to
 * 64 bits), number (all of these), bool. RANGE is where inputs come from (-4 to 4; integers -9
 * to 9). Both stand for the cases below them. With SPECIALS each case runs once more on zeros
 * of either sign, ones, infinities, NaN, and the ends of the type. Parameters called index… are
 * 0 or 1.
 *
 * A case runs fused and with the pass `fuse` left out, each against device ref, where every
 * node is lowered alone. A number may be off by some units in the last place, an integer not at
 * all.
 */
#ifndef GML_API_KERNEL_TEST_H
#define GML_API_KERNEL_TEST_H

#include "api/check.h"

typedef struct gml_kernel_case {
    const char *op; /* the file's name without .gir: a row of ir/ops.def, or any other word */
    const char *name;
    const char *text; /* with T in it */
    size_t len;
    gml_vec(gml_dtype) types;
    double lo, hi;
    double terms;
    bool has_range, specials;
} gml_kernel_case;

typedef gml_vec(gml_kernel_case) gml_kernel_cases;

/* Appends the cases of a file. GML_E_INVALID names the line that it does not understand. All of
 * it is in `arena`. */
GML_MUST_CHECK gml_status gml_kernel_cases_read(const char *path, gml_arena *arena,
                                                gml_kernel_cases *cases, gml_diags *diags);

typedef struct gml_kernel_result {
    bool passed;
    const char *why; /* of a failure: the kernel, its value and first wrong element, or what was
                        reported */
    double deviation; /* the largest share, as in api/compare.h */
} gml_kernel_result;

typedef struct gml_kernel_options {
    gml_device_kind device; /* not ref */
    int device_number;
    gml_precision precision;
    uint64_t seed; /* of the inputs */
} gml_kernel_options;

/* Runs a case for an element type; everything in `out_result` is in `arena`. */
void gml_kernel_case_run(const gml_kernel_case *kernel_case, gml_dtype dtype,
                         const gml_kernel_options *options, gml_arena *arena,
                         gml_kernel_result *out_result);

/* The gradient of a case in f64, on the interpreter: its derivative along random directions
 * against central differences. The function is the sum of the sines of all f64 results, the
 * variables all f64 parameters. `skipped` says why there is nothing to differentiate. */
typedef struct gml_kernel_gradient {
    bool passed;
    const char *skipped;
    const char *why; /* of a failure */
    double error; /* the largest, over the larger of the derivative and the gradient's length */
} gml_kernel_gradient;

void gml_kernel_case_grad(const gml_kernel_case *kernel_case, uint64_t seed, gml_arena *arena,
                          gml_kernel_gradient *out_result);

/* For both: the case's text with the element type in the place of every T that has a bracket
 * behind it; and inputs. */
const char *gml_kernel_case_text(const gml_kernel_case *kernel_case, gml_dtype dtype,
                                 gml_arena *arena, size_t *out_len);
void gml_kernel_case_fill(const gml_tensor *tensor, const char *name,
                          const gml_kernel_case *kernel_case, bool specials, uint64_t state);

/* One row of the table of operators. */
typedef struct gml_kernel_op {
    const char *name;
    const char *how; /* "elementwise", "lowered", "expanded", "host", or "replaced" by a pass */
    const char *gradient; /* "own", "formula" (as elementwise), "expanded", or "none" */
    const char *doc;
    bool has_kernel; /* elementwise or lowered, and code is generated for it */
    bool has_case;   /* of those given */
} gml_kernel_op;

/* All operators, in the order of the table. */
gml_kernel_op *gml_kernel_ops(const gml_kernel_cases *cases, gml_arena *arena,
                              size_t *out_count);

#endif
