/* eval/probe.c - a linear probe by LARS, as a training graph.
 *
 *     h = LayerNormalization(features) without weights, epsilon 1e-6
 *     z = BatchNormalization(h) without weights, epsilon 1e-6, momentum 0.1
 *     cross-entropy of z W + b, W and b by LARS with momentum 0.9, trust 0.001, no decay
 *
 * The rate rises from 0 over the first epochs, then falls to 0 as a cosine. In the step the
 * batch's mean and variance are used, and the running ones move, the variance being that which
 * divides by one less than the batch; the graph alone uses the running ones.
 */
#include "data/random.h"
#include "eval/methods.h"
#include "gemel/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GML_PROBE_EPSILON  1e-6F
#define GML_PROBE_MOMENTUM 0.1
#define GML_PROBE_TRUST    0.001

typedef struct probe {
    gml_probe *out;
    const gml_eval_data *data;
    const gml_eval_context *context;
    gml_arena arena;
    int64_t dim, batch, n_steps; /* of an epoch */
    gml_eval_graph graph;
    float *rows; /* (batch, dim) */
    int64_t *labels;
} probe;

/* ---- the graph --------------------------------------------------------------------------- */

/* What both parts have. */
typedef struct parts {
    gml_builder *b;
    gml_value *h, *weight, *bias;
    gml_value *mean, *variance; /* running, (1, dim) */
} parts;

static gml_value *number(gml_builder *b, double value)
{
    return gml_builder_number(b, "number.", GML_F32, value);
}

/* (x - mean) / sqrt(variance + epsilon) W + b */
static gml_value *add_head(const parts *p, gml_value *mean, gml_value *variance)
{
    gml_builder *b = p->b;
    gml_value *deviation = gml_eval_unary(
        b, "Sqrt", gml_eval_binary(b, "Add", variance, number(b, GML_PROBE_EPSILON)));
    gml_value *z = gml_eval_binary(b, "Sub", p->h, mean);
    z = gml_eval_binary(b, "Div", z, deviation);
    z = gml_eval_binary(b, "MatMul", z, p->weight);
    return gml_eval_binary(b, "Add", z, p->bias);
}

static void add_model(const probe *x, parts *p)
{
    gml_builder *b = p->b;
    gml_value *features = gml_eval_matrix(b, "features", GML_F32, x->batch, x->dim);
    gml_value *ones = gml_builder_state(b, "norm.ones", GML_F32, 1, (int64_t[]){x->dim},
                                        gml_fill_constant(1));
    int64_t n_classes = x->data->n_classes;
    p->h = gml_builder_node(
        b, &(gml_node_spec){.op = "LayerNormalization",
                            .inputs = {features, ones},
                            .attrs = {GML_FLOAT("epsilon", GML_PROBE_EPSILON)}});
    p->mean = gml_builder_state(b, "running_mean", GML_F32, 2, (int64_t[]){1, x->dim},
                                gml_fill_constant(0));
    p->variance = gml_builder_state(b, "running_var", GML_F32, 2, (int64_t[]){1, x->dim},
                                    gml_fill_constant(1));
    p->weight = gml_builder_matrix(b, "head.weight", GML_F32, x->dim, n_classes,
                                   gml_fill_normal(0, 0.01));
    p->bias = gml_builder_weight(b, "head.bias", GML_F32, 1, (int64_t[]){n_classes},
                                 gml_fill_constant(0));
    gml_builder_output(b, add_head(p, p->mean, p->variance), "logits");
}

/* 0.9 old + 0.1 new */
static void move(const parts *p, gml_value *state, gml_value *value, double factor)
{
    gml_builder *b = p->b;
    gml_value *kept = gml_eval_binary(b, "Mul", state, number(b, 1 - GML_PROBE_MOMENTUM));
    gml_value *added = gml_eval_binary(b, "Mul", value, number(b, GML_PROBE_MOMENTUM * factor));
    gml_builder_update(b, state, gml_eval_binary(b, "Add", kept, added));
}

