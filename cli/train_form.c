/* cli/train_form.c - options of training plain models, and what is said before the first step.
 */
#include "cli/train_form.h"

#include "api/source.h"
#include "cli/cli.h"
#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void gml_train_options_init(gml_train_options *options, gml_arena *arena)
{
    *options = (gml_train_options){.arena = arena};
    options->form.class_axis = 1;
    options->form.trainer = (gml_trainer_options){
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .momentum = NAN, /* these three depend on the optimizer, the last on --steps */
        .decay = NAN,
        .lr = NAN,
        .total = NAN,
        .trust = 0.001,
        .accumulate = 1,
    };
}

/* ---- values ------------------------------------------------------------------------------ */

static bool read_choice(const char *value, const char *const *names, int n, int *out_choice)
{
    for (int i = 0; i < n; i++)
        if (strcmp(value, names[i]) == 0) {
            *out_choice = i;
            return true;
        }
    return false;
}

static bool read_number(const char *value, double low, double high, double *out)
{
    return gml_cli_double(value, out) && *out >= low && *out <= high;
}

static bool read_count(const char *value, int64_t low, double *out)
{
    int64_t n = 0;
    bool ok = gml_cli_int(value, &n) && n >= low && n <= (int64_t)1 << 48;
    *out = (double)n;
    return ok;
}

static bool read_betas(gml_arena *arena, const char *value, gml_trainer_options *trainer)
{
    char *text = gml_arena_text(arena, value, strlen(value));
    char *comma = strchr(text, ',');
    if (comma == NULL)
        return false;
    *comma = '\0';
    return read_number(text, 0, 1, &trainer->beta1) && trainer->beta1 < 1 &&
           read_number(comma + 1, 0, 1, &trainer->beta2) && trainer->beta2 < 1;
}

/* An option with a number: where it goes, and what it may be. */
static bool read_numeric(gml_train_options *o, const char *name, const char *value,
                         bool *out_ok)
{
    gml_trainer_options *t = &o->form.trainer;
    const struct {
        const char *name;
        double *place;
        double high;
    } rows[] = {
        {"label-smoothing", &o->form.smoothing, 1},
        {"lr", &t->lr, HUGE_VAL},
        {"epsilon", &t->epsilon, 1},
        {"weight-decay", &t->decay, HUGE_VAL},
        {"momentum", &t->momentum, 1},
        {"trust", &t->trust, HUGE_VAL},
        {"min-lr", &t->min_lr, HUGE_VAL},
        {"clip", &t->clip, HUGE_VAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name, rows[i].name) == 0) {
            *out_ok = read_number(value, 0, rows[i].high, rows[i].place);
            return true;
        }
    return false;
}

static bool read_counted(gml_train_options *o, const char *name, const char *value,
                         bool *out_ok)
{
    gml_trainer_options *t = &o->form.trainer;
    if (strcmp(name, "warmup") == 0) {
        *out_ok = read_count(value, 0, &t->warmup);
    } else if (strcmp(name, "total") == 0) {
        *out_ok = read_count(value, 1, &t->total);
    } else if (strcmp(name, "accumulate") == 0) {
        *out_ok = gml_cli_int(value, &t->accumulate) && t->accumulate >= 1 &&
                  t->accumulate <= (int64_t)1 << 48;
    } else if (strcmp(name, "class-axis") == 0) {
        int64_t *axis = &o->form.class_axis;
        *out_ok = gml_cli_int(value, axis) && *axis >= -GML_MAX_RANK && *axis < GML_MAX_RANK;
    } else {
        return false;
    }
    return true;
}

