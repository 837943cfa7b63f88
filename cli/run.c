/* cli/run.c - gemel run: one inference. */
#include "api/input.h"
#include "api/output.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#define GML_JSON_ELEMENTS 10000 /* larger results are described, not listed */

/* Values given with the command line, in its order. */
typedef struct given_input {
    const char *text; /* NAME=FILE or FILE; an .npz when `all` */
    bool all;
} given_input;

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_open_options open;
    gml_vec(given_input) given;
    gml_vec(gml_onnx_dim) dims;
    gml_picture_options picture;
    const char *output_dir;
    uint64_t seed;
    bool json;
} request;

static const gml_cli_option options[] = {
    {"input", "NAME=FILE", "the value of an input: .npy, .npz, .pb or a picture", 'i'},
    {"inputs", "FILE.npz", "the values of several, by their names"},
    {"output-dir", "DIR", "write output_0.npy, … there instead of showing them", 'o'},
    {"dim", "NAME=N", "the size of an open dimension"},
    {"seed", "N", "of the inputs that are not given (0)"},
    {"device", "NAME", "cpu (default) or ref, the interpreter"},
    {"threads", "N", "threads of the cpu device (one a processor)"},
    {"mean", "R,G,B", "subtracted from pictures, after scaling to 0..1 (ImageNet's)"},
    {"std", "R,G,B", "and then the divisor (ImageNet's)"},
    {"no-normalize", NULL, "pictures are only scaled to 0..1"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel run MODEL [options]",
    "Runs a model once. Inputs that are not given are random: floats from -1 to 1, integers 0 "
    "or 1.\n"
    "Pictures are resized to what the input wants. NAME= may be left out when there is one "
    "input.\n"
    "Files of outputs are numbered in the model's order, and appear all together or not at "
    "all.",
};

/* ---- options ------------------------------------------------------------------------------
 */

static bool add_dim(request *r, const char *value)
{
    const char *name = NULL;
    int64_t n = 0;
    if (!gml_cli_pair(&r->arena, value, &name, &n))
        return false;
    gml_push(&r->arena, &r->dims, ((gml_onnx_dim){name, n}));
    return true;
}

/* One number, or three with commas between them. */
static bool read_channels(request *r, const char *value, double *out, int *out_count)
{
    char *text = gml_arena_text(&r->arena, value, strlen(value));
    int n = 0;
    while (text) {
        char *comma = strchr(text, ',');
        if (comma)
            *comma = '\0';
        if (n == 3 || !gml_cli_double(text, &out[n++]))
            return false;
        text = comma ? comma + 1 : NULL;
    }
    *out_count = n;
    return n == 1 || n == 3;
}

static bool handle_picture(request *r, const char *name, const char *value)
{
    gml_picture_options *picture = &r->picture;
    if (strcmp(name, "mean") == 0)
        return read_channels(r, value, picture->mean, &picture->n_mean);
    if (!read_channels(r, value, picture->std, &picture->n_std))
        return false;
    for (int i = 0; i < picture->n_std; i++)
        if (!(picture->std[i] > 0))
            return false;
    return true;
}

static bool handle_number(request *r, const char *name, const char *value)
{
    int64_t n = 0;
    if (!gml_cli_int(value, &n) || n < 0)
        return false;
    if (strcmp(name, "seed") == 0) {
        r->seed = (uint64_t)n;
        return true;
    }
    r->open.n_threads = (int)n;
    return n >= 1 && n <= 256;
}

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    if (strcmp(name, "input") == 0 || strcmp(name, "inputs") == 0) {
        gml_push(&r->arena, &r->given, ((given_input){value, name[5] == 's'}));
        return *value != '\0';
    }
    if (strcmp(name, "output-dir") == 0) {
        r->output_dir = value;
        return *value != '\0';
    }
    if (strcmp(name, "dim") == 0)
        return add_dim(r, value);
    if (strcmp(name, "device") == 0)
        return gml_device_find(value, &r->open.device);
    if (strcmp(name, "mean") == 0 || strcmp(name, "std") == 0)
        return handle_picture(r, name, value);
    if (strcmp(name, "no-normalize") == 0)
        return r->picture.skip_normalize = true;
    if (strcmp(name, "json") == 0)
        return r->json = true;
    return handle_number(r, name, value);
}

/* ---- inputs and outputs -------------------------------------------------------------------
 */

static gml_status read_inputs(request *r, gml_inputs *inputs)
{
    for (size_t i = 0; i < r->given.count; i++) {
        const char *text = r->given.items[i].text;
        const char *equals = strchr(text, '=');
        if (r->given.items[i].all) {
            GML_TRY(gml_inputs_read_npz(inputs, text, &r->diags));
        } else if (equals) {
            const char *name = gml_arena_text(&r->arena, text, (size_t)(equals - text));
            GML_TRY(gml_inputs_read(inputs, name, equals + 1, &r->diags));
        } else {
            GML_TRY(gml_inputs_read(inputs, NULL, text, &r->diags));
        }
    }
    return gml_inputs_fill(inputs, r->seed, &r->diags);
}

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
    GML_TRY(gml_session_open(model, &session, &r->diags));
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
    inputs.picture = r->picture;
    gml_status status = read_inputs(r, &inputs);
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
    r->open.dims = r->dims.items;
    r->open.n_dims = r->dims.count;
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
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n == 1)
        status = run_request(&r, argv[1]);
    else if (n >= 0)
        fputs("gemel: run needs one MODEL; --help says more\n", stderr);
    gml_arena_reset(&r.arena);
    return status;
}
