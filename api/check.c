/* api/check.c - ONNX test directories, run and compared. */
#include "api/check.h"

#include "frontend/import.h"
#include "frontend/tensor_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct trial {
    const char *path;
    const gml_check_options *options;
    double rtol, atol;
    gml_arena *arena;
    gml_diags diags;
    gml_check_result *result;
} trial;

#define GML_CHECK_RTOL 1e-3
#define GML_CHECK_ATOL 1e-7

bool gml_check_is_test(const char *path)
{
    gml_str file;
    gml_str_init(&file);
    gml_str_printf(&file, "%s/model.onnx", path);
    bool found = access(file.text, R_OK) == 0;
    gml_str_reset(&file);
    return found;
}

static void fail(trial *t, const char *why)
{
    t->result->verdict = GML_CHECK_FAIL;
    t->result->why = why;
}

/* The diagnostics on one line. */
static void fail_with_diags(trial *t)
{
    const char *text = gml_diags_print(&t->diags);
    char *line = gml_arena_text(t->arena, text, strlen(text));
    size_t len = strlen(line);
    while (len && line[len - 1] == '\n')
        line[--len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\n')
            line[i] = ';';
    fail(t, line);
}

/* ---- values from files --------------------------------------------------------------------
 */

/* A view of what the file holds; sequences need memory of their own. */
static gml_status to_rvalue(const gml_file_value *file, gml_rvalue *out)
{
    *out = (gml_rvalue){0};
    if (file->kind == GML_FILE_TENSOR) {
        out->kind = GML_RVALUE_TENSOR;
        out->tensor = file->tensor;
        return GML_OK;
    }
    if (file->kind == GML_FILE_OPTIONAL) {
        if (file->n_items)
            GML_TRY(to_rvalue(&file->items[0], out));
        out->is_optional = true;
        return GML_OK;
    }
    out->kind = file->kind == GML_FILE_MAP ? GML_RVALUE_MAP : GML_RVALUE_SEQUENCE;
    out->items = calloc(file->n_items + 1, sizeof *out->items);
    if (!out->items)
        return GML_E_MEMORY;
    out->n_items = file->n_items;
    for (size_t i = 0; i < file->n_items; i++)
        GML_TRY(to_rvalue(&file->items[i], &out->items[i]));
    return GML_OK;
}

/* False when there is no such file. */
static gml_status read_value(trial *t, int set, const char *stem, uint32_t number,
                             const gml_type *type, gml_rvalue *out, bool *out_found)
{
    gml_file_value file;
    const char *path =
        gml_arena_printf(t->arena, "%s/test_data_set_%d/%s_%u.pb", t->path, set, stem, number);
    *out_found = access(path, R_OK) == 0;
    *out = (gml_rvalue){0};
    if (!*out_found)
        return GML_OK;
    GML_TRY(gml_tensor_file_read(path, type, t->arena, &file, &t->diags));
    return to_rvalue(&file, out);
}

/* ---- one data set -------------------------------------------------------------------------
 */

static gml_status load_set(trial *t, const gml_graph *graph, int set, gml_rvalue *inputs,
                           gml_rvalue *expected)
{
    bool found = false;
    for (uint32_t i = 0; i < graph->n_params; i++)
        GML_TRY(read_value(t, set, "input", i, &graph->params[i]->type, &inputs[i], &found));
    for (uint32_t i = 0; i < graph->n_results; i++) {
        GML_TRY(
            read_value(t, set, "output", i, &graph->results[i]->type, &expected[i], &found));
        if (!found)
            return gml_fail(&t->diags, GML_E_IO, (gml_loc){.file = t->path},
                            "data set %d has no output %u", set, i);
    }
    return GML_OK;
}

static void compare(trial *t, uint32_t n_outputs, int set, const gml_rvalue *actual,
                    const gml_rvalue *expected)
{
    for (uint32_t i = 0; i < n_outputs; i++) {
        const char *why = NULL;
        double deviation = 0;
        bool close = gml_values_close(&actual[i], &expected[i], t->rtol, t->atol, t->arena,
                                      &why, &deviation);
        if (deviation > t->result->deviation)
            t->result->deviation = deviation;
        if (close)
            continue;
        fail(t, gml_arena_printf(t->arena, "data set %d, output %u: %s", set, i, why));
        return;
    }
}

static void run_set(trial *t, int set)
{
    gml_module *module = NULL;
    gml_onnx_options options = {.skip_infer = true};
    const char *path = gml_arena_printf(t->arena, "%s/model.onnx", t->path);
    if (gml_onnx_load(path, &options, &module, &t->diags) != GML_OK) {
        fail_with_diags(t);
        return;
    }
    gml_graph *graph = module->main;
    gml_rvalue *inputs = gml_new_array(t->arena, gml_rvalue, graph->n_params + 1);
    gml_rvalue *expected = gml_new_array(t->arena, gml_rvalue, graph->n_results + 1);
    gml_rvalue *actual = gml_new_array(t->arena, gml_rvalue, graph->n_results + 1);
    uint32_t n_inputs = graph->n_params;
    uint32_t n_outputs = graph->n_results;
    gml_status status = load_set(t, graph, set, inputs, expected);
    if (status == GML_OK)
        status = gml_execute(module, inputs, actual, &t->options->execute, &t->diags);
    else
        gml_module_destroy(module);
    if (status == GML_OK)
        compare(t, n_outputs, set, actual, expected);
    else
        fail_with_diags(t);
    for (uint32_t i = 0; i < n_inputs; i++)
        gml_rvalue_reset(&inputs[i]);
    for (uint32_t i = 0; i < n_outputs; i++) {
        gml_rvalue_reset(&expected[i]);
        gml_rvalue_reset(&actual[i]);
    }
}

/* ---- tolerances ---------------------------------------------------------------------------
 */

static bool read_tolerance(const json_t *about, const char *name, double *out)
{
    const json_t *value = json_object_get(about, name);
    if (value && (!json_is_number(value) || !(json_number_value(value) >= 0)))
        return false;
    if (value)
        *out = json_number_value(value);
    return true;
}

/* The caller's, or the test's own, or ONNX's. */
static bool find_tolerances(trial *t)
{
    double rtol = GML_CHECK_RTOL;
    double atol = GML_CHECK_ATOL;
    const char *path = gml_arena_printf(t->arena, "%s/data.json", t->path);
    bool ok = true;
    if (access(path, R_OK) == 0) {
        json_t *about = json_load_file(path, 0, NULL);
        ok = json_is_object(about) && read_tolerance(about, "rtol", &rtol) &&
             read_tolerance(about, "atol", &atol);
        json_decref(about);
    }
    t->rtol = t->options->rtol < 0 ? rtol : t->options->rtol;
    t->atol = t->options->atol < 0 ? atol : t->options->atol;
    return ok;
}

void gml_check_directory(const char *path, const gml_check_options *options, gml_arena *arena,
                         gml_check_result *out_result)
{
    trial t = {.path = path, .options = options, .arena = arena, .result = out_result};
    gml_diags_init(&t.diags, arena);
    *out_result = (gml_check_result){.verdict = GML_CHECK_PASS};
    int n_sets = 0;
    if (!find_tolerances(&t)) {
        fail(&t, "data.json is no object with the numbers rtol and atol");
        return;
    }
    for (int set = 0; out_result->verdict == GML_CHECK_PASS; set++, n_sets++) {
        const char *folder = gml_arena_printf(arena, "%s/test_data_set_%d", path, set);
        if (access(folder, R_OK) != 0)
            break;
        run_set(&t, set);
    }
    if (n_sets == 0)
        *out_result = (gml_check_result){GML_CHECK_SKIP, "there is no test_data_set_0", 0};
}
