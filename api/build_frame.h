/* api/build_frame.h - a program in the making, for the files that make it: build_program.c
 * (slots, host operators, regions), build_kernel.c, build_parts.c. */
#ifndef GML_API_BUILD_FRAME_H
#define GML_API_BUILD_FRAME_H

#include "api/build_checks.h"
#include "api/build_program.h"
#include "ir/op.h"

/* A kernel whose step is still to be made: the nodes after it may do the same. */
typedef struct gml_pending_part {
    const gml_node *node;
    gml_kernel *kernel, *flat;
    const unsigned *numbers; /* as gml_lower_node sets them */
    gml_dim symbol;          /* the only one of `flat` */
    int64_t size;            /* what it is here */
} gml_pending_part;

typedef struct gml_build_frame {
    gml_program_builder *builder;
    const gml_graph *graph;
    gml_program *program;
    uint32_t *slots; /* by value id: slot + 1 */
    gml_value *const *captures;
    uint32_t n_captures;
    gml_checks checks;
    bool *is_update; /* by value id: what a state becomes */
    gml_vec(gml_pending_part) pending;
    gml_str pending_text; /* of their flat kernel */
} gml_build_frame;

/* ---- build_program.c ----------------------------------------------------------------------
 */

uint32_t gml_frame_add_slot(gml_build_frame *f, const gml_value *value, gml_slot_kind kind);
/* The slot of a value; constants get theirs on first use. */
GML_MUST_CHECK gml_status gml_frame_find_slot(gml_build_frame *f, const gml_value *value,
                                              gml_loc loc, uint32_t *out_slot);
/* A step without operands, with the names that `node` gives it. */
gml_step gml_frame_begin_step(gml_build_frame *f, const gml_node *node);

/* ---- build_kernel.c -----------------------------------------------------------------------
 */

/* `node` as loops. */
GML_MUST_CHECK gml_status gml_frame_lower(gml_build_frame *f, const gml_node *node,
                                          gml_kernel **out_kernel,
                                          const unsigned **out_numbers);
/* The step of such a kernel. */
GML_MUST_CHECK gml_status gml_frame_add_kernel(gml_build_frame *f, const gml_node *node,
                                               gml_kernel *kernel, const unsigned *numbers);
/* Phases and what they need, into `step`. */
void gml_frame_copy_code(gml_build_frame *f, const gml_code *code, gml_step *step);
/* "MatMul+Add+Gelu": what is inside, as far as it fits. */
const char *gml_frame_kernel_name(gml_build_frame *f, const gml_node *node);
/* "fc1/MatMul (MatMul), act/Gelu (Gelu)", and " | " between stages. */
void gml_frame_list_members(gml_str *out, const gml_node *node);
/* NULL when no output can be computed over an input. */
const uint64_t *gml_frame_find_over(gml_build_frame *f, const gml_kernel *kernel);

/* ---- build_parts.c ------------------------------------------------------------------------
 */

/* Adds the step of `kernel`, now or together with those of the nodes that follow. */
GML_MUST_CHECK gml_status gml_frame_take_kernel(gml_build_frame *f, const gml_node *node,
                                                gml_kernel *kernel, const unsigned *numbers);
/* Adds what is pending: before a step that is none of it, and at the end. */
GML_MUST_CHECK gml_status gml_frame_flush(gml_build_frame *f);

#endif
