/* cli/compare.c - gemel compare: two devices, settings or files, value by value. */
#define _POSIX_C_SOURCE 200809L

#include "api/compare.h"

#include "api/pipeline.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_given given;
    gml_execute_options execute;
    const char *against;
    const char *off[GML_CLI_PASSES + 1];
    size_t n_off;
    gml_tolerance tolerance;
    bool passes, list_passes, all, json;
} request;

static const gml_cli_option options[] = {
    {"against", "WHAT",
     "ref (default) or cpu; another model; or a folder with output_0.npy, …"},
    {"device", "NAME", "of MODEL: cpu (default) or ref, the interpreter"},
    {"off", "PASS", "leave out an optional pass for MODEL"},
    {"passes", NULL, "leave out each optional pass in turn, against all of them"},
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
    "both ways store, in the order of the graph, so that the first that deviates names the "
    "node "
    "at\n"
    "fault. Of compiled models and folders the outputs are compared. The exit status is 1 "
    "when\n"
    "a value deviates. " GML_GIVEN_HELP,
};

/* ---- options ------------------------------------------------------------------------------
 */

static bool handle_flag(request *r, const char *name)
{
    if (strcmp(name, "passes") == 0)
        return r->passes = true;
    if (strcmp(name, "list-passes") == 0)
        return r->list_passes = true;
    if (strcmp(name, "all") == 0)
        return r->all = true;
    return r->json = true;
}

static bool handle_number(request *r, const char *name, const char *value)
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
    request *r = context;
    bool ok = false;
    if (gml_given_handle(&r->given, name, value, &ok))
        return ok;
    if (!value)
        return handle_flag(r, name);
    if (strcmp(name, "against") == 0) {
        r->against = value;
        return *value != '\0';
    }
    if (strcmp(name, "device") == 0)
        return gml_device_find(value, &r->execute.device);
    if (strcmp(name, "off") == 0) {
        r->off[r->n_off++] = value;
        return r->n_off < GML_CLI_PASSES && gml_cli_pass(value);
    }
    return handle_number(r, name, value);
}

/* ---- reports ------------------------------------------------------------------------------
 */

static const char *node_text(request *r, const gml_compare_row *row)
{
    const char *node = *row->node ? gml_arena_printf(&r->arena, " of %s", row->node) : "";
    const char *kernel =
        *row->kernel ? gml_arena_printf(&r->arena, " (kernel %s)", row->kernel) : "";
    return gml_arena_printf(&r->arena, "'%s'%s%s", row->value, node, kernel);
}

static void print_rows(request *r, const gml_comparison *comparison)
{
    for (size_t i = 0; i < comparison->rows.count; i++) {
        const gml_compare_row *row = &comparison->rows.items[i];
        if (row->why)
            printf("deviates  %s: %s\n", node_text(r, row), row->why);
        else if (r->all)
            printf("%.2e  %s\n", row->share, node_text(r, row));
    }
}

/* One line: how many, and which is the first or the worst. */
static void print_sum(request *r, const char *what, const gml_comparison *comparison)
{
    size_t n = comparison->rows.count;
    const char *s = n == 1 ? "" : "s";
    if (comparison->first)
        printf("%s: %zu of %zu value%s deviate, first %s\n", what, comparison->n_deviating, n,
               s, node_text(r, comparison->first));
    else if (comparison->worst && comparison->worst->share > 0)
        printf("%s: %zu value%s agree; the largest deviation is %.1e of its tensor's largest "
               "element, in %s\n",
               what, n, s, comparison->worst->share, node_text(r, comparison->worst));
    else
        printf("%s: %zu value%s compared, no deviation\n", what, n, s);
}

static json_t *json_row(const gml_compare_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "value", gml_json_text(row->value),
                     "node", gml_json_text(row->node), "kernel", gml_json_text(row->kernel),
                     "why", gml_json_text(row->why), "deviation", gml_json_real(row->deviation),
                     "share", gml_json_real(row->share), "output", row->is_output);
}

static json_t *json_comparison(const request *r, const gml_comparison *comparison)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < comparison->rows.count; i++)
        if (r->all || comparison->rows.items[i].why)
            json_array_append_new(rows, json_row(&comparison->rows.items[i]));
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o}", "compared", (json_int_t)comparison->rows.count,
        "deviating", (json_int_t)comparison->n_deviating, "first",
        comparison->first ? json_row(comparison->first) : json_null(), "worst",
        comparison->worst ? json_row(comparison->worst) : json_null(), "values", rows);
}

static int list_passes(bool json)
{
    size_t n = 0;
    const gml_pass *table = gml_pass_table(&n);
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        bool optional = table[i].need == GML_PASS_OPTIONAL;
        if (!json)
            printf("%-8s %s  %s\n", table[i].name, optional ? "optional" : "required",
                   table[i].doc);
        json_array_append_new(rows, json_pack("{s:s, s:b, s:s}", "name", table[i].name,
                                              "optional", optional, "doc", table[i].doc));
    }
    if (json)
        return gml_json_print(rows);
    json_decref(rows);
    return 0;
}

/* ---- runs ---------------------------------------------------------------------------------
 */

static gml_status open_model(request *r, const char *path, gml_model **out_model)
{
    gml_open_options open = {.n_threads = r->execute.n_threads,
                             .dims = r->given.dims.items,
                             .n_dims = r->given.dims.count};
    return gml_model_open(path, &open, out_model, &r->diags);
}

