/* eval/fewshot.c - logistic regression on few pictures, as a training graph.
 *
 * Rows x are brought to mean 0 and length 1; no intercept:
 *
 *     P(W) = sum of -log softmax(x W)[class] + lambda / 2 |W|^2
 *
 * The graph gives the sum, its gradient G and the sum H of the entropies of softmax(x W); the
 * step moves W by what it is given, which L-BFGS decides here. Since max over W of the
 * Lagrangian gives D = H - |G|^2 / (2 lambda), a lower bound of the least P, P - D says how far
 * it still may be: the search ends when that is a small share of P.
 */
#include "data/random.h"
#include "eval/methods.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GML_MEMORY       10 /* pairs that L-BFGS keeps */
#define GML_MAX_HALVINGS 40

typedef struct search {
    gml_fewshot *out;
    const gml_eval_data *data;
    const gml_eval_context *context;
    gml_arena arena;
    gml_eval_graph graph;
    double *rows; /* (n, dim) */
    int64_t *labels;
    size_t n;         /* weights */
    double *at;       /* where the graph's W is */
    double *move;     /* by which the next run moves it */
    double *gradient; /* of P, at `at` */
    double value, bound;
    double *steps[GML_MEMORY], *changes[GML_MEMORY]; /* of W, of the gradient; a ring */
    int64_t n_pairs;
} search;

/* ---- the graph --------------------------------------------------------------------------- */

static gml_builder *build(const search *s)
{
    gml_builder *b = gml_builder_create("fewshot", 0, 0);
    int64_t n = (int64_t)s->out->n;
    int64_t dim = s->data->train->dim;
    int64_t n_classes = s->data->n_classes;
    gml_value *x = gml_eval_matrix(b, "x", GML_F64, n, dim);
    gml_value *weight = gml_builder_weight(b, "weight", GML_F64, 2, (int64_t[]){dim, n_classes},
                                           gml_fill_constant(0));
    gml_builder_output(b, gml_eval_binary(b, "MatMul", x, weight), "logits");
    gml_builder_begin_step(b);
    gml_value *labels = gml_builder_input(b, "labels", GML_I64, 1, (gml_extent[]){{n}});
    gml_value *move = gml_eval_matrix(b, "move", GML_F64, dim, n_classes);
    gml_value *moved = gml_eval_binary(b, "Add", weight, move);
    gml_value *logits = gml_eval_binary(b, "MatMul", x, moved);
    gml_value *loss =
        gml_builder_node(b, &(gml_node_spec){.op = "SoftmaxCrossEntropyLoss",
                                             .inputs = {logits, labels},
                                             .attrs = {GML_TEXT("reduction", "sum")}});
    gml_value *log_p = gml_eval_unary(b, "LogSoftmax", logits);
    gml_value *product = gml_eval_binary(b, "Mul", gml_eval_unary(b, "Exp", log_p), log_p);
    gml_value *gradient;
    gml_builder_gradients(
        b, &(gml_gradient_spec){.name = "gradient", .y = loss, .xs = &weight, .n_xs = 1},
        &gradient);
    gml_builder_output(b, loss, "loss");
    gml_builder_output(b, gml_eval_reduce(b, "ReduceSum", product, NULL), "minus_entropy");
    gml_builder_output(b, gradient, "weight_gradient");
    gml_builder_update(b, weight, moved);
    return b;
}

/* ---- a point ----------------------------------------------------------------------------- */

