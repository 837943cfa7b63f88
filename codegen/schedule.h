/* codegen/schedule.h - which loop of a kernel becomes threads, lanes or plain code.
 *
 * A top-level statement is one phase. Its perfectly nested outer loops are linearised into the
 * phase's units of work, which the runtime deals out to threads; the innermost loop around a
 * single store, or several that may share what they load, is the vector axis unless its
 * reduction vectorises better. Pure functions of the
 * kernel.
 */
#ifndef GML_CODEGEN_SCHEDULE_H
#define GML_CODEGEN_SCHEDULE_H

#include "ir/loop.h"

typedef struct gml_nest {
    const gml_axis *outer[GML_MAX_AXES]; /* linearised, outermost first */
    unsigned n_outer;
    const gml_axis *serial; /* a loop between them and `vector`, when that is short; or NULL */
    const gml_axis
        *vector;          /* the axis of the innermost loop when it holds one store; or NULL */
    bool lanes;           /* it runs as vectors, else one by one */
    int64_t block;        /* of the vector axis a unit does; 0: all */
    const gml_stmt *body; /* inside all of these loops */
} gml_nest;

/* `stmt` is a top-level statement. */
gml_nest gml_schedule_nest(gml_kernel *kernel, const gml_stmt *stmt);
/* Whether a store inside loop `axis`, its only statement, runs as vectors over it. */
bool gml_schedule_store_vector(gml_kernel *kernel, const gml_stmt *store, const gml_axis *axis);
/* Whether all stores of a list run as vectors over `axis`, their innermost loop. */
bool gml_schedule_list_vector(gml_kernel *kernel, const gml_stmt *list, const gml_axis *axis);
/* Whether a list holds stores alone, none of them into a scalar. */
bool gml_schedule_only_stores(const gml_stmt *list);
/* Whether it depends on the axis if there is a store. */
bool gml_schedule_pred_varies(const gml_stmt *store, const gml_axis *axis);
/* Whether the last axis of a reduction in scalar surroundings runs as vectors. */
bool gml_schedule_reduce_vector(gml_kernel *kernel, const gml_expr *reduce);

/* By how many elements the position of an access moves with one step of `axis`. */
#define GML_STRIDE_UNKNOWN INT64_MAX
int64_t gml_schedule_stride(gml_kernel *kernel, const gml_mem *mem,
                            const gml_expr *const *index, const gml_axis *axis);
/* The loads in `expr`, inside reductions too, that move with `axis`: by one element a step, and
 * otherwise. */
typedef struct gml_census {
    unsigned along, across;
} gml_census;
gml_census gml_schedule_census(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis);
/* Some load in `expr`, outside of reductions; NULL: there is none. */
const gml_expr *gml_schedule_first_load(const gml_expr *expr);

#endif