/* What --against says; `*out_model` is to be released, unless it stays NULL. */
static gml_status open_expected(request *r, gml_model *model, gml_compare_side *side,
                                gml_model **out_model)
{
    struct stat info;
    *side = (gml_compare_side){.model = model, .execute = r->execute};
    if (gml_device_find(r->against, &side->execute.device))
        return GML_OK;
    if (stat(r->against, &info) == 0 && S_ISDIR(info.st_mode)) {
        side->folder = r->against;
        return GML_OK;
    }
    GML_TRY(open_model(r, r->against, out_model));
    side->model = *out_model;
    return GML_OK;
}

static gml_status compare_once(request *r, const char *path, const gml_compare_side *actual,
                               const gml_compare_side *expected, const gml_rvalue *inputs,
                               int *out_exit)
{
    gml_comparison comparison;
    gml_compare_task task = {actual, expected, inputs, r->tolerance};
    GML_TRY(gml_compare(&task, &r->arena, &comparison, &r->diags));
    *out_exit = comparison.first ? 1 : 0;
    if (r->json) {
        *out_exit = gml_json_print(json_comparison(r, &comparison)) ? 5 : *out_exit;
        return GML_OK;
    }
    print_rows(r, &comparison);
    print_sum(r, gml_arena_printf(&r->arena, "%s against %s", path, r->against), &comparison);
    return GML_OK;
}

static gml_status compare_passes(request *r, const gml_compare_side *expected,
                                 const gml_rvalue *inputs, int *out_exit)
{
    size_t n = 0;
    unsigned counts[2] = {0, 0};
    const gml_pass *table = gml_pass_table(&n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *off[] = {table[i].name, NULL};
        gml_compare_side actual = *expected;
        gml_comparison comparison;
        actual.execute.off = off;
        if (table[i].need != GML_PASS_OPTIONAL)
            continue;
        gml_compare_task task = {&actual, expected, inputs, r->tolerance};
        gml_status status = gml_compare(&task, &r->arena, &comparison, &r->diags);
        if (status != GML_OK) {
            gml_note(&r->diags, "without pass '%s'", table[i].name);
            json_decref(list);
            return status;
        }
        counts[comparison.first != NULL]++;
        json_t *entry = json_comparison(r, &comparison);
        json_object_set_new(entry, "off", gml_json_text(table[i].name));
        json_array_append_new(list, entry);
        if (r->json)
            continue;
        print_rows(r, &comparison);
        print_sum(r,
                  gml_arena_printf(&r->arena, "%s without %s",
                                   comparison.first ? "FAIL" : "PASS", table[i].name),
                  &comparison);
        fflush(stdout);
    }
    *out_exit = counts[1] ? 1 : 0;
    if (r->json) {
        *out_exit = gml_json_print(list) ? 5 : *out_exit;
        return GML_OK;
    }
    json_decref(list);
    printf("%u passed, %u failed, 0 skipped\n", counts[0], counts[1]);
    return GML_OK;
}

static gml_status run(request *r, const char *path, gml_model *model, int *out_exit)
{
    gml_inputs inputs;
    gml_model *other = NULL;
    gml_compare_side expected = {.model = model, .execute = r->execute};
    gml_compare_side actual = expected;
    actual.execute.off = r->off;
    gml_inputs_init(&inputs, model, &r->arena);
    gml_status status = gml_given_read(&r->given, &inputs, &r->diags);
    if (status == GML_OK && !r->passes)
        status = open_expected(r, model, &expected, &other);
    if (status == GML_OK && r->passes)
        status = compare_passes(r, &expected, inputs.values, out_exit);
    else if (status == GML_OK)
        status = compare_once(r, path, &actual, &expected, inputs.values, out_exit);
    gml_model_release(other);
    gml_inputs_reset(&inputs);
    return status;
}

static int run_request(request *r, const char *path)
{
    gml_model *model = NULL;
    int exit_status = 0;
    r->execute.optimise = true;
    gml_status status = open_model(r, path, &model);
    if (status == GML_OK && r->passes && gml_model_source(model)->artifact.program)
        status = gml_fail(&r->diags, GML_E_USAGE, (gml_loc){.file = path},
                          "a compiled model has no passes to leave out");
    if (status == GML_OK)
        status = run(r, path, model, &exit_status);
    gml_model_release(model);
    if (status == GML_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = gml_fail(&r->diags, GML_E_IO, (gml_loc){0}, "cannot write to standard output");
    return status == GML_OK ? exit_status : gml_cli_fail(&r->diags, status);
}

/* What the options ask for makes sense; else one line that says why not. */
static bool check_request(const request *r, int n_operands)
{
    const char *fault = NULL;
    bool ref = r->execute.device != GML_DEVICE_CPU;
    if (n_operands != 1)
        fault = "compare needs one MODEL";
    else if (r->passes && (r->n_off || ref || r->against))
        fault = "--passes runs the device cpu with and without each pass: --off, --device and "
                "--against have no place there";
    else if (r->n_off && ref)
        fault = "--off is for the device cpu: ref runs no passes";
    if (fault)
        fprintf(stderr, "gemel: %s; --help says more\n", fault);
    return !fault;
}

int gml_verb_compare(int argc, char **argv)
{
    request r = {.tolerance = {1e-3, 1e-5}};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    r.given.arena = &r.arena;
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n >= 0 && r.list_passes) {
        status = list_passes(r.json);
    } else if (n >= 0 && check_request(&r, n)) {
        r.against = r.against ? r.against : "ref";
        status = run_request(&r, argv[1]);
    }
    gml_arena_reset(&r.arena);
    return status;
}
