/* ir/ops/rnn_util.c - recurrent layers around their cells. */
#include "ir/ops/rnn_util.h"

#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/recur_util.h"

#include <string.h>

/* ---- activations --------------------------------------------------------------------------
 */

typedef struct activation {
    const char *name;
    const gml_op_info *op; /* NULL: alpha x + beta */
    int n_parameters;      /* alpha, or alpha and beta, taken from the node's lists in turn */
    double alpha, beta;    /* when the lists have ended */
} activation;

static const activation activations[] = {
    {"Affine", NULL, 2, 1.0, 0.0},
    {"Elu", &gml_op_elu, 1, 1.0, 0.0},
    {"HardSigmoid", &gml_op_hardsigmoid, 2, 0.2, 0.5},
    {"LeakyRelu", &gml_op_leakyrelu, 1, 0.01, 0.0},
    {"Relu", &gml_op_relu, 0, 0.0, 0.0},
    {"ScaledTanh", &gml_op_tanh, 2, 1.0, 1.0},
    {"Sigmoid", &gml_op_sigmoid, 0, 0.0, 0.0},
    {"Softplus", &gml_op_softplus, 0, 0.0, 0.0},
    {"Softsign", &gml_op_softsign, 0, 0.0, 0.0},
    {"Tanh", &gml_op_tanh, 0, 0.0, 0.0},
    {"ThresholdedRelu", &gml_op_thresholdedrelu, 1, 1.0, 0.0},
};

static char lower_case(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Names of activations are told apart without regard to case. */
static const activation *find_activation(gml_string name)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        const char *known = activations[i].name;
        size_t n = 0;
        while (n < name.len && known[n] && lower_case(name.data[n]) == lower_case(known[n]))
            n++;
        if (n == name.len && !known[n])
            return &activations[i];
    }
    return NULL;
}

static int directions_of(const gml_node *node)
{
    return gml_node_string_is(node, "direction", "bidirectional") ? 2 : 1;
}

/* The activations of all directions. Returns NULL, or what is wrong. */
static const char *read_functions(const gml_node *node, const gml_rnn *rnn,
                                  gml_rnn_function *out_functions)
{
    unsigned n = rnn->n_functions * (unsigned)directions_of(node);
    const gml_attr *names = gml_node_find_attr(node, "activations");
    if (names && names->count != n)
        return "activations has not one entry for each activation of each direction";
    size_t n_alphas;
    size_t n_betas;
    const float *alphas = gml_node_floats(node, "activation_alpha", &n_alphas);
    const float *betas = gml_node_floats(node, "activation_beta", &n_betas);
    size_t alpha = 0;
    size_t beta = 0;
    for (unsigned i = 0; i < n; i++) {
        const char *usual = rnn->functions[i % rnn->n_functions];
        gml_string name = names ? names->as.strings[i] : (gml_string){usual, strlen(usual)};
        const activation *kind = find_activation(name);
        if (!kind)
            return "an activation is unknown";
        out_functions[i] = (gml_rnn_function){kind, kind->alpha, kind->beta};
        if (kind->n_parameters > 0 && alpha < n_alphas)
            out_functions[i].alpha = (double)alphas[alpha++];
        if (kind->n_parameters > 1 && beta < n_betas)
            out_functions[i].beta = (double)betas[beta++];
    }
    return NULL;
}

static gml_value *clipped(gml_build *b, const gml_node *node, gml_value *x)
{
    double clip = (double)gml_node_float(node, "clip", 0);
    if (!gml_node_find_attr(node, "clip") || clip <= 0)
        return x;
    gml_value *operands[] = {x, gml_build_scalar(b, x->type.dtype, -clip),
                             gml_build_scalar(b, x->type.dtype, clip)};
    return gml_build_op(b, &gml_op_clip, operands, 3, NULL, 0);
}

gml_value *gml_rnn_activate(gml_build *b, const gml_rnn_cell *cell, unsigned i, gml_value *x)
{
    return gml_rnn_apply(b, cell, i, clipped(b, cell->node, x));
}

