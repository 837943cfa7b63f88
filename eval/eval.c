#include "eval/eval.h"

#include "api/preparation.h"
#include "api/source.h"
#include "base/file.h"
#include "base/map.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *gml_eval_method_name(gml_eval_method method)
{
    static const char *const names[] = {
#define X(code, name) [GML_EVAL_##code] = name,
        GML_EVAL_METHODS(X)
#undef X
    };
    return names[method];
}

/* ---- results ----------------------------------------------------------------------------- */

static void add_result(gml_eval *e, gml_eval_method method, int kind, const gml_scores *scores,
                       const gml_eval_detail *details, size_t n_details)
{
    gml_eval_result result = {
        .method = method, .features = e->kinds[kind].name, .scores = *scores};
    memcpy(result.details, details, n_details * sizeof *details);
    gml_push(e->context.arena, &e->results, result);
}

static gml_eval_data data_of(const gml_eval *e, int kind)
{
    return (gml_eval_data){.train = &e->features[0][kind],
                           .test = &e->features[1][kind],
                           .train_labels = e->train.labels,
                           .test_labels = e->test.labels,
                           .n_classes = e->train.n_classes};
}

/* Remembers "METHOD_KIND_NAME"; it lives as long as the context. */
static void note(gml_eval *e, gml_eval_method method, int kind, const char *name,
                 gml_tensor tensor)
{
    gml_arena *arena = e->context.arena;
    gml_named_tensor item = {gml_arena_printf(arena, "%s_%s_%s", gml_eval_method_name(method),
                                              e->kinds[kind].name, name),
                             tensor};
    gml_push(arena, &e->tensors, item);
}

/* ---- methods ----------------------------------------------------------------------------- */

static gml_status run_knn(gml_eval *e, int kind)
{
    gml_eval_data data = data_of(e, kind);
    gml_knn knn = e->options->knn;
    GML_TRY(gml_knn_run(&knn, &data, &e->context));
    if (e->shown.k == 0)
        e->shown = knn;
    gml_tensor neighbours = gml_eval_view(GML_I64, data.test->count, knn.k, knn.neighbours);
    note(e, GML_EVAL_KNN, kind, "neighbours", neighbours);
    const gml_eval_detail details[] = {{"k", (double)knn.k}, {"temperature", knn.temperature}};
    add_result(e, GML_EVAL_KNN, kind, &knn.scores, details, knn.temperature > 0 ? 2 : 1);
    return GML_OK;
}

static gml_status run_ridge(gml_eval *e, int kind)
{
    gml_eval_data data = data_of(e, kind);
    gml_ridge ridge = e->options->ridge;
    GML_TRY(gml_ridge_run(&ridge, &data, &e->context));
    const gml_eval_detail details[] = {{"strength", ridge.strength}};
    add_result(e, GML_EVAL_RIDGE, kind, &ridge.scores, details, 1);
    return GML_OK;
}

/* Where the augmented probe's features come from. */
typedef struct augmented {
    gml_eval *eval;
    int kind;
} augmented;

static gml_status make_augmented(void *context, uint32_t epoch, const uint32_t *rows, size_t n,
                                 float *out)
{
    const augmented *a = context;
    gml_eval *e = a->eval;
    gml_features features[GML_MAX_FEATURES];
    gml_eval_pick pick = {.set = &e->train,
                          .recipe = &e->recipe,
                          .draw = {.crop = GML_CROP_ONCE, .epoch = epoch},
                          .indices = rows,
                          .n = n};
    gml_status status = gml_features_make(&e->backbone, &pick, NULL, features, &e->context);
    if (status == GML_OK)
        memcpy(out, features[a->kind].data, n * (size_t)features[a->kind].dim * sizeof *out);
    for (int k = 0; k < GML_MAX_FEATURES; k++)
        gml_features_reset(&features[k]);
    return status;
}