static void add_optimizer(const probe *x, const parts *p, gml_value *loss)
{
    gml_builder *b = p->b;
    gml_value *const weights[] = {p->weight, p->bias};
    gml_value *gradients[2];
    double n_steps = (double)x->n_steps;
    int64_t zero = 0;
    gml_builder_gradients(
        b, &(gml_gradient_spec){.name = "gradient", .y = loss, .xs = weights, .n_xs = 2},
        gradients);
    gml_trainer *o = gml_trainer_create(
        b, &(gml_trainer_options){.kind = GML_TRAINER_LARS,
                                  .momentum = 0.9,
                                  .trust = GML_PROBE_TRUST,
                                  .accumulate = 1,
                                  .schedule = GML_SCHEDULE_COSINE,
                                  .lr = x->out->lr * (double)x->batch / 256,
                                  .warmup = (double)x->out->warmup * n_steps,
                                  .total = (double)x->out->epochs * n_steps});
    gml_tensor counter = {.dtype = GML_I64, .data = &zero};
    gml_step_count count = gml_trainer_count(o, gml_builder_tensor(b, "step", &counter, true));
    const gml_trained trained[] = {{.weight = p->weight, .gradient = gradients[0]},
                                   {.weight = p->bias, .gradient = gradients[1]}};
    gml_trainer_update(o, &count, gml_trainer_rate(o, count.now), trained, 2);
    gml_trainer_advance(o, &count);
}

static gml_builder *build(const probe *x)
{
    parts p = {.b = gml_builder_create("probe", 0, x->context->seed)};
    gml_builder *b = p.b;
    add_model(x, &p);
    gml_builder_begin_step(b);
    gml_value *labels =
        gml_builder_input(b, "labels", GML_I64, 1, (gml_extent[]){{.value = x->batch}});
    gml_value *axes = gml_builder_ints(b, "batch.axis", (int64_t[]){0}, 1);
    gml_value *mean = gml_eval_reduce(b, "ReduceMean", p.h, axes);
    gml_value *centred = gml_eval_binary(b, "Sub", p.h, mean);
    gml_value *variance =
        gml_eval_reduce(b, "ReduceMean", gml_eval_binary(b, "Mul", centred, centred), axes);
    gml_value *loss =
        gml_eval_binary(b, "SoftmaxCrossEntropyLoss", add_head(&p, mean, variance), labels);
    gml_builder_output(b, loss, "loss");
    add_optimizer(x, &p, loss);
    move(&p, p.mean, mean, 1);
    move(&p, p.variance, variance, (double)x->batch / (double)(x->batch - 1));
    return b;
}

/* ---- training ---------------------------------------------------------------------------- */

/* Rows `numbers` of the training set as a batch. */
static gml_status fill_batch(probe *x, uint32_t epoch, const uint32_t *numbers)
{
    const gml_features *train = x->data->train;
    size_t bytes = (size_t)x->dim * sizeof *x->rows;
    for (int64_t i = 0; i < x->batch; i++)
        x->labels[i] = x->data->train_labels[numbers[i]];
    if (x->out->source.get != NULL)
        return x->out->source.get(x->out->source.context, epoch, numbers, (size_t)x->batch,
                                  x->rows);
    for (int64_t i = 0; i < x->batch; i++)
        memcpy(x->rows + i * x->dim, train->data + (int64_t)numbers[i] * x->dim, bytes);
    return GML_OK;
}

/* The mean loss of the epoch goes to the result. */
static gml_status train_epoch(probe *x, uint32_t epoch, uint32_t *order)
{
    gml_rng rng;
    uint32_t n = (uint32_t)x->data->train->count;
    const gml_tensor inputs[] = {
        gml_eval_view(GML_F32, x->batch, x->dim, x->rows),
        {.dtype = GML_I64, .rank = 1, .dims = {x->batch}, .data = x->labels}};
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    gml_rng_init(&rng, x->context->seed, epoch, 1, GML_DRAW_EVAL);
    gml_rng_shuffle(&rng, order, n);
    x->out->loss = 0;
    for (int64_t step = 0; step < x->n_steps; step++) {
        GML_TRY(fill_batch(x, epoch, order + step * x->batch));
        GML_TRY(gml_eval_graph_run(&x->graph, GML_EVAL_STEP, inputs, x->context->diags));
        float loss = *(const float *)x->graph.outputs[GML_EVAL_STEP][1].tensor.data;
        x->out->loss += loss / (double)x->n_steps;
    }
    if (!isfinite(x->out->loss))
        return gml_fail(x->context->diags, GML_E_RANGE, (gml_loc){0},
                        "the loss of the linear probe is no finite number in epoch %" PRIu32
                        ": a smaller rate may help",
                        epoch + 1);
    return GML_OK;
}