gml_value *gml_rnn_apply(gml_build *b, const gml_rnn_cell *cell, unsigned i, gml_value *x)
{
    const gml_rnn_function *f = &cell->functions[i];
    if (!f->kind->op)
        return gml_build_add_scalar(b, gml_build_mul_scalar(b, x, f->alpha), f->beta);
    if (f->kind->op == &gml_op_tanh && f->kind->n_parameters) {
        x = gml_build_unary(b, &gml_op_tanh, gml_build_mul_scalar(b, x, f->beta));
        return gml_build_mul_scalar(b, x, f->alpha);
    }
    gml_attr attrs[] = {gml_attr_float("alpha", (float)f->alpha),
                        gml_attr_float("beta", (float)f->beta)};
    return gml_build_op(b, f->kind->op, &x, 1, attrs, (size_t)f->kind->n_parameters);
}

/* ---- types --------------------------------------------------------------------------------
 */

static gml_status check_operands(gml_infer *cx, const gml_rnn *rnn, gml_dim batch,
                                 int64_t hidden)
{
    const gml_node *node = cx->node;
    const gml_type *x = gml_operand_type(node, GML_RNN_X);
    bool batch_first = gml_node_int(node, "layout", 0) == 1;
    gml_dim n_directions = directions_of(node);
    gml_dim gates = (gml_dim)rnn->n_gates * hidden;
    const gml_dim shapes[][3] = {
        [GML_RNN_W] = {n_directions, gates, x->dims[2]},
        [GML_RNN_R] = {n_directions, gates, hidden},
        [GML_RNN_B] = {n_directions, 2 * gates, 0},
        [GML_RNN_STATES] = {batch_first ? batch : n_directions,
                            batch_first ? n_directions : batch, hidden},
        [GML_RNN_STATES + 1] = {batch_first ? batch : n_directions,
                                batch_first ? n_directions : batch, hidden},
        [GML_RNN_PEEPHOLE] = {n_directions, 3 * hidden, 0},
    };
    for (unsigned k = 0; k < node->n_operands; k++) {
        if (k == GML_RNN_X || k == GML_RNN_LENGTHS)
            continue;
        int rank = k == GML_RNN_B || k == GML_RNN_PEEPHOLE ? 2 : 3;
        GML_TRY(gml_expect_dtype(cx, k, x->dtype));
        GML_TRY(gml_expect_rank(cx, k, rank));
        for (int d = 0; d < rank; d++)
            GML_TRY(gml_expect_dim(cx, k, d, shapes[k][d]));
    }
    GML_TRY(gml_infer_require(cx, GML_RNN_LENGTHS, GML_IS_INT));
    return gml_expect_vector(cx, GML_RNN_LENGTHS, batch);
}

gml_status gml_rnn_infer(gml_infer *cx, const gml_rnn *rnn)
{
    const gml_node *node = cx->node;
    const gml_type *x;
    const gml_type *r;
    GML_TRY(gml_infer_tensor(cx, GML_RNN_X, &x));
    GML_TRY(gml_infer_tensor(cx, GML_RNN_R, &r));
    GML_TRY(gml_infer_require(cx, GML_RNN_X, GML_IS_FLOAT));
    GML_TRY(gml_expect_rank(cx, GML_RNN_X, 3));
    GML_TRY(gml_expect_rank(cx, GML_RNN_R, 3));
    if (!gml_dim_is_const(r->dims[2]) || r->dims[2] < 1 || r->dims[2] > INT32_MAX)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "the hidden size is not known, or absurd");
    int64_t hidden = r->dims[2];
    int64_t layout = gml_node_int(node, "layout", 0);
    if (layout != 0 && layout != 1)
        return gml_infer_fail(cx, GML_E_RANGE, "layout is %lld", (long long)layout);
    if (!gml_node_string_is(node, "direction", "forward") &&
        !gml_node_string_is(node, "direction", "reverse") && directions_of(node) == 1)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "direction is none of forward, reverse, bidirectional");
    if (gml_node_int(node, "hidden_size", hidden) != hidden)
        return gml_infer_fail(cx, GML_E_SHAPE, "hidden_size is not that of the weights, %lld",
                              (long long)hidden);
    gml_rnn_function functions[2 * GML_RNN_FUNCTIONS];
    const char *fault = read_functions(node, rnn, functions);
    if (fault)
        return gml_infer_fail(cx, GML_E_INVALID, "%s", fault);
    gml_dim length = x->dims[layout];
    gml_dim batch = x->dims[1 - layout];
    gml_dim n = directions_of(node);
    GML_TRY(check_operands(cx, rnn, batch, hidden));
    gml_dim all[2][4] = {{length, n, batch, hidden}, {batch, length, n, hidden}};
    gml_dim last[2][3] = {{n, batch, hidden}, {batch, n, hidden}};
    GML_TRY(gml_infer_set(cx, 0, x->dtype, 4, all[layout]));
    GML_TRY(gml_infer_set(cx, 1, x->dtype, 3, last[layout]));
    return gml_infer_set(cx, 2, x->dtype, 3, last[layout]);
}