/* P, its bound and its gradient at `point`. */
static gml_status evaluate(search *s, const double *point)
{
    int64_t n = (int64_t)s->out->n;
    int64_t dim = s->data->train->dim;
    double lambda = s->out->lambda;
    const gml_tensor inputs[] = {gml_eval_view(GML_F64, n, dim, s->rows),
                                 {.dtype = GML_I64, .rank = 1, .dims = {n}, .data = s->labels},
                                 gml_eval_view(GML_F64, dim, s->data->n_classes, s->move)};
    for (size_t i = 0; i < s->n; i++) {
        s->move[i] = point[i] - s->at[i];
        s->at[i] = point[i];
    }
    GML_TRY(gml_eval_graph_run(&s->graph, GML_EVAL_STEP, inputs, s->context->diags));
    const gml_rvalue *out = s->graph.outputs[GML_EVAL_STEP] + 1; /* behind the logits */
    const double *gradient = out[2].tensor.data;
    s->value =
        *(const double *)out[0].tensor.data + lambda / 2 * gml_dot(s->at, s->at, (int64_t)s->n);
    s->bound = -*(const double *)out[1].tensor.data -
               gml_dot(gradient, gradient, (int64_t)s->n) / (2 * lambda);
    for (size_t i = 0; i < s->n; i++)
        s->gradient[i] = gradient[i] + lambda * s->at[i];
    return GML_OK;
}

/* ---- L-BFGS ------------------------------------------------------------------------------ */

/* x += factor y */
static void add(double *x, double factor, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += factor * y[i];
}

/* The pairs' estimate of the inverse second derivative, times the gradient, negated. */
static void find_direction(const search *s, double *out)
{
    double shares[GML_MEMORY] = {0};
    int64_t oldest = s->n_pairs > GML_MEMORY ? s->n_pairs - GML_MEMORY : 0;
    double scale = 1 / (1 + sqrt(gml_dot(s->gradient, s->gradient, (int64_t)s->n)));
    for (size_t i = 0; i < s->n; i++)
        out[i] = -s->gradient[i];
    for (int64_t j = s->n_pairs; j-- > oldest;) {
        const double *step = s->steps[j % GML_MEMORY];
        const double *change = s->changes[j % GML_MEMORY];
        double along = gml_dot(step, change, (int64_t)s->n);
        shares[j % GML_MEMORY] = gml_dot(step, out, (int64_t)s->n) / along;
        add(out, -shares[j % GML_MEMORY], change, s->n);
        if (j == s->n_pairs - 1)
            scale = along / gml_dot(change, change, (int64_t)s->n);
    }
    for (size_t i = 0; i < s->n; i++)
        out[i] *= scale;
    for (int64_t j = oldest; j < s->n_pairs; j++) {
        const double *step = s->steps[j % GML_MEMORY];
        const double *change = s->changes[j % GML_MEMORY];
        double share =
            gml_dot(change, out, (int64_t)s->n) / gml_dot(step, change, (int64_t)s->n);
        add(out, shares[j % GML_MEMORY] - share, step, s->n);
    }
}

/* Goes as far along `direction` as P falls by its share; false when it does not fall. */
static gml_status go(search *s, const double *direction, double *point, bool *out_fell)
{
    double *from = s->steps[s->n_pairs % GML_MEMORY];
    double *before = s->changes[s->n_pairs % GML_MEMORY];
    double value = s->value;
    double slope = gml_dot(direction, s->gradient, (int64_t)s->n);
    double length = 1;
    memcpy(from, s->at, s->n * sizeof *from);
    memcpy(before, s->gradient, s->n * sizeof *before);
    *out_fell = false;
    for (int k = 0; k < GML_MAX_HALVINGS && !*out_fell; k++, length /= 2) {
        for (size_t i = 0; i < s->n; i++)
            point[i] = from[i] + length * direction[i];
        GML_TRY(evaluate(s, point));
        *out_fell = s->value <= value + 1e-4 * length * slope;
    }
    for (size_t i = 0; i < s->n; i++) {
        from[i] = s->at[i] - from[i];
        before[i] = s->gradient[i] - before[i];
    }
    s->n_pairs += gml_dot(from, before, (int64_t)s->n) > 0; /* P is convex: rounding alone */
    return GML_OK;
}

static double share_of(const search *s)
{
    return (s->value - s->bound) / s->value;
}

