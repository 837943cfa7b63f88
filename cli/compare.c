/* cli/compare.c - gemel compare: two devices, settings or files, value by value. */
#define _POSIX_C_SOURCE 200809L

#include "cli/compare.h"

#include "api/state_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const gml_cli_option options[] = {
    {"against", "WHAT",
     "ref (default) or cpu; another model; or a folder with output_0.npy, …"},
    {"device", "NAME", "of MODEL: " GML_DEVICE_NAMES},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"off", "PASS", "leave out an optional pass for MODEL"},
    {"step", NULL, "the training step, not the graph: all results, and what states become"},
    {"load", "FILE.safetensors", "of a step: begin with these states, not the model's own"},
    {"passes", NULL, "leave out each optional pass in turn, against all of them"},
    {"pass-by-pass", NULL, "add the optional passes one by one, until a value deviates"},
    {"list-passes", NULL, "name the passes and say which are optional"},
    {"all", NULL, "show every value, not only those that deviate"},
    {"rtol", "X", "tolerance relative to the element (1e-3)"},
    {"atol", "X", "tolerance relative to the largest element of the tensor (1e-5)"},
    GML_GIVEN_OPTIONS,
    {"threads", "N", "threads of the cpu device (1)"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel compare MODEL [options]",
    "Runs a model in two ways on the same inputs and compares what comes out: every value "
    "that\n"
    "both ways store, in the order of the graph, so that the first that deviates names the\n"
    "node at fault. Of compiled models and folders the outputs are compared. The exit status\n"
    "is 1 when a value deviates. Of a training step what becomes of each state is an output\n"
    "too; an optimizer divides gradients by their size, also those that are nothing but\n"
    "rounding, so export a step in f64 to compare it from its first state.\n" GML_GIVEN_HELP,
};

/* ---- options ------------------------------------------------------------------------------
 */

static bool handle_flag(gml_compare_request *r, const char *name)
{
    if (strcmp(name, "passes") == 0)
        return r->passes = true;
    if (strcmp(name, "pass-by-pass") == 0)
        return r->pass_by_pass = true;
    if (strcmp(name, "step") == 0)
        return r->step = true;
    if (strcmp(name, "list-passes") == 0)
        return r->list_passes = true;
    if (strcmp(name, "all") == 0)
        return r->all = true;
    return r->json = true;
}

static bool handle_number(gml_compare_request *r, const char *name, const char *value)
{
    double *tolerance = name[0] == 'r' ? &r->tolerance.rtol : &r->tolerance.atol;
    int64_t n = 0;
    if (strcmp(name, "threads") != 0)
        return gml_cli_double(value, tolerance) && *tolerance >= 0;
    bool ok = gml_cli_int(value, &n) && n >= 1 && n <= 256;
    r->execute.n_threads = (int)n;
    return ok;
}

static bool handle(void *context, const char *name, const char *value)
{
    gml_compare_request *r = context;
    bool ok = false;
    if (gml_given_handle(&r->given, name, value, &ok))
        return ok;
    if (!value)
        return handle_flag(r, name);
    if (strcmp(name, "against") == 0) {
        r->against = value;
        return *value != '\0';
    }
    if (strcmp(name, "load") == 0) {
        r->load = value;
        return *value != '\0';
    }
    if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &r->execute.device, &r->execute.device_number);
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &r->execute.precision);
    if (strcmp(name, "off") == 0) {
        r->off[r->n_off++] = value;
        return r->n_off < GML_CLI_PASSES && gml_cli_pass(value);
    }
    return handle_number(r, name, value);
}

/* ---- runs ---------------------------------------------------------------------------------
 */

static gml_status open_model(gml_compare_request *r, const char *path, gml_model **out_model)
{
    gml_open_options open = {.entry = r->step ? GML_ONNX_STEP : GML_ONNX_FIXED,
                             .n_threads = r->execute.n_threads,
                             .dims = r->given.dims.items,
                             .n_dims = r->given.dims.count};
    return gml_model_open(path, &open, out_model, &r->diags);
}

/* What --against says; `*out_model` is to be released, unless it stays NULL. */
static gml_status open_expected(gml_compare_request *r, gml_model *model,
                                gml_compare_side *side, gml_model **out_model)
{
    struct stat info;
    *side = (gml_compare_side){.model = model, .states = r->states, .execute = r->execute};
    if (gml_device_parse(r->against, &side->execute.device, &side->execute.device_number)) {
        side->execute.precision = GML_PRECISION_HIGHEST;
        return GML_OK;
    }
    if (stat(r->against, &info) == 0 && S_ISDIR(info.st_mode)) {
        side->folder = r->against;
        return GML_OK;
    }
    GML_TRY(open_model(r, r->against, out_model));
    side->model = *out_model;
    return GML_OK;
}

