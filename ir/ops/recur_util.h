/* ir/ops/recur_util.h - recurrences: a step repeated over the leading axis of some sequences.
 *
 * The step is a C function that builds nodes. A constant number of steps up to GML_RECUR_UNROLL
 * is unrolled: the steps then fuse, and differentiate like anything else, and slices of the
 * sequences are views. Longer ones, and those whose length only the run knows, become a Scan
 * with the step as its body.
 */
#ifndef GML_IR_OPS_RECUR_UTIL_H
#define GML_IR_OPS_RECUR_UTIL_H

#include "ir/op.h"

enum { GML_RECUR_UNROLL = 64, GML_RECUR_MAX = 8 };

typedef struct gml_recur {
    gml_value *sequences[GML_RECUR_MAX]; /* (T, …) each; at least one */
    gml_value *states[GML_RECUR_MAX];    /* before the first step */
    unsigned n_sequences, n_states;
    bool reverse; /* from the last position to the first */
    /* Builds one step: takes the states and one element a sequence, replaces the states, and
     * gives the output of the step. */
    gml_value *(*step)(gml_build *b, const void *context, gml_value **states,
                       gml_value *const *elements);
    const void *context;
} gml_recur;

/* Builds the recurrence. `recur->states` become those after the last step; returns the outputs
 * (T, …), each at its own position. */
gml_value *gml_build_recur(gml_build *b, gml_recur *recur);

#endif
