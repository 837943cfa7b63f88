/* ir/ops/rnn_util.h - what RNN, GRU and LSTM share: everything but the cell.
 *
 * X is (T, B, I), or (B, T, I) with layout 1. For every direction the inputs of all steps go
 * through one product, X W' + bias (T, B, gates * H), and a recurrence over T
 * (ir/ops/recur_util.h) does the rest. With sequence_lens a step beyond a sample's length
 * leaves its states alone and gives zeros; running the reverse direction from the end so begins
 * at each sample's last element.
 */
#ifndef GML_IR_OPS_RNN_UTIL_H
#define GML_IR_OPS_RNN_UTIL_H

#include "ir/op.h"

enum { GML_RNN_X, GML_RNN_W, GML_RNN_R, GML_RNN_B, GML_RNN_LENGTHS, GML_RNN_STATES };
enum { GML_RNN_FUNCTIONS = 3, GML_RNN_PEEPHOLE = 7 };

typedef struct gml_rnn_function {
    const struct activation *kind;
    double alpha, beta;
} gml_rnn_function;

/* One direction's parameters, while its steps are built. */
typedef struct gml_rnn_cell {
    const struct gml_rnn *rnn;
    const gml_node *node;
    int64_t hidden;
    gml_value *recurrence; /* R', (H, gates * H) */
    gml_value *bias; /* of the recurrence, (gates * H); NULL: none, or added to the inputs */
    gml_value *peephole; /* (3 * H), or NULL */
    gml_rnn_function functions[GML_RNN_FUNCTIONS];
} gml_rnn_cell;

typedef struct gml_rnn {
    unsigned n_gates;
    unsigned n_states;                        /* h, or h and c */
    unsigned n_functions;                     /* activations of a direction */
    const char *functions[GML_RNN_FUNCTIONS]; /* when the node names none */
    /* Replaces the states (B, H) by those after a step whose gates get `x` (B, gates * H) from
     * the input. states[0] is the output. */
    void (*step)(gml_build *b, const gml_rnn_cell *cell, gml_value *x, gml_value **states);
} gml_rnn;

gml_status gml_rnn_infer(gml_infer *cx, const gml_rnn *rnn);
gml_status gml_rnn_expand(gml_expand *cx, const gml_rnn *rnn);

/* Gate `i` of a (B, n * H) value, or of a vector (n * H). */
gml_value *gml_rnn_gate(gml_build *b, const gml_rnn_cell *cell, gml_value *x, int64_t i);
/* Activation number `i` of `x`, clipped first as the node's clip says. */
gml_value *gml_rnn_activate(gml_build *b, const gml_rnn_cell *cell, unsigned i, gml_value *x);
/* The same without the clip. */
gml_value *gml_rnn_apply(gml_build *b, const gml_rnn_cell *cell, unsigned i, gml_value *x);

#endif
