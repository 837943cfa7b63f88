/* api/build_program.h - from an optimised graph to a program without addresses. Private to
 * api/.
 *
 * Each node becomes a step: nodes with `scalar` or `lower` a kernel (added to the codegen),
 * host operators a call. Regions become programs of their own. The kernels' functions are
 * filled in afterwards, when the code exists (gml_link_program).
 */
#ifndef GML_API_BUILD_PROGRAM_H
#define GML_API_BUILD_PROGRAM_H

#include "api/packs.h"
#include "api/pipeline.h"

typedef struct gml_program_builder {
    gml_module *module;
    gml_codegen *codegen;
    gml_arena *scratch; /* of kernels */
    gml_diags *diags;
    gml_str *loops; /* kernels are printed here; NULL: nowhere */
    gml_str
        *explain; /* of each kernel the nodes that it computes, a line each; NULL: nowhere */
    gml_vec(gml_program *) programs; /* all made so far, the outermost first */
    gml_packs *packs;                /* collects the constants to be packed */
    gml_dim_pool part_sizes;         /* of kernels in parts (ir/flatten.h); in `scratch` */
} gml_program_builder;

/* `graph` with `captures` (values of graphs around) as further inputs. */
gml_status gml_build_program(gml_program_builder *builder, const gml_graph *graph,
                             gml_value *const *captures, uint32_t n_captures,
                             gml_program **out_program);
/* Replaces the program's expressions by those of `from`, under the same numbers: generated code
 * uses the numbers. */
void gml_program_copy_dims(gml_program *program, const gml_dim_pool *from);
/* Gives every phase its function, and every program the final table of sizes. Constants are
 * still to be packed. */
gml_status gml_link_program(gml_program_builder *builder, const gml_jit *jit);

#endif
