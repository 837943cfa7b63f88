/* cli/compare.h - what the files of gemel compare share. Private to cli/. */
#ifndef GML_CLI_COMPARE_H
#define GML_CLI_COMPARE_H

#include "api/compare.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/json.h"

typedef struct gml_compare_request {
    gml_arena arena;
    gml_diags diags;
    gml_given given;
    gml_execute_options execute;
    const char *against;
    const char *load;
    gml_states *states; /* of --load; NULL: the model's own */
    const char *off[GML_CLI_PASSES + 1];
    size_t n_off;
    gml_tolerance tolerance;
    bool step, passes, pass_by_pass, list_passes, all, json;
} gml_compare_request;

/* ---- compare_report.c: one comparison as text, `what` in front of its sum, and as JSON ----
 */

void gml_compare_print(gml_compare_request *r, const char *what,
                       const gml_comparison *comparison);
json_t *gml_compare_json(const gml_comparison *comparison, bool all);

/* ---- compare_passes.c: comparisons over the table of passes -------------------------------
 */

/* Returns the program's exit status. */
int gml_compare_list_passes(bool json);
/* Each optional pass left out in turn, against `expected`, which has all of them. */
GML_MUST_CHECK gml_status gml_compare_passes(gml_compare_request *r,
                                             const gml_compare_side *expected,
                                             const gml_rvalue *inputs, int *out_exit);
/* `actual` with the required passes alone, then up to each optional one of the standard list,
 * against `expected`; ends with the first pass that makes a value deviate. */
GML_MUST_CHECK gml_status gml_compare_pass_by_pass(gml_compare_request *r,
                                                   const gml_compare_side *actual,
                                                   const gml_compare_side *expected,
                                                   const gml_rvalue *inputs, int *out_exit);

#endif