static gml_status run_linear(gml_eval *e, int kind)
{
    gml_eval_data data = data_of(e, kind);
    gml_probe probe = e->options->probe;
    augmented source = {e, kind};
    gml_eval_watch watch = e->options->watch;
    watch.stage = "linear probe";
    probe.watch = &watch;
    if (e->options->augment)
        probe.source = (gml_probe_source){make_augmented, &source};
    GML_TRY(gml_probe_run(&probe, &data, &e->context));
    note(e, GML_EVAL_LINEAR, kind, "initial", probe.initial);
    note(e, GML_EVAL_LINEAR, kind, "weight", probe.weight);
    note(e, GML_EVAL_LINEAR, kind, "bias", probe.bias);
    note(e, GML_EVAL_LINEAR, kind, "running_mean", probe.mean);
    note(e, GML_EVAL_LINEAR, kind, "running_var", probe.variance);
    const gml_eval_detail details[] = {{"epochs", (double)probe.epochs}, {"loss", probe.loss}};
    add_result(e, GML_EVAL_LINEAR, kind, &probe.scores, details, 2);
    return GML_OK;
}

static gml_status run_fewshot(gml_eval *e, int kind, const uint32_t *rows, size_t n)
{
    gml_eval_data data = data_of(e, kind);
    gml_fewshot fewshot = e->options->fewshot;
    fewshot.rows = rows;
    fewshot.n = n;
    GML_TRY(gml_fewshot_run(&fewshot, &data, &e->context));
    note(e, GML_EVAL_FEWSHOT, kind, "weight", fewshot.weight);
    const gml_eval_detail details[] = {{"pictures", (double)fewshot.n},
                                       {"steps", (double)fewshot.steps},
                                       {"gap", fewshot.gap},
                                       {"loss", fewshot.loss}};
    add_result(e, GML_EVAL_FEWSHOT, kind, &fewshot.scores, details, 4);
    return GML_OK;
}

#define GML_AMBIGUOUS UINT32_MAX /* a name of several pictures */

/* Features play no part: those of the test pictures change. */
static gml_status run_finetune(gml_eval *e)
{
    gml_finetune finetune = e->options->finetune;
    gml_finetune_data data = {.options = &e->options->backbone,
                              .backbone = &e->backbone,
                              .recipe = &e->recipe,
                              .train = &e->train,
                              .test = &e->test};
    gml_eval_watch watch = e->options->watch;
    watch.stage = "fine-tuning";
    finetune.watch = &watch;
    if (e->backbone.model == NULL)
        return gml_fail(e->context.diags, GML_E_USAGE, (gml_loc){0},
                        "fine-tuning needs a model");
    GML_TRY(gml_finetune_run(&finetune, &data, &e->context));
    const gml_eval_detail details[] = {{"epochs", (double)finetune.epochs},
                                       {"loss", finetune.loss},
                                       {"branches", (double)finetune.n_branches}};
    add_result(e, GML_EVAL_FINETUNE, 0, &finetune.scores, details, 3);
    return GML_OK;
}

/* ---- few pictures ------------------------------------------------------------------------ */

/* What a list may call picture `i`: its file's name without folders. */
static const char *short_name(const gml_eval *e, uint32_t i)
{
    gml_str name;
    gml_str_init(&name);
    gml_dataset_name(e->train.dataset, i, &name);
    const char *slash = strrchr(name.text, '/');
    const char *short_of = slash != NULL ? slash + 1 : name.text;
    const char *copy = gml_arena_text(e->context.arena, short_of, strlen(short_of));
    gml_str_reset(&name);
    return copy;
}

static gml_status find_listed(gml_eval *e, const char *line, size_t len, gml_map *by_name,
                              uint32_t *out_row)
{
    const char *slash = line + len;
    while (slash > line && slash[-1] != '/')
        slash--;
    const uint32_t *found = gml_map_find_len(by_name, slash, (size_t)(line + len - slash));
    if (found == NULL || *found == GML_AMBIGUOUS)
        return gml_fail(e->context.diags, GML_E_INVALID, (gml_loc){.file = e->options->subset},
                        "names %.*s, which %s", (int)len, line,
                        found == NULL ? "is no training picture"
                                      : "several training pictures are called");
    *out_row = *found;
    return GML_OK;
}

