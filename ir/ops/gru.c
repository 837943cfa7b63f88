/* ir/ops/gru.c - GRU: a recurrent layer with an update and a reset gate.
 *
 *     z = f(xz + h Rz');  r = f(xr + h Rr')
 *     n = g(xh + (r h) Rh'), or with linear_before_reset g(xh + r (h Rh' + bias))
 *     h <- (1 - z) n + z h
 */
#include "ir/ops/build_util.h"
#include "ir/ops/rnn_util.h"

enum { GML_Z, GML_R, GML_H };

static const gml_attr_spec attrs[] = {
    {"activation_alpha", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"activation_beta", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"activations", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"clip", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"direction", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "forward"},
    {"hidden_size", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"layout", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"linear_before_reset", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_value *gate(gml_build *b, const gml_rnn_cell *cell, gml_value *x,
                       gml_value *recurrent, int64_t i)
{
    gml_value *sum =
        gml_build_add(b, gml_rnn_gate(b, cell, x, i), gml_rnn_gate(b, cell, recurrent, i));
    return gml_rnn_activate(b, cell, 0, sum);
}

static void step(gml_build *b, const gml_rnn_cell *cell, gml_value *x, gml_value **states)
{
    bool linear = gml_node_int(cell->node, "linear_before_reset", 0) != 0;
    gml_value *weights = cell->recurrence; /* (H, 3 * H) */
    if (!linear)
        weights = gml_build_slice(b, weights, 1, 0, 2 * cell->hidden);
    gml_value *recurrent = gml_build_matmul(b, states[0], weights);
    if (cell->bias)
        recurrent = gml_build_add(b, recurrent, cell->bias);
    gml_value *z = gate(b, cell, x, recurrent, GML_Z);
    gml_value *r = gate(b, cell, x, recurrent, GML_R);
    gml_value *n;
    if (linear)
        n = gml_build_mul(b, r, gml_rnn_gate(b, cell, recurrent, GML_H));
    else
        n = gml_build_matmul(b, gml_build_mul(b, r, states[0]),
                             gml_rnn_gate(b, cell, cell->recurrence, GML_H));
    n = gml_rnn_activate(b, cell, 1, gml_build_add(b, gml_rnn_gate(b, cell, x, GML_H), n));
    states[0] = gml_build_add(b, gml_build_mul(b, gml_build_sub_from(b, 1, z), n),
                              gml_build_mul(b, z, states[0]));
}

static const gml_rnn layer = {
    .n_gates = 3,
    .n_states = 1,
    .n_functions = 2,
    .functions = {"Sigmoid", "Tanh"},
    .step = step,
};

static gml_status infer(gml_infer *cx)
{
    return gml_rnn_infer(cx, &layer);
}

static gml_status expand(gml_expand *cx)
{
    return gml_rnn_expand(cx, &layer);
}

const gml_op_info gml_op_gru = {
    .name = "GRU",
    .doc = "A gated recurrent layer.",
    .min_in = 3,
    .max_in = 6,
    .min_out = 0,
    .max_out = 2,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