static gml_status train(probe *x)
{
    uint32_t *order = gml_new_array(&x->arena, uint32_t, x->data->train->count);
    const gml_eval_watch *watch = x->out->watch;
    for (int64_t epoch = 0; epoch < x->out->epochs; epoch++) {
        GML_TRY(train_epoch(x, (uint32_t)epoch, order));
        if (watch != NULL && watch->report != NULL)
            watch->report(watch->context, watch->stage, (uint64_t)epoch + 1,
                          (uint64_t)x->out->epochs);
    }
    return GML_OK;
}

/* What the state is now, in the context's arena. */
static gml_status keep(const probe *x, const char *name, gml_tensor *out_tensor)
{
    GML_TRY(gml_eval_graph_state(&x->graph, name, out_tensor, x->context->diags));
    size_t size = (size_t)gml_tensor_numel(out_tensor) * sizeof(float);
    out_tensor->data = gml_arena_copy(x->context->arena, out_tensor->data, size);
    return GML_OK;
}

static gml_status keep_all(const probe *x)
{
    GML_TRY(keep(x, "head.weight", &x->out->weight));
    GML_TRY(keep(x, "head.bias", &x->out->bias));
    GML_TRY(keep(x, "running_mean", &x->out->mean));
    return keep(x, "running_var", &x->out->variance);
}

static gml_status test(probe *x)
{
    const gml_features *features = x->data->test;
    int64_t n_classes = x->data->n_classes;
    double *row = gml_new_array(&x->arena, double, n_classes);
    const gml_tensor input = gml_eval_view(GML_F32, x->batch, x->dim, x->rows);
    gml_scores_init(&x->out->scores, n_classes, features->count, x->context->arena);
    for (int64_t first = 0; first < features->count; first += x->batch) {
        int64_t rest = features->count - first;
        int64_t n = rest < x->batch ? rest : x->batch;
        memcpy(x->rows, features->data + first * x->dim,
               (size_t)(n * x->dim) * sizeof *x->rows);
        GML_TRY(gml_eval_graph_run(&x->graph, GML_EVAL_RUN, &input, x->context->diags));
        const float *logits = x->graph.outputs[GML_EVAL_RUN][0].tensor.data;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t k = 0; k < n_classes; k++)
                row[k] = logits[i * n_classes + k];
            gml_scores_add_row(&x->out->scores, x->data->test_labels[first + i], row);
        }
    }
    return GML_OK;
}

gml_status gml_probe_run(gml_probe *out, const gml_eval_data *data,
                         const gml_eval_context *context)
{
    probe x = {.out = out, .data = data, .context = context, .dim = data->train->dim};
    x.batch = out->batch < data->train->count ? out->batch : data->train->count;
    if (x.batch < 2)
        return gml_fail(context->diags, GML_E_USAGE, (gml_loc){0},
                        "a linear probe needs batches of two and more");
    x.n_steps = data->train->count / x.batch;
    GML_TRY(gml_eval_graph_open(&x.graph, build(&x), true, context));
    gml_arena_init(&x.arena);
    x.rows = gml_new_array(&x.arena, float, x.batch *x.dim);
    x.labels = gml_new_array(&x.arena, int64_t, x.batch);
    gml_status status = keep(&x, "head.weight", &out->initial);
    if (status == GML_OK)
        status = train(&x);
    if (status == GML_OK)
        status = test(&x);
    if (status == GML_OK)
        status = keep_all(&x);
    gml_arena_reset(&x.arena);
    gml_eval_graph_close(&x.graph);
    return status;
}
