/* ir/ops/rnn.c - RNN: h <- f(x W' + h R' + bias). */
#include "ir/ops/build_util.h"
#include "ir/ops/rnn_util.h"

static const gml_attr_spec attrs[] = {
    {"activation_alpha", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"activation_beta", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"activations", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"clip", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"direction", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "forward"},
    {"hidden_size", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"layout", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static void step(gml_build *b, const gml_rnn_cell *cell, gml_value *x, gml_value **states)
{
    gml_value *sum = gml_build_add(b, x, gml_build_matmul(b, states[0], cell->recurrence));
    states[0] = gml_rnn_activate(b, cell, 0, sum);
}

static const gml_rnn layer = {
    .n_gates = 1,
    .n_states = 1,
    .n_functions = 1,
    .functions = {"Tanh"},
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

const gml_op_info gml_op_rnn = {
    .name = "RNN",
    .doc = "A simple recurrent layer.",
    .min_in = 3,
    .max_in = 6,
    .min_out = 0,
    .max_out = 2,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
