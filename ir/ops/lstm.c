/* ir/ops/lstm.c - LSTM: a recurrent layer with a cell state.
 *
 *     i = f(xi + h Ri' + pi c);  f = f(xf + h Rf' + pf c), or 1 - i with input_forget
 *     c <- f c + i g(xc + h Rc');  o = f(xo + h Ro' + po c);  h <- o h(c)
 *
 * Gates lie in the order i, o, f, c; peepholes p in the order i, o, f. `clip` bounds what goes
 * into the gates' activations; the cell state goes into h as it is, which is how ONNX Runtime
 * reads the standard.
 */
#include "ir/ops/build_util.h"
#include "ir/ops/rnn_util.h"

enum { GML_I, GML_O, GML_F, GML_C };

static const gml_attr_spec attrs[] = {
    {"activation_alpha", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"activation_beta", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"activations", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"clip", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"direction", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "forward"},
    {"hidden_size", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"input_forget", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"layout", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

/* f(gate i + peephole i * c) */
static gml_value *gate(gml_build *b, const gml_rnn_cell *cell, gml_value *gates, gml_value *c,
                       int64_t i)
{
    gml_value *sum = gml_rnn_gate(b, cell, gates, i);
    if (cell->peephole)
        sum = gml_build_add(b, sum,
                            gml_build_mul(b, gml_rnn_gate(b, cell, cell->peephole, i), c));
    return gml_rnn_activate(b, cell, 0, sum);
}

static void step(gml_build *b, const gml_rnn_cell *cell, gml_value *x, gml_value **states)
{
    gml_value *c = states[1];
    gml_value *gates = gml_build_add(b, x, gml_build_matmul(b, states[0], cell->recurrence));
    gml_value *input = gate(b, cell, gates, c, GML_I);
    gml_value *forget = gml_node_int(cell->node, "input_forget", 0)
                            ? gml_build_sub_from(b, 1, input)
                            : gate(b, cell, gates, c, GML_F);
    gml_value *fresh = gml_rnn_activate(b, cell, 1, gml_rnn_gate(b, cell, gates, GML_C));
    c = gml_build_add(b, gml_build_mul(b, forget, c), gml_build_mul(b, input, fresh));
    gml_value *output = gate(b, cell, gates, c, GML_O);
    states[0] = gml_build_mul(b, output, gml_rnn_apply(b, cell, 2, c));
    states[1] = c;
}

static const gml_rnn layer = {
    .n_gates = 4,
    .n_states = 2,
    .n_functions = 3,
    .functions = {"Sigmoid", "Tanh", "Tanh"},
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

const gml_op_info gml_op_lstm = {
    .name = "LSTM",
    .doc = "A long short-term memory layer.",
    .min_in = 3,
    .max_in = 8,
    .min_out = 0,
    .max_out = 3,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
