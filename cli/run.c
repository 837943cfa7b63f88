/* cli/run.c - gemel run: one inference. */
#include "api/output.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/json.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#define GML_JSON_ELEMENTS 10000 /* larger results are described, not listed */

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_open_options open;
    gml_given given;
    const char *output_dir;
    bool json;
} request;

static const gml_cli_option options[] = {
    {"output-dir", "DIR", "write output_0.npy, … there instead of showing them", 'o'},
    GML_GIVEN_OPTIONS,
    {"device", "NAME", GML_DEVICE_NAMES},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"threads", "N", "threads of the cpu device (one a processor)"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel run MODEL [options]",
    "Runs a model once. " GML_GIVEN_HELP "\n"
    "Files of outputs are numbered in the model's order, and appear all together or not at "
    "all.",
};

/* ---- options ------------------------------------------------------------------------------
 */

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    int64_t n = 0;
    bool ok = false;
    if (gml_given_handle(&r->given, name, value, &ok))
        return ok;
    if (strcmp(name, "output-dir") == 0) {
        r->output_dir = value;
        return *value != '\0';
    }
    if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &r->open.device, &r->open.device_number);
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &r->open.precision);
    if (strcmp(name, "json") == 0)
        return r->json = true;
    ok = gml_cli_int(value, &n) && n >= 1 && n <= 256;
    r->open.n_threads = (int)n;
    return ok;
}

/* ---- outputs -------------------------------------------------------------------
 */

static json_t *json_path(const gml_output_folder *folder, size_t i)
{
    gml_str path;
    gml_str_init(&path);
    gml_str_printf(&path, "%s/%s", folder->path, folder->files[i]);
    json_t *json = gml_json_text(path.text);
    gml_str_reset(&path);
    return json;
}

static void report_json(const gml_port *ports, const gml_rvalue *outputs, size_t n,
                        const gml_output_folder *folder)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *item = gml_show_json(&outputs[i], folder->hidden ? -1 : GML_JSON_ELEMENTS);
        json_t *object = json_object();
        json_object_set_new(object, "name", gml_json_text(ports[i].name));
        if (folder->hidden)
            json_object_set_new(object, "file", json_path(folder, i));
        json_object_set_new(object, "value", item);
        json_array_append_new(list, object);
    }
    json_t *root = json_pack("{s:o}", "outputs", list);
    json_dumpf(root, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(root);
}

static gml_status report(request *r, const gml_port *ports, const gml_rvalue *outputs, size_t n,
                         gml_output_folder *folder)
{
    if (folder->hidden) {
        const char **names = gml_new_array(&r->arena, const char *, n + 1);
        for (size_t i = 0; i < n; i++)
            names[i] = ports[i].name;
        GML_TRY(gml_output_write(folder, outputs, names, n, &r->diags));
    }
    if (r->json)
        report_json(ports, outputs, n, folder);
    for (size_t i = 0; i < n && !r->json; i++) {
        if (folder->hidden)
            printf("%s: %s/%s\n", ports[i].name, folder->path, folder->files[i]);
        else
            gml_show_value(ports[i].name, &outputs[i]);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return gml_fail(&r->diags, GML_E_IO, (gml_loc){0}, "cannot write to standard output");
    return GML_OK;
}

/* ---- the run ------------------------------------------------------------------------------
 */

static gml_status execute(request *r, gml_model *model, const gml_inputs *inputs,
                          gml_output_folder *folder)
{
    size_t n = gml_model_n_outputs(model);
    gml_rvalue *outputs = gml_new_array(&r->arena, gml_rvalue, n + 1);
    gml_session *session = NULL;
    GML_TRY(gml_session_open(model, NULL, &session, &r->diags));
    gml_status status = gml_session_execute(session, inputs->values, outputs, &r->diags);
    if (status == GML_OK)
        status = report(r, gml_model_outputs(model), outputs, n, folder);
    for (size_t i = 0; i < n; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_session_destroy(session);
    return status;
}

static gml_status run(request *r, gml_model *model)
{
    gml_inputs inputs;
    gml_output_folder folder = {0};
    gml_inputs_init(&inputs, model, &r->arena);
    gml_status status = gml_given_read(&r->given, &inputs, &r->diags);
    if (status == GML_OK && r->output_dir)
        status = gml_output_open(&folder, r->output_dir, &r->diags);
    if (status == GML_OK)
        status = execute(r, model, &inputs, &folder);
    if (folder.hidden)
        gml_output_close(&folder);
    gml_inputs_reset(&inputs);
    return status;
}

static int run_request(request *r, const char *path)
{
    gml_model *model = NULL;
    r->open.dims = r->given.dims.items;
    r->open.n_dims = r->given.dims.count;
    r->open.fast_compile = true; /* it runs once */
    gml_status status = gml_model_open(path, &r->open, &model, &r->diags);
    if (status == GML_OK)
        status = run(r, model);
    gml_model_release(model);
    return status == GML_OK ? 0 : gml_cli_fail(&r->diags, status);
}

int gml_verb_run(int argc, char **argv)
{
    request r = {0};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    r.given.arena = &r.arena;
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n == 1)
        status = run_request(&r, argv[1]);
    else if (n >= 0)
        fputs("gemel: run needs one MODEL; --help says more\n", stderr);
    gml_arena_reset(&r.arena);
    return status;
}