/* ---- nodes --------------------------------------------------------------------------------
 */

gml_value *gml_rnn_gate(gml_build *b, const gml_rnn_cell *cell, gml_value *x, int64_t i)
{
    return gml_build_slice(b, x, x->type.rank - 1, i * cell->hidden, (i + 1) * cell->hidden);
}

/* Entry `i` along `axis`, which goes away. */
static gml_value *pick(gml_build *b, gml_value *x, int64_t axis, int64_t i)
{
    return gml_build_squeeze(b, gml_build_slice(b, x, axis, i, i + 1), &axis, 1);
}

/* Operand `k` of one direction in the type to compute in, or NULL. */
static gml_value *parameter(gml_build *b, const gml_node *node, unsigned k, int direction)
{
    if (!gml_has_operand(node, k))
        return NULL;
    bool is_state = k == GML_RNN_STATES || k == GML_RNN_STATES + 1;
    int64_t axis = is_state ? gml_node_int(node, "layout", 0) : 0;
    gml_value *x = pick(b, node->operands[k], axis, direction);
    return gml_build_cast(b, x, gml_compute_dtype(x->type.dtype));
}

static gml_value *recur_step(gml_build *b, const void *context, gml_value **states,
                             gml_value *const *elements)
{
    const gml_rnn_cell *cell = context;
    unsigned n_states = cell->rnn->n_states;
    gml_value *before[2] = {states[0], states[n_states - 1]};
    cell->rnn->step(b, cell, elements[0], states);
    if (!gml_has_operand(cell->node, GML_RNN_LENGTHS))
        return states[0];
    gml_value *zero = gml_build_scalar(b, states[0]->type.dtype, 0);
    gml_value *output = gml_build_where(b, elements[1], states[0], zero);
    for (unsigned i = 0; i < n_states; i++)
        states[i] = gml_build_where(b, elements[1], states[i], before[i]);
    return output;
}

/* true while a step is within its sample; (T, B, 1) */
static gml_value *within(gml_build *b, gml_value *x, gml_value *lengths)
{
    static const int64_t axes[] = {0, 1, 2};
    gml_value *time = gml_build_range(b, gml_value_dim(x, 0));
    lengths = gml_build_unsqueeze(b, gml_build_cast(b, lengths, GML_I64), axes, 1);
    gml_value *open =
        gml_build_binary(b, &gml_op_less, gml_build_unsqueeze(b, time, axes + 1, 1), lengths);
    return gml_build_unsqueeze(b, open, axes + 2, 1);
}

/* Sets up the cell, and returns X W' + bias. */
static gml_value *project(gml_build *b, gml_rnn_cell *cell, gml_value *x, int direction)
{
    static const int64_t swap[] = {1, 0};
    const gml_node *node = cell->node;
    gml_value *weight = parameter(b, node, GML_RNN_W, direction);
    gml_value *recurrence = parameter(b, node, GML_RNN_R, direction);
    cell->recurrence = gml_build_transpose(b, recurrence, swap, 2);
    cell->peephole = parameter(b, node, GML_RNN_PEEPHOLE, direction);
    gml_value *product = gml_build_matmul(b, x, gml_build_transpose(b, weight, swap, 2));
    gml_value *bias = parameter(b, node, GML_RNN_B, direction);
    if (!bias)
        return product;
    int64_t size = (int64_t)cell->rnn->n_gates * cell->hidden;
    gml_value *recurrent = gml_build_slice(b, bias, 0, size, 2 * size);
    product = gml_build_add(b, product, gml_build_slice(b, bias, 0, 0, size));
    /* a gate that scales the recurrence scales its bias too */
    if (gml_node_int(node, "linear_before_reset", 0))
        cell->bias = recurrent;
    else
        product = gml_build_add(b, product, recurrent);
    return product;
}