/* The rows that the file lists. */
static gml_status read_subset(gml_eval *e, const uint32_t **out_rows, size_t *out_n)
{
    gml_file file;
    gml_map by_name;
    gml_vec(uint32_t) rows = {NULL};
    GML_TRY(gml_file_map(e->options->subset, &file, e->context.diags));
    gml_map_init(&by_name, e->context.arena);
    uint32_t *numbers = gml_new_array(e->context.arena, uint32_t, e->train.count);
    for (uint32_t i = 0; i < e->train.count; i++) {
        const char *name = short_name(e, i);
        numbers[i] = gml_map_has(&by_name, name) ? GML_AMBIGUOUS : i;
        gml_map_set(&by_name, name, &numbers[i]);
    }
    const char *text = file.data;
    gml_status status = GML_OK;
    for (size_t at = 0; at < file.size && status == GML_OK;) {
        const char *end = memchr(text + at, '\n', file.size - at);
        size_t next = end != NULL ? (size_t)(end - text) : file.size;
        size_t len = next - at;
        uint32_t row = 0;
        len -= len > 0 && text[next - 1] == '\r';
        if (len > 0) {
            status = find_listed(e, text + at, len, &by_name, &row);
            if (status == GML_OK)
                gml_push(e->context.arena, &rows, row);
        }
        at = next + 1;
    }
    gml_file_unmap(&file);
    *out_rows = rows.items;
    *out_n = rows.count;
    if (status == GML_OK && rows.count == 0)
        status = gml_fail(e->context.diags, GML_E_INVALID,
                          (gml_loc){.file = e->options->subset}, "names no picture");
    return status;
}

static gml_status find_shots(gml_eval *e, const uint32_t **out_rows, size_t *out_n)
{
    gml_eval_data data = data_of(e, 0);
    *out_rows = NULL;
    if (e->options->subset != NULL)
        return read_subset(e, out_rows, out_n);
    if (e->options->shots > 0)
        *out_rows = gml_fewshot_draw(&data, e->options->shots, out_n, &e->context);
    return GML_OK;
}

/* ---- the whole --------------------------------------------------------------------------- */

static gml_status run_methods(gml_eval *e)
{
    const bool *wants = e->options->wants;
    const uint32_t *shots = NULL;
    size_t n_shots = 0;
    if (wants[GML_EVAL_FEWSHOT])
        GML_TRY(find_shots(e, &shots, &n_shots));
    for (int kind = 0; kind < e->n_kinds; kind++) {
        const gml_eval_kind *is = &e->kinds[kind];
        if (wants[GML_EVAL_KNN] && !is->is_grey)
            GML_TRY(run_knn(e, kind));
        if (wants[GML_EVAL_RIDGE] && !is->is_pixels)
            GML_TRY(run_ridge(e, kind));
        if (wants[GML_EVAL_LINEAR] && !is->is_pixels)
            GML_TRY(run_linear(e, kind));
        if (wants[GML_EVAL_FEWSHOT] && !is->is_pixels)
            GML_TRY(run_fewshot(e, kind, shots, n_shots));
    }
    return wants[GML_EVAL_FINETUNE] ? run_finetune(e) : GML_OK;
}

/* All pictures of a set. */
static gml_status make_part(gml_eval *e, const gml_eval_set *set, const gml_eval_watch *watch,
                            gml_features *out)
{
    uint32_t *all = gml_new_array(e->context.arena, uint32_t, set->count);
    for (uint32_t i = 0; i < set->count; i++)
        all[i] = i;
    gml_eval_pick pick = {.set = set, .recipe = &e->recipe, .indices = all, .n = set->count};
    return gml_features_make(&e->backbone, &pick, watch, out, &e->context);
}

static gml_status make_features(gml_eval *e)
{
    gml_eval_watch watch = e->options->watch;
    gml_eval_set *const sets[] = {&e->train, &e->test};
    static const char *const stages[] = {"training features", "test features"};
    for (int part = 0; part < 2; part++) {
        watch.stage = stages[part];
        GML_TRY(make_part(e, sets[part], &watch, e->features[part]));
    }
    e->n_kinds = e->backbone.n_kinds;
    int n_of_model = e->n_kinds - (e->backbone.pixels ? 2 : 0);
    for (int k = 0; k < e->n_kinds; k++) {
        gml_eval_kind *kind = &e->kinds[k];
        *kind = (gml_eval_kind){.name = e->backbone.kinds[k],
                                .dim = e->backbone.dims[k],
                                .rank = NAN,
                                .is_pixels = k == n_of_model,
                                .is_grey = k > n_of_model};
        if (!kind->is_pixels)
            GML_TRY(gml_features_rank(&e->features[0][k], &kind->rank, &e->context));
    }
    return GML_OK;
}