static gml_status compare_once(gml_compare_request *r, const char *path,
                               const gml_compare_side *actual, const gml_compare_side *expected,
                               const gml_rvalue *inputs, int *out_exit)
{
    gml_comparison comparison;
    gml_compare_task task = {actual, expected, inputs, r->tolerance};
    GML_TRY(gml_compare(&task, &r->arena, &comparison, &r->diags));
    *out_exit = comparison.first ? 1 : 0;
    if (r->json) {
        json_t *json = gml_compare_json(&comparison, r->all);
        *out_exit = gml_json_print(json) ? 5 : *out_exit;
        return GML_OK;
    }
    gml_compare_print(r, gml_arena_printf(&r->arena, "%s against %s", path, r->against),
                      &comparison);
    return GML_OK;
}

static gml_status run(gml_compare_request *r, const char *path, gml_model *model, int *out_exit)
{
    gml_inputs inputs;
    gml_model *other = NULL;
    gml_compare_side expected = {.model = model, .states = r->states, .execute = r->execute};
    gml_compare_side actual = expected;
    actual.execute.off = r->off;
    gml_inputs_init(&inputs, model, &r->arena);
    gml_status status = gml_given_read(&r->given, &inputs, &r->diags);
    if (status == GML_OK && !r->passes)
        status = open_expected(r, model, &expected, &other);
    if (status == GML_OK && r->passes)
        status = gml_compare_passes(r, &expected, inputs.values, out_exit);
    else if (status == GML_OK && r->pass_by_pass)
        status = gml_compare_pass_by_pass(r, &actual, &expected, inputs.values, out_exit);
    else if (status == GML_OK)
        status = compare_once(r, path, &actual, &expected, inputs.values, out_exit);
    gml_model_release(other);
    gml_inputs_reset(&inputs);
    return status;
}

/* The states of --load, with names and types as the model has them. */
static gml_status load_states(gml_compare_request *r, const gml_model *model)
{
    const gml_module *module = gml_model_module(model);
    GML_TRY(gml_states_create(gml_state_ports(module, &r->arena), module->states.count, NULL,
                              module->file, &r->states, &r->diags));
    return gml_states_load(r->load, r->states, &r->diags);
}

static int run_request(gml_compare_request *r, const char *path)
{
    gml_model *model = NULL;
    int exit_status = 0;
    r->execute.optimise = true;
    gml_status status = gml_precision_check(r->execute.device, r->execute.precision, &r->diags);
    if (status == GML_OK)
        status = open_model(r, path, &model);
    if (status == GML_OK && (r->passes || r->pass_by_pass) &&
        gml_model_source(model)->artifact.program)
        status = gml_fail(&r->diags, GML_E_USAGE, (gml_loc){.file = path},
                          "a compiled model has no passes to leave out");
    if (status == GML_OK && r->step && gml_model_module(model)->trainings.count == 0)
        status = gml_fail(&r->diags, GML_E_USAGE, (gml_loc){.file = path},
                          "has no training algorithm");
    if (status == GML_OK && r->load)
        status = load_states(r, model);
    if (status == GML_OK)
        status = run(r, path, model, &exit_status);
    if (r->states)
        gml_states_release(r->states);
    gml_model_release(model);
    if (status == GML_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = gml_fail(&r->diags, GML_E_IO, (gml_loc){0}, "cannot write to standard output");
    return status == GML_OK ? exit_status : gml_cli_fail(&r->diags, status);
}

/* What the options ask for makes sense; else one line that says why not. */
static bool check_request(const gml_compare_request *r, int n_operands)
{
    const char *fault = NULL;
    bool ref = r->execute.device == GML_DEVICE_REF;
    bool other = r->execute.device != GML_DEVICE_CPU;
    if (n_operands != 1)
        fault = "compare needs one MODEL";
    else if (r->passes && (r->n_off || other || r->against))
        fault = "--passes runs the device cpu with and without each pass: --off, --device and "
                "--against have no place there";
    else if (r->pass_by_pass && (r->passes || r->n_off || other))
        fault =
            "--pass-by-pass runs the device cpu: --passes, --off and --device have no place "
            "there";
    else if (r->load && !r->step)
        fault = "--load is for a training --step: nothing else has states";
    else if (r->n_off && ref)
        fault = "--off is for devices that compile: ref runs no passes";
    if (fault)
        fprintf(stderr, "gemel: %s; --help says more\n", fault);
    return !fault;
}

int gml_verb_compare(int argc, char **argv)
{
    gml_compare_request r = {.tolerance = {1e-3, 1e-5}};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    r.given.arena = &r.arena;
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n >= 0 && r.list_passes) {
        status = gml_compare_list_passes(r.json);
    } else if (n >= 0 && check_request(&r, n)) {
        r.against = r.against ? r.against : "ref";
        status = run_request(&r, argv[1]);
    }
    gml_arena_reset(&r.arena);
    return status;
}