static gml_status minimise(search *s)
{
    double *direction = gml_new_array(&s->arena, double, s->n);
    double *point = gml_new_array(&s->arena, double, s->n);
    gml_fewshot *out = s->out;
    bool fell = true;
    GML_TRY(evaluate(s, point));
    for (out->steps = 0; out->steps < out->max_steps && fell && share_of(s) > out->tolerance;
         out->steps++) {
        find_direction(s, direction);
        GML_TRY(go(s, direction, point, &fell));
    }
    out->loss = s->value;
    out->gap = share_of(s);
    if (out->gap <= out->tolerance)
        return GML_OK;
    return gml_fail(s->context->diags, GML_E_RANGE, (gml_loc){0},
                    "after %" PRId64
                    " steps the logistic regression may still be %g of its loss away",
                    out->steps, out->gap);
}

/* ---- rows -------------------------------------------------------------------------------- */

uint32_t *gml_fewshot_draw(const gml_eval_data *data, int64_t shots, size_t *out_n,
                           const gml_eval_context *context)
{
    uint32_t n = (uint32_t)data->train->count;
    uint32_t *order = gml_new_array(context->arena, uint32_t, n);
    int64_t *taken = gml_new_array(context->arena, int64_t, data->n_classes);
    gml_rng rng;
    size_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    gml_rng_init(&rng, context->seed, 0, 2, GML_DRAW_EVAL);
    gml_rng_shuffle(&rng, order, n);
    for (uint32_t i = 0; i < n; i++)
        if (taken[data->train_labels[order[i]]]++ < shots)
            order[count++] = order[i];
    *out_n = count;
    return order;
}

static void read_rows(search *s)
{
    int64_t dim = s->data->train->dim;
    gml_rows rows = {.features = s->data->train,
                     .indices = s->out->rows,
                     .n = s->out->n,
                     .form = GML_ROW_UNIT};
    s->rows = gml_new_array(&s->arena, double, (int64_t)s->out->n *dim);
    s->labels = gml_new_array(&s->arena, int64_t, s->out->n);
    for (size_t i = 0; i < s->out->n; i++) {
        gml_rows_get(&rows, i, s->rows + (int64_t)i * dim);
        s->labels[i] = s->data->train_labels[rows.indices != NULL ? rows.indices[i] : i];
    }
}

static gml_status test(search *s)
{
    const gml_eval_data *data = s->data;
    gml_rows rows = {
        .features = data->test, .n = (size_t)data->test->count, .form = GML_ROW_UNIT};
    double *weights = gml_new_array(&s->arena, double, s->n + (size_t)data->n_classes);
    memcpy(weights, s->at, s->n * sizeof *weights); /* and no intercept */
    s->out->weight =
        gml_eval_view(GML_F64, data->train->dim, data->n_classes,
                      gml_arena_copy(s->context->arena, s->at, s->n * sizeof *s->at));
    gml_scores_init(&s->out->scores, data->n_classes, data->test->count, s->context->arena);
    return gml_rows_score(&rows, weights, data->test_labels, &s->out->scores, s->context);
}

gml_status gml_fewshot_run(gml_fewshot *fewshot, const gml_eval_data *data,
                           const gml_eval_context *context)
{
    search s = {.out = fewshot, .data = data, .context = context};
    if (fewshot->rows == NULL)
        fewshot->n = (size_t)data->train->count;
    s.n = (size_t)(data->train->dim * data->n_classes);
    GML_TRY(gml_eval_graph_open(&s.graph, build(&s), true, context));
    gml_arena_init(&s.arena);
    read_rows(&s);
    s.at = gml_new_array(&s.arena, double, s.n);
    s.move = gml_new_array(&s.arena, double, s.n);
    s.gradient = gml_new_array(&s.arena, double, s.n);
    for (int i = 0; i < GML_MEMORY; i++) {
        s.steps[i] = gml_new_array(&s.arena, double, s.n);
        s.changes[i] = gml_new_array(&s.arena, double, s.n);
    }
    gml_status status = minimise(&s);
    if (status == GML_OK)
        status = test(&s);
    gml_arena_reset(&s.arena);
    gml_eval_graph_close(&s.graph);
    return status;
}
