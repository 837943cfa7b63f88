/* api/pipeline.h - from a module to a program: where the stages meet.
 *
 * Compiling consumes the module: its types are inferred for the bindings given, passes change
 * its graph, and the program keeps it alive (constants are used where they lie, in the mapped
 * file).
 */
#ifndef GML_API_PIPELINE_H
#define GML_API_PIPELINE_H

#include "codegen/codegen.h"
#include "frontend/import.h"
#include "ir/graph.h"
#include "passes/pass.h"
#include "runtime/program.h"

typedef struct gml_compile_options {
    gml_target target;
    gml_device
        *device; /* that the program is for, which overrules the target's gpu and cpu. With
                    a gpu and no device there is code to print and no more. NULL: none */
    gml_passes_options passes;
    const char *pass_list; /* NULL: the standard one */
    /* Elements of graph inputs that decide shapes, by parameter number; NULL: none are known.
     * The program is then for these elements only. Entries may be NULL. */
    const gml_tensor *const *known_inputs;
    /* Gets the kernels' code as an ELF object. The program is then one to write, not to run:
     * constants that are packed have no data (gml_fill_constant). NULL: not wanted. */
    gml_str *object;
    const char *dump; /* "ir" (after all passes, or the name of one), "loops", "llvm" or "asm":
                         printed into passes.out; NULL: nothing */
} gml_compile_options;

/* Sets the parameters' types from actual inputs: `tensors[i]` may be NULL, which leaves
 * parameter i. */
void gml_bind_inputs(gml_module *module, const gml_tensor *const *tensors);
/* Which parameters' elements decide shapes, by parameter number; in the module's arena. */
const bool *gml_shape_inputs(gml_module *module);

/* For gml_compile_options.pass_list: pass `n` of the standard list and those before it, then
 * the required ones that follow; in `arena`. *out_pass is pass `n`, counted from 1; with 0 it
 * is NULL, and all are required ones. NULL when there is no pass `n`. */
const char *gml_first_passes(size_t n, gml_arena *arena, const gml_pass **out_pass);

/* Loads an ONNX file, of `load` the entry and the sizes, and compiles it. */
GML_MUST_CHECK gml_status gml_compile_file(const char *path, const gml_onnx_options *load,
                                           const gml_compile_options *options,
                                           gml_program **out_program, gml_diags *diags);
/* Compiles for this process. Takes `module`, also on failure. */
GML_MUST_CHECK gml_status gml_compile(gml_module *module, const gml_compile_options *options,
                                      gml_program **out_program, gml_diags *diags);

/* For `program`, compiled into an object: packs the constant in `slot` of `inner`, which is
 * `program` or one of its regions', into the zeroed `bytes`. */
GML_MUST_CHECK gml_status gml_fill_constant(const gml_program *program,
                                            const gml_program *inner, uint32_t slot,
                                            void *bytes, gml_diags *diags);
/* The elements at `data` will not be read soon: their pages need not stay in memory. */
void gml_forget_constant(const gml_program *program, const void *data, size_t size);

#endif
