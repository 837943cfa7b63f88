/* cli/train.c - gemel train: steps of a training graph. */
#include "api/state_file.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/train_data.h"
#include "cli/train_form.h"
#include "cli/train_report.h"

#include <stdio.h>
#include <string.h>

#define GML_AS_TOLD (-1)
#define GML_DEFAULT (-2)

/* A training of the model: mostly there is one. */
typedef struct part {
    size_t number;
    gml_model *model;
    gml_session *session; /* all sessions share the states */
    gml_inputs *batches;
    gml_rvalue *outputs;
    gml_scalar *numbers; /* room for one for each output */
} part;

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_open_options open;
    gml_given given;
    gml_train_options train;
    gml_data_options data;
    gml_vec(const char *) batches; /* .npz files, taken in turn */
    gml_vec(part) parts;           /* their steps are taken in turn, too */
    int64_t steps; /* GML_AS_TOLD: one a line of standard input; GML_DEFAULT: not given */
    gml_str memory_report; /* of programs, as they are compiled */
    const char *save;
    const char *load;
    bool json;
} request;

static const gml_cli_option options[] = {
    {"steps", "N",
     "how many (1, or of --data as the model says); -: one for each line of stdin", 'n'},
    {"batch", "FILE.npz", "inputs of a step; of several, the next step has the next", 'b'},
    GML_GIVEN_OPTIONS,
    GML_DATA_OPTIONS,
    GML_TRAIN_OPTIONS,
    {"save", "FILE.safetensors", "write all states after the last step", 'o'},
    {"load", "FILE.safetensors", "begin with these states"},
    {"device", "NAME", GML_DEVICE_NAMES},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"threads", "N", "threads of the cpu device (one a processor)"},
    {"memory", "SIZE", "of values alive at once (600M): what does not fit is computed again"},
    {"json", NULL, "one JSON object a step"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel train GRAPH [options]",
    "Runs the training steps of an ONNX model with training information; with --loss, of any\n"
    "ONNX model, whose file stays as it is (docs/training.md). " GML_GIVEN_HELP "\n"
    "Each step is a line: the results that are single numbers, and its time. What the model "
    "does\n"
    "to its states before training is done first, unless they are loaded; of several trainings "
    "in\n"
    "a file each has its step in turn. What was compiled (OUT.so) trains as its model does.",
};

/* ---- options ------------------------------------------------------------------------------
 */

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    int64_t n = 0;
    bool ok = false;
    if (gml_given_handle(&r->given, name, value, &ok) ||
        gml_data_options_handle(&r->data, name, value, &ok) ||
        gml_train_options_handle(&r->train, name, value, &ok))
        return ok;
    if (strcmp(name, "steps") == 0 && strcmp(value, "-") == 0) {
        r->steps = GML_AS_TOLD;
        return true;
    }
    if (strcmp(name, "steps") == 0)
        return gml_cli_int(value, &r->steps) && r->steps >= 0;
    if (strcmp(name, "batch") == 0)
        gml_push(&r->arena, &r->batches, value);
    else if (strcmp(name, "save") == 0)
        r->save = value;
    else if (strcmp(name, "load") == 0)
        r->load = value;
    else if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &r->open.device, &r->open.device_number);
    else if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &r->open.precision);
    else if (strcmp(name, "memory") == 0)
        return gml_cli_size(value, &r->open.memory);
    else if (strcmp(name, "json") == 0)
        return r->json = true;
    else {
        ok = gml_cli_int(value, &n) && n >= 1 && n <= 256;
        r->open.n_threads = (int)n;
        return ok;
    }
    return *value != '\0';
}

/* ---- one step -----------------------------------------------------------------------------
 */

static void report(const request *r, const part *p, int64_t step, double seconds)
{
    gml_train_line line = {.step = step,
                           .training = r->parts.count > 1 ? (int64_t)p->number : -1,
                           .epoch = -1,
                           .numbers = p->numbers,
                           .ms = seconds * 1e3};
    line.n_numbers = gml_train_numbers(p->model, p->outputs, p->numbers);
    gml_train_print(&line, r->json);
}

/* Is there another step to do? */
static bool goes_on(const request *r, int64_t done)
{
    if (r->steps != GML_AS_TOLD)
        return done < r->steps;
    int c = getchar();
    while (c != '\n' && c != EOF)
        c = getchar();
    return c != EOF;
}