static bool read_named(gml_train_options *o, const char *name, const char *value, bool *out_ok)
{
    static const char *const optimizers[] = {"adamw", "sgd", "lars"};
    static const char *const schedules[] = {"const", "cosine", "linear"};
    static const char *const norms[] = {"frozen", "train"};
    gml_trainer_options *t = &o->form.trainer;
    int choice = 0;
    if (strcmp(name, "optimizer") == 0) {
        *out_ok = read_choice(value, optimizers, 3, &choice);
        t->kind = (gml_trainer_kind)choice;
    } else if (strcmp(name, "schedule") == 0) {
        *out_ok = read_choice(value, schedules, 3, &choice);
        t->schedule = (gml_schedule_kind)choice;
    } else if (strcmp(name, "batch-norm") == 0) {
        *out_ok = read_choice(value, norms, 2, &choice);
        o->form.batch_norm = choice == 1;
    } else if (strcmp(name, "betas") == 0) {
        *out_ok = read_betas(o->arena, value, t);
    } else if (strcmp(name, "nesterov") == 0) {
        t->nesterov = true;
    } else {
        return false;
    }
    return true;
}

static bool read_text(gml_train_options *o, const char *name, const char *value, bool *out_ok)
{
    if (strcmp(name, "external-data") == 0)
        return o->external_data = true;
    if (strcmp(name, "list") == 0)
        return o->list = true;
    if (strcmp(name, "loss") == 0)
        o->form.loss = value;
    else if (strcmp(name, "output") == 0)
        o->form.output = value;
    else if (strcmp(name, "freeze") == 0)
        gml_push(o->arena, &o->freeze, value);
    else if (strcmp(name, "train-only") == 0)
        gml_push(o->arena, &o->only, value);
    else if (strcmp(name, "form") == 0)
        o->form_path = value;
    else
        return false;
    *out_ok = *value != '\0';
    return true;
}

bool gml_train_options_handle(gml_train_options *options, const char *name, const char *value,
                              bool *out_ok)
{
    *out_ok = true;
    bool is_mine = read_text(options, name, value, out_ok) ||
                   read_named(options, name, value, out_ok) ||
                   read_numeric(options, name, value, out_ok) ||
                   read_counted(options, name, value, out_ok);
    if (is_mine && options->first == NULL && strcmp(name, "loss") != 0)
        options->first = name;
    return is_mine;
}

/* ---- together ---------------------------------------------------------------------------- */

static double or_else(double value, double other)
{
    return isnan(value) ? other : value;
}

/* Two options that contradict each other, or NULL. */
static const char *find_fault(const gml_train_options *o)
{
    const gml_train_form *form = &o->form;
    const gml_trainer_options *t = &form->trainer;
    bool is_entropy = strcmp(form->loss, "cross-entropy") == 0;
    if (form->output != NULL && !is_entropy && strcmp(form->loss, "mse") != 0)
        return "--output goes with the losses cross-entropy and mse";
    if (form->smoothing != 0 && !is_entropy)
        return "--label-smoothing goes with the loss cross-entropy";
    if (t->nesterov && (t->kind != GML_TRAINER_SGD || !(t->momentum > 0)))
        return "--nesterov goes with sgd and a --momentum";
    if (!isnan(t->momentum) && t->kind == GML_TRAINER_ADAMW)
        return "--momentum goes with sgd and lars";
    if (o->external_data && o->form_path == NULL)
        return "--external-data goes with --form";
    return NULL;
}

gml_status gml_train_options_finish(gml_train_options *options, int64_t steps, gml_diags *diags)
{
    static const double rates[] = {0.001, 0.01, 0.1};
    gml_train_form *form = &options->form;
    gml_trainer_options *t = &form->trainer;
    if (form->loss == NULL && options->first == NULL)
        return GML_OK;
    if (form->loss == NULL)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "--%s goes with --loss",
                        options->first);
    const char *fault = find_fault(options);
    if (fault != NULL)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "%s", fault);
    t->lr = or_else(t->lr, rates[t->kind]);
    t->decay = or_else(t->decay, t->kind == GML_TRAINER_ADAMW ? 0.01 : 0);
    t->momentum = or_else(t->momentum, t->kind == GML_TRAINER_LARS ? 0.9 : 0);
    t->total = or_else(t->total, ceil((double)steps / (double)t->accumulate));
    form->freeze = options->freeze.items;
    form->n_freeze = options->freeze.count;
    form->only = options->only.items;
    form->n_only = options->only.count;
    return GML_OK;
}

