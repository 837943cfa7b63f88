/* passes/pass.h - transformations of the graph: one row, one file, one golden text file each.
 *
 * The rows are passes/passes.def, X(name, need, doc); the pass is gml_pass_<name> in
 * passes/<name>.c.
 * A pass changes the module's main graph and the regions inside, puts what it makes into the
 * module's arena and what it only needs meanwhile into cx->scratch, and says whether it changed
 * anything. It is idempotent and depends on the graph alone, never on addresses.
 *
 * The driver runs, verifies (when asked) and times. Not thread-safe per module.
 */
#ifndef GML_PASSES_PASS_H
#define GML_PASSES_PASS_H

#include "ir/graph.h"

typedef struct gml_pass_cx {
    gml_module *module;
    gml_arena *scratch; /* reset after the pass */
    gml_diags *diags;
    gml_str *explain; /* decisions, one a line, for --explain; NULL: nobody asks */
    uint64_t memory;  /* bytes of values that may be alive at once (passes/budget.c); 0: any */
    gml_str *report;  /* what that comes to; NULL: nobody asks */
    bool is_gpu;      /* kernels are for a GPU, or its emulator */
    bool bf16_products; /* f32 products on tensor cores round their operands to bf16 */
} gml_pass_cx;

typedef enum gml_pass_need {
    GML_PASS_OPTIONAL, /* for speed: results are the same beyond rounding without it */
    GML_PASS_REQUIRED, /* what follows, a later pass or code generation, relies on it */
} gml_pass_need;

typedef struct gml_pass {
    const char *name;
    gml_pass_need need;
    const char *doc; /* one sentence */
    gml_status (*run)(gml_graph *graph, gml_pass_cx *cx, bool *out_changed);
} gml_pass;

#define X(name, need, doc)                                                                     \
    gml_status gml_pass_##name(gml_graph *graph, gml_pass_cx *cx, bool *out_changed);
#include "passes/passes.def"
#undef X

/* The pass called `name`, or NULL. */
const gml_pass *gml_pass_find(const char *name);
const gml_pass *gml_pass_table(size_t *out_count);

typedef struct gml_passes_options {
    bool verify;            /* after each pass */
    const char *const *off; /* names of optional passes to leave out; ends with NULL; or NULL */
    const char *print_after; /* prints the graph into `out` after this pass; NULL: never */
    gml_str *out;
    gml_str *explain;
    uint64_t memory; /* as gml_pass_cx has these */
    gml_str *report;
    bool is_gpu;
    bool bf16_products;
    uint64_t *changing; /* gets a bit for each pass that changed the graph, by its number in
                           gml_pass_table; NULL: nobody asks */
} gml_passes_options;

/* Runs the passes of `names` (comma separated) in order. GML_E_USAGE, before anything runs,
 * when `off` names a required pass or none. */
gml_status gml_passes_run(gml_module *module, const char *names,
                          const gml_passes_options *options, gml_diags *diags);

#endif