static gml_status run_step(request *r, const part *p, int64_t step)
{
    size_t n_batches = r->batches.count ? r->batches.count : 1;
    double begin = gml_train_clock();
    GML_TRY(gml_session_execute(p->session, p->batches[(size_t)step % n_batches].values,
                                p->outputs, &r->diags));
    gml_train_tell(&r->memory_report);
    report(r, p, step + 1, gml_train_clock() - begin);
    return GML_OK;
}

/* Each training's step in turn. */
static gml_status run_steps(request *r)
{
    for (int64_t step = 0; goes_on(r, step); step++) {
        for (size_t i = 0; i < r->parts.count; i++)
            GML_TRY(run_step(r, &r->parts.items[i], step));
        if (fflush(stdout) != 0 || ferror(stdout))
            return gml_fail(&r->diags, GML_E_IO, (gml_loc){0},
                            "cannot write to standard output");
    }
    return GML_OK;
}

/* ---- before the first step ----------------------------------------------------------------
 */

static gml_status run_once(request *r, gml_model *model, gml_states *states)
{
    gml_session *session = NULL;
    gml_rvalue no_inputs = {0};
    size_t n = gml_model_n_outputs(model);
    gml_rvalue *outputs = gml_new_array(&r->arena, gml_rvalue, n + 1);
    GML_TRY(gml_session_open(model, states, &session, &r->diags));
    gml_status status = gml_session_execute(session, &no_inputs, outputs, &r->diags);
    for (size_t i = 0; i < n; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_session_destroy(session);
    return status;
}

/* What the model itself does to its states before training begins. */
static gml_status initialise(request *r, const char *path, const gml_module *module,
                             gml_states *states)
{
    for (size_t i = 0; i < module->trainings.count; i++) {
        gml_model *model = NULL;
        gml_open_options open = r->open;
        if (!module->trainings.items[i].has_initialisation)
            continue;
        open.entry = GML_ONNX_INITIALISE;
        open.training = i;
        open.seed = r->given.seed;
        open.n_dims = 0;
        GML_TRY(gml_model_open(path, &open, &model, &r->diags));
        gml_status status = run_once(r, model, states);
        gml_model_release(model);
        GML_TRY(status);
    }
    return GML_OK;
}

/* ---- the whole ----------------------------------------------------------------------------
 */

static gml_status read_batches(request *r, part *p)
{
    size_t n = r->batches.count ? r->batches.count : 1;
    p->batches = gml_new_array(&r->arena, gml_inputs, n);
    for (size_t i = 0; i < n; i++)
        gml_inputs_init(&p->batches[i], p->model, &r->arena);
    for (size_t i = 0; i < n; i++) {
        if (r->batches.count)
            GML_TRY(gml_inputs_read_npz(&p->batches[i], r->batches.items[i], &r->diags));
        GML_TRY(gml_given_read(&r->given, &p->batches[i], &r->diags));
    }
    return GML_OK;
}

static gml_status open_part(request *r, const char *path, size_t number, part *p)
{
    gml_open_options open = r->open;
    open.training = number;
    p->number = number;
    GML_TRY(gml_model_open(path, &open, &p->model, &r->diags));
    size_t n = gml_model_n_outputs(p->model);
    p->outputs = gml_new_array(&r->arena, gml_rvalue, n + 1);
    p->numbers = gml_new_array(&r->arena, gml_scalar, n + 1);
    return r->data.folder ? GML_OK : read_batches(r, p);
}

static gml_status add_part(request *r, const char *path, size_t number)
{
    gml_push(&r->arena, &r->parts, (part){0});
    return open_part(r, path, number, &r->parts.items[r->parts.count - 1]);
}

/* The first training is there, or opening it says so; others may lack an algorithm. */
static gml_status open_parts(request *r, const char *path)
{
    GML_TRY(add_part(r, path, 0));
    const gml_module *module = gml_model_module(r->parts.items[0].model);
    size_t n = r->open.form ? 1 : module->trainings.count;
    for (size_t i = 1; i < n; i++)
        if (module->trainings.items[i].has_step)
            GML_TRY(add_part(r, path, i));
    gml_states *states = NULL;
    for (size_t i = 0; i < r->parts.count; i++) {
        part *p = &r->parts.items[i];
        GML_TRY(gml_session_open(p->model, states, &p->session, &r->diags));
        states = gml_session_states(p->session);
        if (!states)
            return gml_fail(&r->diags, GML_E_USAGE,
                            (gml_loc){.file = gml_model_source(p->model)->path},
                            "its training changes nothing: there is no update binding");
    }
    return GML_OK;
}

static void close_parts(request *r)
{
    size_t n_batches = r->batches.count ? r->batches.count : 1;
    for (size_t k = 0; k < r->parts.count; k++) {
        part *p = &r->parts.items[k];
        for (size_t i = 0; p->outputs && i < gml_model_n_outputs(p->model); i++)
            gml_rvalue_reset(&p->outputs[i]);
        for (size_t i = 0; p->batches && i < n_batches; i++)
            gml_inputs_reset(&p->batches[i]);
        gml_session_destroy(p->session);
        gml_model_release(p->model);
    }
}

static gml_status set_first_states(request *r, const char *path, gml_states *states)
{
    if (r->load)
        return gml_states_load(r->load, states, &r->diags);
    if (r->open.form)
        return GML_OK;
    return initialise(r, path, gml_model_module(r->parts.items[0].model), states);
}

static gml_status train(request *r, const char *path)
{
    gml_data_run *run = NULL;
    GML_TRY(open_parts(r, path));
    gml_session *session = r->parts.items[0].session;
    gml_states *states = gml_session_states(session);
    if (r->data.folder)
        GML_TRY(gml_data_run_open(&r->data, session, &run, &r->diags));
    gml_status status = GML_OK;
    if (!run || !gml_data_run_resumes(run))
        status = set_first_states(r, path, states);
    if (status == GML_OK)
        status = run ? gml_data_run_steps(run, &r->diags) : run_steps(r);
    gml_data_run_close(run);
    GML_TRY(status);
    return r->save ? gml_states_save(gml_session_model(session), states, r->save, &r->diags)
                   : GML_OK;
}

/* Options that exclude each other, and those that depend on others. */
static gml_status settle(request *r)
{
    gml_data_options *data = &r->data;
    gml_loc nowhere = {0};
    if (!data->folder && data->first)
        return gml_fail(&r->diags, GML_E_USAGE, nowhere, "--%s goes with --data", data->first);
    if (data->folder && r->steps == GML_AS_TOLD)
        return gml_fail(&r->diags, GML_E_USAGE, nowhere, "--data needs a number of steps");
    if (data->folder && (r->batches.count || r->given.inputs.count))
        return gml_fail(&r->diags, GML_E_USAGE, nowhere,
                        "inputs are files or pictures (--data), not both");
    if (data->folder && r->train.form.loss && r->steps == GML_DEFAULT)
        return gml_fail(&r->diags, GML_E_USAGE, nowhere, "--data with --loss needs --steps");
    data->steps = r->steps == GML_DEFAULT ? 0 : r->steps;
    data->json = r->json;
    data->pictures.seed = r->given.seed;
    if (r->steps == GML_DEFAULT)
        r->steps = 1;
    return gml_train_options_finish(&r->train, r->steps, &r->diags);
}

static int run_request(request *r, const char *path)
{
    bool is_plain = r->train.form.loss != NULL;
    r->open.entry = is_plain ? GML_ONNX_FIXED : GML_ONNX_STEP;
    r->open.form = is_plain ? &r->train.form : NULL;
    r->open.dims = r->given.dims.items;
    r->open.n_dims = r->given.dims.count;
    gml_status status = settle(r);
    if (status == GML_OK && is_plain)
        status = gml_train_plan(&r->train, path, &r->given, r->json, &r->diags);
    if (status == GML_OK)
        status = train(r, path);
    if (status == GML_E_USAGE && !is_plain && r->parts.count == 1 && !r->parts.items[0].model)
        gml_note(&r->diags, "--loss makes a training algorithm for a plain model");
    close_parts(r);
    if (status == GML_OK)
        gml_cli_end_as_wanted();
    return status == GML_OK ? 0 : gml_cli_fail(&r->diags, status);
}

int gml_verb_train(int argc, char **argv)
{
    request r = {.steps = GML_DEFAULT};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    r.given.arena = &r.arena;
    gml_train_options_init(&r.train, &r.arena);
    gml_data_options_init(&r.data);
    gml_str_init(&r.memory_report);
    r.open.memory_report = &r.memory_report;
    r.data.memory_report = &r.memory_report;
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n == 1)
        status = run_request(&r, argv[1]);
    else if (n >= 0)
        fputs("gemel: train needs one GRAPH; --help says more\n", stderr);
    gml_str_reset(&r.memory_report);
    gml_arena_reset(&r.arena);
    return status;
}
