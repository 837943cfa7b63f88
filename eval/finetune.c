/* eval/finetune.c - a whole network is trained as a classifier, by the training form. */
#include "api/classifier.h"
#include "eval/depth.h"
#include "eval/methods.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct tuning {
    gml_finetune *out;
    const gml_finetune_data *data;
    const gml_eval_context *context;
    gml_arena arena;
    gml_eval_graph graph;
    int64_t batch, n_steps; /* of an epoch */
    size_t loss, logits;    /* numbers of outputs: of the step, of the graph */
    gml_batch_view view;
    int64_t *labels; /* of the view */
    gml_drop_path drop;
    float *factors; /* of branches, (drop.n, batch) */
} tuning;

/* ---- the model --------------------------------------------------------------------------- */

static gml_status open_graph(tuning *t)
{
    static const char *const frozen[] = {"pos_embed"};
    static const char *const undecayed[] = {"*cls_token", "*pos_embed"};
    const gml_finetune *o = t->out;
    const gml_backbone_options *backbone = t->data->options;
    gml_str bytes;
    double n_steps = (double)t->n_steps;
    gml_classifier head = {.output = backbone->output,
                           .no_token = backbone->no_token,
                           .n_classes = t->data->train->n_classes,
                           .seed = t->context->seed,
                           .drop = &t->drop};
    gml_train_form form = {.freeze = frozen,
                           .n_freeze = 1,
                           .no_decay = undecayed,
                           .n_no_decay = 2,
                           .layer_decay = o->layer_decay};
    form.trainer = (gml_trainer_options){.kind = GML_TRAINER_ADAMW,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .epsilon = 1e-8,
                                         .decay = o->decay,
                                         .accumulate = 1,
                                         .schedule = GML_SCHEDULE_COSINE,
                                         .lr = o->lr * (double)t->batch / 256,
                                         .min_lr = o->min_lr,
                                         .warmup = (double)o->warmup * n_steps,
                                         .total = (double)o->epochs * n_steps};
    gml_str_init(&bytes);
    gml_status status =
        gml_classifier_bytes(backbone->path, &head, &form, &bytes, t->context->diags);
    if (status == GML_OK)
        return gml_eval_graph_wrap(&t->graph, bytes, true, t->context);
    gml_str_reset(&bytes);
    return status;
}

static const char *last_output(const gml_eval_graph *graph)
{
    const gml_model *model = graph->models[GML_EVAL_RUN];
    return gml_model_outputs(model)[gml_model_n_outputs(model) - 1].name;
}

/* A model without blocks, or whose branches are not found, is trained as it is. */
static void say_what_is_dropped(tuning *t)
{
    const gml_eval_watch *watch = t->out->watch;
    t->out->n_branches = (int64_t)t->drop.n;
    if (t->drop.rate > 0 && t->drop.n == 0 && watch != NULL && watch->remark != NULL)
        watch->remark(watch->context,
                      "fine-tuning goes without --drop-path: the model has no residual "
                      "branches of several blocks, told by weights called \"blocks.N.\"");
}

/* The inputs of a part, in its order: pictures, factors where there are branches, targets in
 * the step. */
static void list_inputs(const tuning *t, gml_tensor out[3])
{
    const gml_batch_view *view = &t->view;
    size_t n = 0;
    out[n++] = (gml_tensor){.dtype = GML_F32,
                            .rank = 4,
                            .dims = {t->batch, 3, view->size, view->size},
                            .data = view->pictures};
    if (t->drop.n > 0)
        out[n++] = gml_eval_view(GML_F32, (int64_t)t->drop.n, t->batch, t->factors);
    out[n] = gml_eval_view(GML_F32, t->batch, view->n_classes, view->targets);
}

/* ---- steps ------------------------------------------------------------------------------- */

static gml_status run_step(tuning *t, uint32_t epoch, int64_t step, const uint32_t *rows)
{
    const gml_finetune_data *data = t->data;
    gml_batch_view *view = &t->view;
    gml_rng rng;
    gml_eval_pick pick = {
        .set = data->train,
        .recipe = data->recipe,
        .draw = {.crop = GML_CROP_RETRY, .epoch = epoch, .magnitude = t->out->rand_augment},
        .indices = rows,
        .n = view->n};
    gml_tensor inputs[3];
    for (size_t i = 0; i < view->n; i++)
        t->labels[i] = data->train->labels[rows[i]];
    GML_TRY(gml_eval_pictures(&pick, view->pictures, t->context));
    gml_rng_init(&rng, t->context->seed, epoch, ((uint64_t)step << 8) + 3, GML_DRAW_EVAL);
    gml_mixing_apply(&t->out->mixing, &rng, view);
    gml_rng_init(&rng, t->context->seed, epoch, (uint64_t)step, GML_DRAW_DROP);
    gml_depth_draw(&t->drop, &rng, t->batch, t->factors);
    list_inputs(t, inputs);
    GML_TRY(gml_eval_graph_run(&t->graph, GML_EVAL_STEP, inputs, t->context->diags));
    const gml_rvalue *loss = &t->graph.outputs[GML_EVAL_STEP][t->loss];
    t->out->loss += *(const float *)loss->tensor.data / (double)t->n_steps;
    return GML_OK;
}

