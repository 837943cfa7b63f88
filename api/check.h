/* api/check.h - ONNX test directories: model.onnx and test_data_set_*, run and compared.
 *
 * A tensor passes when element type and shape are equal and every element is within
 * atol + rtol * |expected| (NaN equals NaN, infinities equal themselves); integers, strings and
 * booleans are compared with the same rule, which for them is near to equality. A data.json
 * beside the model may give the tolerances of the test.
 */
#ifndef GML_API_CHECK_H
#define GML_API_CHECK_H

#include "api/execute.h"

typedef struct gml_check_options {
    gml_execute_options execute;
    double rtol; /* negative: what the test's data.json says, else 1e-3, as ONNX's own runner */
    double atol; /* likewise, 1e-7 */
} gml_check_options;

typedef enum gml_check_verdict {
    GML_CHECK_PASS,
    GML_CHECK_FAIL,
    GML_CHECK_SKIP
} gml_check_verdict;

typedef struct gml_check_result {
    gml_check_verdict verdict;
    const char *why;  /* of a failure: one line, in the caller's arena; NULL when it passed */
    double deviation; /* the largest of |actual - expected|; 0 when nothing was compared */
} gml_check_result;

/* Runs every data set of the directory `path`; the first failure decides. */
void gml_check_directory(const char *path, const gml_check_options *options, gml_arena *arena,
                         gml_check_result *out_result);
/* True when `path` holds a model.onnx. */
bool gml_check_is_test(const char *path);

/* Compares two values; `why` (in `arena`) says where they first differ. */
bool gml_values_close(const gml_rvalue *actual, const gml_rvalue *expected, double rtol,
                      double atol, gml_arena *arena, const char **why, double *deviation);

#endif