/* What is given, else what the model says, else what everybody does. */
static gml_status make_recipe(gml_eval *e)
{
    const gml_model *model = e->backbone.model;
    gml_preparation p = e->options->preparation;
    gml_eval_recipe *recipe = &e->recipe;
    gml_loc loc = {0};
    if (model != NULL)
        GML_TRY(gml_preparation_complete(&p, model, e->context.diags));
    if (p.resize != e->options->preparation.resize)
        loc = (gml_loc){.file = gml_model_source(model)->path, .node = GML_RESIZE_KEY};
    gml_preparation_fill(&p);
    *recipe = (gml_eval_recipe){.crop = e->backbone.size, .filter = e->options->filter};
    recipe->resize = p.resize != 0 ? p.resize : gml_preparation_rule(recipe->crop);
    for (int c = 0; c < 3; c++) {
        recipe->mean[c] = (float)p.mean[c];
        recipe->std[c] = (float)p.std[c];
    }
    if (recipe->resize < recipe->crop)
        return gml_fail(e->context.diags, GML_E_USAGE, loc,
                        "pictures of %" PRId64 " pixels have no middle of %" PRId64,
                        recipe->resize, recipe->crop);
    return GML_OK;
}

static gml_status open_all(gml_eval *e)
{
    const gml_eval_options *o = e->options;
    GML_TRY(gml_eval_set_open(o->train, NULL, &e->train, &e->context));
    GML_TRY(gml_eval_set_open(o->test, &e->train, &e->test, &e->context));
    if (o->wants[GML_EVAL_KNN])
        GML_TRY(gml_knn_check(&o->knn, e->train.count, e->context.diags));
    GML_TRY(gml_backbone_open(&o->backbone, &e->backbone, &e->context));
    return make_recipe(e);
}

/* ---- numbers for others ------------------------------------------------------------------ */

static void add_tensor(gml_eval *e, const char *name, gml_tensor tensor)
{
    gml_named_tensor item = {name, tensor};
    gml_push(e->context.arena, &e->tensors, item);
}

static void add_numbers(gml_eval *e, const char *name, const int64_t *data, int64_t n)
{
    void *copy = gml_arena_copy(e->context.arena, data, (size_t)n * sizeof *data);
    add_tensor(e, name, (gml_tensor){.dtype = GML_I64, .rank = 1, .dims = {n}, .data = copy});
}

static gml_status write_numbers(gml_eval *e)
{
    static const char *const parts[] = {"train", "test"};
    const gml_eval_set *const sets[] = {&e->train, &e->test};
    gml_arena *arena = e->context.arena;
    for (int part = 0; part < 2; part++) {
        add_numbers(e, gml_arena_printf(arena, "%s_labels", parts[part]), sets[part]->labels,
                    sets[part]->count);
        for (int k = 0; k < e->n_kinds; k++) {
            const gml_features *f = &e->features[part][k];
            add_tensor(e, gml_arena_printf(arena, "%s_%s", parts[part], f->kind),
                       gml_eval_view(GML_F32, f->count, f->dim, f->data));
        }
    }
    uint32_t *order = gml_ridge_order(e->train.count, &e->context);
    add_tensor(
        e, "ridge_order",
        (gml_tensor){.dtype = GML_U32, .rank = 1, .dims = {e->train.count}, .data = order});
    for (size_t i = 0; i < e->results.count; i++) {
        const gml_eval_result *result = &e->results.items[i];
        const char *name = gml_arena_printf(
            arena, "%s_%s", gml_eval_method_name(result->method), result->features);
        add_numbers(e, name, result->scores.predicted, result->scores.count);
    }
    return gml_npz_write(e->options->numbers, e->tensors.items, e->tensors.count,
                         e->context.diags);
}

gml_status gml_eval_run(gml_eval *eval)
{
    GML_TRY(open_all(eval));
    GML_TRY(make_features(eval));
    GML_TRY(run_methods(eval));
    return eval->options->numbers != NULL ? write_numbers(eval) : GML_OK;
}

void gml_eval_close(gml_eval *eval)
{
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < GML_MAX_FEATURES; k++)
            gml_features_reset(&eval->features[part][k]);
    gml_backbone_close(&eval->backbone);
    gml_eval_set_close(&eval->train);
    gml_eval_set_close(&eval->test);
}
