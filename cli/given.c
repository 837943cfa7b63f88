/* cli/given.c - a model's inputs as options give them. */
#include "cli/given.h"

#include "cli/cli.h"

#include <string.h>

static bool add_dim(gml_given *given, const char *value)
{
    const char *name = NULL;
    int64_t n = 0;
    if (!gml_cli_pair(given->arena, value, &name, &n))
        return false;
    gml_push(given->arena, &given->dims, ((gml_onnx_dim){name, n}));
    return true;
}

/* One number, or three with commas between them. */
static bool read_channels(gml_given *given, const char *value, double *out, int *out_count)
{
    char *text = gml_arena_text(given->arena, value, strlen(value));
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

static bool read_std(gml_given *given, const char *value)
{
    gml_picture_options *picture = &given->picture;
    if (!read_channels(given, value, picture->std, &picture->n_std))
        return false;
    for (int i = 0; i < picture->n_std; i++)
        if (!(picture->std[i] > 0))
            return false;
    return true;
}

static bool read_seed(gml_given *given, const char *value)
{
    int64_t n = 0;
    bool ok = gml_cli_int(value, &n) && n >= 0;
    given->seed = (uint64_t)n;
    return ok;
}

bool gml_given_handle(gml_given *given, const char *name, const char *value, bool *out_ok)
{
    *out_ok = true;
    if (strcmp(name, "input") == 0 || strcmp(name, "inputs") == 0) {
        gml_push(given->arena, &given->inputs, ((gml_given_input){value, name[5] == 's'}));
        *out_ok = *value != '\0';
    } else if (strcmp(name, "dim") == 0) {
        *out_ok = add_dim(given, value);
    } else if (strcmp(name, "seed") == 0) {
        *out_ok = read_seed(given, value);
    } else if (strcmp(name, "mean") == 0) {
        *out_ok = read_channels(given, value, given->picture.mean, &given->picture.n_mean);
    } else if (strcmp(name, "std") == 0) {
        *out_ok = read_std(given, value);
    } else if (strcmp(name, "no-normalize") == 0) {
        given->picture.skip_normalize = true;
    } else {
        return false;
    }
    return true;
}

gml_status gml_given_read(const gml_given *given, gml_inputs *inputs, gml_diags *diags)
{
    inputs->picture = given->picture;
    for (size_t i = 0; i < given->inputs.count; i++) {
        const char *text = given->inputs.items[i].text;
        const char *equals = strchr(text, '=');
        if (given->inputs.items[i].all) {
            GML_TRY(gml_inputs_read_npz(inputs, text, diags));
        } else if (equals) {
            const char *name = gml_arena_text(given->arena, text, (size_t)(equals - text));
            GML_TRY(gml_inputs_read(inputs, name, equals + 1, diags));
        } else {
            GML_TRY(gml_inputs_read(inputs, NULL, text, diags));
        }
    }
    return gml_inputs_fill(inputs, given->seed, diags);
}