/* ---- the plan ---------------------------------------------------------------------------- */

typedef struct tally {
    size_t n_trained, n_kept;
    uint64_t trained, kept; /* elements */
} tally;

static tally count_weights(const gml_train_report *report)
{
    tally sum = {0};
    for (size_t i = 0; i < report->n_weights; i++) {
        const gml_train_weight *w = &report->weights[i];
        bool is_trained = w->fate == GML_TRAINED;
        sum.n_trained += is_trained;
        sum.n_kept += !is_trained;
        sum.trained += is_trained ? w->n_elements : 0;
        sum.kept += is_trained ? 0 : w->n_elements;
    }
    return sum;
}

static void print_text(const gml_train_options *options, const gml_train_report *report)
{
    tally sum = count_weights(report);
    if (report->softmax != NULL)
        printf("the logits are what the softmax %s is given\n", report->softmax);
    for (size_t i = 0; options->list && i < report->n_weights; i++) {
        const gml_train_weight *w = &report->weights[i];
        printf("  %s, %" PRIu64 ": %s\n", w->name, w->n_elements, gml_train_fate_text(w->fate));
    }
    printf("%zu weights with %" PRIu64 " parameters are trained; %zu with %" PRIu64 " stay\n",
           sum.n_trained, sum.trained, sum.n_kept, sum.kept);
}

static gml_status print_json(const gml_train_options *options, const gml_train_report *report,
                             gml_diags *diags)
{
    tally sum = count_weights(report);
    json_t *object = json_object();
    (void)json_object_set_new(object, "trained", json_integer((json_int_t)sum.n_trained));
    (void)json_object_set_new(object, "parameters", json_integer((json_int_t)sum.trained));
    (void)json_object_set_new(object, "kept", json_integer((json_int_t)sum.n_kept));
    (void)json_object_set_new(object, "softmax", gml_json_text(report->softmax));
    json_t *list = json_array();
    for (size_t i = 0; options->list && i < report->n_weights; i++) {
        const gml_train_weight *w = &report->weights[i];
        json_t *item = json_object();
        (void)json_object_set_new(item, "name", gml_json_text(w->name));
        (void)json_object_set_new(item, "elements", json_integer((json_int_t)w->n_elements));
        (void)json_object_set_new(item, "fate", gml_json_text(gml_train_fate_text(w->fate)));
        (void)json_array_append_new(list, item);
    }
    (void)json_object_set_new(object, "weights", options->list ? list : json_null());
    if (!options->list)
        json_decref(list);
    bool ok = json_dumpf(object, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(object);
    return ok ? GML_OK
              : gml_fail(diags, GML_E_IO, (gml_loc){0}, "cannot write to standard output");
}

static gml_status make_plan(const gml_train_options *options, gml_module *module,
                            gml_train_report *report, gml_diags *diags)
{
    return options->form_path != NULL
               ? gml_train_form_write(&options->form, module, options->form_path,
                                      options->external_data, report, diags)
               : gml_train_form_apply(&options->form, module, report, diags);
}

gml_status gml_train_plan(const gml_train_options *options, const char *path,
                          const gml_given *given, bool json, gml_diags *diags)
{
    gml_source source;
    gml_module *module = NULL;
    gml_train_report report = {NULL};
    gml_onnx_options load = {
        .entry = GML_ONNX_FIXED, .dims = given->dims.items, .n_dims = given->dims.count};
    GML_TRY(gml_source_open(&source, path, &load, NULL, diags));
    gml_status status = gml_source_import(&source, true, &module, diags);
    if (status == GML_OK)
        status = make_plan(options, module, &report, diags);
    if (status == GML_OK && json)
        status = print_json(options, &report, diags);
    else if (status == GML_OK)
        print_text(options, &report);
    gml_module_destroy(module);
    gml_source_close(&source);
    return status;
}