/* One direction: all outputs (T, B, H) and the last states. */
static gml_value *run_direction(gml_build *b, gml_rnn_cell *cell, gml_value *x, int direction,
                                gml_value **out_states)
{
    const gml_node *node = cell->node;
    gml_recur recur = {.n_sequences = 1,
                       .n_states = cell->rnn->n_states,
                       .reverse =
                           direction == 1 || gml_node_string_is(node, "direction", "reverse"),
                       .step = recur_step,
                       .context = cell};
    recur.sequences[0] = project(b, cell, x, direction);
    if (gml_has_operand(node, GML_RNN_LENGTHS))
        recur.sequences[recur.n_sequences++] = within(b, x, node->operands[GML_RNN_LENGTHS]);
    gml_dim dims[] = {gml_value_dim(x, 1), cell->hidden};
    for (unsigned i = 0; i < recur.n_states; i++) {
        recur.states[i] = parameter(b, node, GML_RNN_STATES + i, direction);
        if (!recur.states[i])
            recur.states[i] = gml_build_zeros(b, x->type.dtype, dims, 2);
    }
    gml_value *outputs = gml_build_recur(b, &recur);
    for (unsigned i = 0; i < recur.n_states; i++)
        out_states[i] = recur.states[i];
    return outputs;
}

/* Stacks the directions along `axis`, in the operand's type. */
static gml_value *stack(gml_build *b, gml_value *const *parts, int count, int64_t axis,
                        gml_dtype dtype)
{
    gml_value *stacked[2];
    for (int d = 0; d < count; d++)
        stacked[d] = gml_build_unsqueeze(b, parts[d], &axis, 1);
    gml_value *whole =
        count == 1 ? stacked[0] : gml_build_concat(b, stacked, (uint32_t)count, axis);
    return gml_build_cast(b, whole, dtype);
}

gml_status gml_rnn_expand(gml_expand *cx, const gml_rnn *rnn)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    static const int64_t swap[] = {1, 0, 2};
    static const int64_t batch_first[] = {2, 0, 1, 3};
    int64_t layout = gml_node_int(node, "layout", 0);
    gml_dtype dtype = node->operands[GML_RNN_X]->type.dtype;
    gml_value *x = gml_build_cast(&b, node->operands[GML_RNN_X], gml_compute_dtype(dtype));
    if (layout == 1)
        x = gml_build_transpose(&b, x, swap, 3);
    gml_rnn_function functions[2 * GML_RNN_FUNCTIONS];
    if (read_functions(node, rnn, functions))
        GML_BUG("activations that infer accepted");
    int n = directions_of(node);
    gml_value *outputs[2];
    gml_value *states[2][2]; /* state, direction */
    for (int d = 0; d < n; d++) {
        gml_rnn_cell cell = {.rnn = rnn, .node = node};
        cell.hidden = gml_value_dim(node->operands[GML_RNN_R], 2);
        memcpy(cell.functions, functions + (size_t)d * rnn->n_functions,
               rnn->n_functions * sizeof *functions);
        gml_value *last[2];
        outputs[d] = run_direction(&b, &cell, x, d, last);
        for (unsigned i = 0; i < rnn->n_states; i++)
            states[i][d] = last[i];
    }
    gml_value *y = stack(&b, outputs, n, 1, dtype);
    cx->results[0] = layout == 1 ? gml_build_transpose(&b, y, batch_first, 4) : y;
    for (uint32_t i = 1; i < node->n_results; i++)
        cx->results[i] = stack(&b, states[i - 1], n, layout, dtype);
    return b.status;
}
