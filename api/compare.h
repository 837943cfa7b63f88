/* api/compare.h - two runs on the same inputs, value by value: which node deviates first?
 *
 * A side is a model on a device, perhaps with passes left out, or results recorded in a folder.
 * Of a model that is not compiled yet, every named value of the main graph that is stored
 * counts (on ref every value, on cpu what a kernel leaves behind); of a compiled one and of a
 * folder the outputs. Compared is what both sides have. Maps and sequences are compared as
 * outputs only. Of a training step what becomes of each state is an output too (a folder has
 * none); as in training, states change in place, in a copy that the run has for itself.
 *
 * An element may deviate by rtol times its expected magnitude plus atol times the largest
 * finite magnitude of its tensor: sums of many terms are as exact as their terms are large.
 *
 * One thread at a time; nothing is kept but what is in the caller's arena.
 */
#ifndef GML_API_COMPARE_H
#define GML_API_COMPARE_H

#include "api/session.h"

typedef struct gml_compare_side {
    gml_model *model;
    const gml_states *states;    /* of a step, to begin with; NULL: as the model has them */
    gml_execute_options execute; /* of a compiled model only the threads count */
    const char *folder; /* output_0.npy (or .pb), … for the outputs of `model`, which does
                           not run; NULL: it runs */
} gml_compare_side;

typedef struct gml_compare_row {
    const char *value;  /* its ONNX name */
    const char *node;   /* the ONNX node that it comes from, "" when not known */
    const char *kernel; /* what computed it on the examined side, "" when not known */
    const char *why;    /* of a deviation: one line; NULL: close */
    double deviation;   /* the largest, absolute */
    double share;       /* the same over the largest magnitude expected; 0 when that is 0 */
    bool is_output;
} gml_compare_row;

typedef struct gml_comparison {
    gml_vec(gml_compare_row) rows; /* in the order of the expected side, outputs last */
    size_t n_deviating;
    const gml_compare_row *first; /* the first that deviates, or NULL */
    const gml_compare_row *worst; /* the largest share, or NULL */
} gml_comparison;

typedef struct gml_tolerance {
    double rtol, atol;
    double rtol_ulps, atol_ulps; /* added to them, times the precision of the tensor's type (of
                                    integers: 0) */
} gml_tolerance;

typedef struct gml_compare_task {
    const gml_compare_side *actual; /* the examined side */
    const gml_compare_side *expected;
    const gml_rvalue *inputs; /* of both models, in their order */
    gml_tolerance tolerance;
} gml_compare_task;

/* Everything in `out_comparison` belongs to `arena`. Reports a run that fails, and
 * GML_E_INVALID when the models have not as many inputs and outputs as each other. */
GML_MUST_CHECK gml_status gml_compare(const gml_compare_task *task, gml_arena *arena,
                                      gml_comparison *out_comparison, gml_diags *diags);

#endif