static gml_status train_epoch(tuning *t, uint32_t epoch, uint32_t *order)
{
    gml_rng rng;
    uint32_t n = t->data->train->count;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    gml_rng_init(&rng, t->context->seed, epoch, 4, GML_DRAW_EVAL);
    gml_rng_shuffle(&rng, order, n);
    t->out->loss = 0;
    for (int64_t step = 0; step < t->n_steps; step++)
        GML_TRY(run_step(t, epoch, step, order + step * t->batch));
    if (isfinite(t->out->loss))
        return GML_OK;
    return gml_fail(t->context->diags, GML_E_RANGE, (gml_loc){0},
                    "the loss of fine-tuning is no finite number in epoch %" PRIu32
                    ": a smaller rate may help",
                    epoch + 1);
}

static gml_status train(tuning *t)
{
    uint32_t *order = gml_new_array(&t->arena, uint32_t, t->data->train->count);
    const gml_eval_watch *watch = t->out->watch;
    for (int64_t epoch = 0; epoch < t->out->epochs; epoch++) {
        GML_TRY(train_epoch(t, (uint32_t)epoch, order));
        if (watch != NULL && watch->report != NULL)
            watch->report(watch->context, watch->stage, (uint64_t)epoch + 1,
                          (uint64_t)t->out->epochs);
    }
    return GML_OK;
}

/* ---- test -------------------------------------------------------------------------------- */

static gml_status test_batch(tuning *t, uint32_t first, double *row)
{
    const gml_eval_set *set = t->data->test;
    gml_batch_view *view = &t->view;
    uint32_t *rows = gml_new_array(&t->arena, uint32_t, view->n);
    uint32_t n =
        set->count - first < (uint32_t)view->n ? set->count - first : (uint32_t)view->n;
    for (uint32_t i = 0; i < n; i++)
        rows[i] = first + i;
    gml_eval_pick pick = {.set = set, .recipe = t->data->recipe, .indices = rows, .n = n};
    gml_tensor inputs[3];
    GML_TRY(gml_eval_pictures(&pick, view->pictures, t->context));
    list_inputs(t, inputs);
    GML_TRY(gml_eval_graph_run(&t->graph, GML_EVAL_RUN, inputs, t->context->diags));
    const float *logits = t->graph.outputs[GML_EVAL_RUN][t->logits].tensor.data;
    for (uint32_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < view->n_classes; k++)
            row[k] = logits[i * view->n_classes + k];
        gml_scores_add_row(&t->out->scores, set->labels[first + i], row);
    }
    return GML_OK;
}

static gml_status test(tuning *t)
{
    const gml_eval_set *set = t->data->test;
    double *row = gml_new_array(&t->arena, double, t->view.n_classes);
    gml_depth_all(&t->drop, t->batch, t->factors);
    gml_scores_init(&t->out->scores, t->view.n_classes, set->count, t->context->arena);
    for (uint32_t first = 0; first < set->count; first += (uint32_t)t->batch)
        GML_TRY(test_batch(t, first, row));
    return GML_OK;
}

gml_status gml_finetune_run(gml_finetune *finetune, const gml_finetune_data *data,
                            const gml_eval_context *context)
{
    tuning t = {.out = finetune, .data = data, .context = context};
    int64_t size = data->recipe->crop;
    int64_t n_classes = data->train->n_classes;
    t.batch = data->backbone->batch;
    t.drop.rate = finetune->drop_path;
    t.n_steps = data->train->count / t.batch;
    if (t.n_steps == 0)
        return gml_fail(context->diags, GML_E_USAGE, (gml_loc){0},
                        "%" PRIu32 " training pictures make no batch of %" PRId64,
                        data->train->count, t.batch);
    GML_TRY(open_graph(&t));
    say_what_is_dropped(&t);
    gml_arena_init(&t.arena);
    t.factors = gml_new_array(&t.arena, float, (int64_t)t.drop.n *t.batch + 1);
    t.labels = gml_new_array(&t.arena, int64_t, t.batch);
    t.view =
        (gml_batch_view){.pictures = gml_new_array(&t.arena, float, t.batch * 3 * size * size),
                         .labels = t.labels,
                         .targets = gml_new_array(&t.arena, float, t.batch *n_classes),
                         .n = (size_t)t.batch,
                         .size = size,
                         .n_classes = n_classes};
    t.loss = gml_eval_graph_output(&t.graph, GML_EVAL_STEP, "loss");
    t.logits = gml_eval_graph_output(&t.graph, GML_EVAL_RUN, last_output(&t.graph));
    gml_status status = train(&t);
    if (status == GML_OK)
        status = test(&t);
    gml_arena_reset(&t.arena);
    gml_eval_graph_close(&t.graph);
    return status;
}
