/* cli/weights.c - gemel weights: what is in a file of weights, and as another file. */
#include "gemel/weights.h"

#include "cli/cli.h"
#include "cli/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct request {
    bool json;
} request;

static const gml_cli_option options[] = {
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel weights list FILE",
    "Reads the weights of trained networks out of safetensors, PyTorch's .pth and .pt files, "
    "and "
    "ONNX\n"
    "models. Nothing that a file holds is executed.\n"
    "\n"
    "  list     names, element types and shapes of all tensors, and what else the file says",
};

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    (void)name;
    (void)value;
    r->json = true;
    return true;
}

/* ---- list -------------------------------------------------------------------------------- */

static uint64_t bytes_of(const gml_tensor *tensor)
{
    return (uint64_t)gml_tensor_numel(tensor) * gml_dtype_size(tensor->dtype);
}

static json_t *describe(const gml_weight *weight)
{
    json_t *shape = json_array();
    for (int d = 0; d < weight->tensor.rank; d++)
        json_array_append_new(shape, json_integer(weight->tensor.dims[d]));
    return json_pack("{s:o, s:s, s:o, s:I}", "name", gml_json_text(weight->name), "dtype",
                     gml_dtype_name(weight->tensor.dtype), "shape", shape, "bytes",
                     (json_int_t)bytes_of(&weight->tensor));
}

static int list_json(const gml_weights *w, uint64_t elements, uint64_t bytes)
{
    json_t *tensors = json_array();
    json_t *values = json_array();
    for (size_t i = 0; i < gml_weights_count(w); i++)
        json_array_append_new(tensors, describe(gml_weights_get(w, i)));
    for (size_t i = 0; i < gml_weights_text_count(w); i++) {
        const gml_weights_text *text = gml_weights_get_text(w, i);
        json_array_append_new(values, json_pack("{s:o, s:o}", "name", gml_json_text(text->name),
                                                "value", gml_json_text(text->value)));
    }
    return gml_json_print(
        json_pack("{s:o, s:s, s:I, s:I, s:o, s:o}", "file", gml_json_text(gml_weights_file(w)),
                  "format", gml_weights_format(w), "elements", (json_int_t)elements, "bytes",
                  (json_int_t)bytes, "tensors", tensors, "values", values));
}

static void print_shape(const gml_tensor *tensor, char *out, size_t size)
{
    int len = snprintf(out, size, "%s[", gml_dtype_name(tensor->dtype));
    for (int d = 0; d < tensor->rank; d++)
        len += snprintf(out + len, size - (size_t)len, "%s%" PRId64, d > 0 ? "," : "",
                        tensor->dims[d]);
    snprintf(out + len, size - (size_t)len, "]");
}

/* Control characters of a file's texts do not reach the terminal. */
static void print_text(const char *text)
{
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static int list_text(const gml_weights *w, uint64_t elements, uint64_t bytes)
{
    for (size_t i = 0; i < gml_weights_count(w); i++) {
        const gml_weight *weight = gml_weights_get(w, i);
        char shape[GML_MAX_RANK * 24 + 16];
        print_shape(&weight->tensor, shape, sizeof shape);
        printf("%-24s ", shape);
        print_text(weight->name);
        puts("");
    }
    for (size_t i = 0; i < gml_weights_text_count(w); i++) {
        const gml_weights_text *text = gml_weights_get_text(w, i);
        printf("%-24s ", "-");
        print_text(text->name);
        fputs(" = ", stdout);
        print_text(text->value);
        puts("");
    }
    printf("%s: %s, %zu tensors, %" PRIu64 " elements, %.1f MB\n", gml_weights_file(w),
           gml_weights_format(w), gml_weights_count(w), elements, (double)bytes / 1e6);
    return fflush(stdout) == 0 ? 0 : 5;
}

static int list(const request *r, const gml_weights *w)
{
    uint64_t elements = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < gml_weights_count(w); i++) {
        elements += (uint64_t)gml_tensor_numel(&gml_weights_get(w, i)->tensor);
        bytes += bytes_of(&gml_weights_get(w, i)->tensor);
    }
    return r->json ? list_json(w, elements, bytes) : list_text(w, elements, bytes);
}

/* ---- verbs ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int n_files;
    int (*run)(const request *r, const gml_weights *w);
} actions[] = {
    {"list", 1, list},
};

#define GML_N_ACTIONS (sizeof actions / sizeof *actions)

static int usage(void)
{
    fputs("gemel: weights needs what to do and a file; --help says more\n", stderr);
    return 2;
}

int gml_verb_weights(int argc, char **argv)
{
    request r = {.json = false};
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    if (n < 0)
        return -1 - n;
    size_t i = 0;
    while (n > 0 && i < GML_N_ACTIONS && strcmp(actions[i].name, argv[1]) != 0)
        i++;
    if (n < 1 || i == GML_N_ACTIONS || n != 1 + actions[i].n_files)
        return usage();
    gml_weights *w = gml_weights_open(argv[2]);
    gml_status status = gml_weights_status(w);
    int result = status == GML_OK ? actions[i].run(&r, w) : gml_status_exit(status);
    if (status != GML_OK)
        fputs(gml_weights_message(w), stderr);
    gml_weights_close(w);
    return result;
}
