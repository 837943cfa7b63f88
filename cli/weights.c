/* cli/weights.c - gemel weights: what is in a file of weights, and as another file. */
#include "gemel/weights.h"

#include "cli/cli.h"
#include "cli/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define GML_MAX_LEAVE 64

typedef struct request {
    const char *files[2]; /* what is read, and what is written */
    gml_weights_mapping mapping;
    const char *leave[GML_MAX_LEAVE];
    gml_dtype dtype;
    bool json;
} request;

static const gml_cli_option options[] = {
    {"map", "NAME",
     "how the file names its tensors; map: default what fits; convert: default as they are"},
    {"prefix", "TEXT", "what the names that count begin with: model."},
    {"leave", "PATTERN",
     "tensors that are left out, with '*'; may be repeated; goes with a map"},
    {"dtype", "TYPE", "convert: all floats as f32, f16 or bf16"},
    {"json", NULL, "list, map and maps: report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel weights list FILE, map FILE, convert FILE OUT, or maps",
    "Reads the weights of trained networks out of safetensors, PyTorch's .pth and .pt files, "
    "and "
    "ONNX\n"
    "models. Nothing that a file holds is executed.\n"
    "\n"
    "  list     names, element types and shapes of all tensors, and what else the file says\n"
    "  map      which tensor is which of a network's, and which are left out (status 1: there "
    "are\n"
    "           tensors that no row of the map fits)\n"
    "  convert  writes OUT.safetensors or OUT.npz; with --map (or --map auto) what a network "
    "takes,\n"
    "           under its names\n"
    "  maps     names the maps\n"
    "\n"
    "'gemel export vit --weights FILE' makes a model of them.",
};

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    if (value == NULL) {
        r->json = true;
    } else if (strcmp(name, "map") == 0) {
        r->mapping.map = value;
    } else if (strcmp(name, "prefix") == 0) {
        r->mapping.prefix = value;
    } else if (strcmp(name, "dtype") == 0) {
        r->dtype = gml_dtype_find(value, strlen(value));
        return r->dtype == GML_F32 || r->dtype == GML_F16 || r->dtype == GML_BF16;
    } else {
        if (r->mapping.n_leave == GML_MAX_LEAVE)
            return false;
        r->leave[r->mapping.n_leave++] = value;
        r->mapping.leave = r->leave;
    }
    return true;
}

/* ---- maps -------------------------------------------------------------------------------- */

static int list_maps(const request *r)
{
    size_t count = 0;
    const gml_weights_map_info *maps = gml_weights_maps(&count);
    json_t *array = r->json ? json_array() : NULL;
    for (size_t i = 0; i < count; i++) {
        if (r->json)
            json_array_append_new(
                array, json_pack("{s:s, s:s}", "name", maps[i].name, "doc", maps[i].doc));
        else
            printf("%-18s %s\n", maps[i].name, maps[i].doc);
    }
    return r->json ? gml_json_print(array) : 0;
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

static int list(const request *r, gml_weights *w)
{
    uint64_t elements = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < gml_weights_count(w); i++) {
        elements += (uint64_t)gml_tensor_numel(&gml_weights_get(w, i)->tensor);
        bytes += bytes_of(&gml_weights_get(w, i)->tensor);
    }
    return r->json ? list_json(w, elements, bytes) : list_text(w, elements, bytes);
}

/* ---- map --------------------------------------------------------------------------------- */

static const char *const fates[] = {
    [GML_WEIGHT_TAKEN] = "taken",
    [GML_WEIGHT_OPTIONAL] = "optional",
    [GML_WEIGHT_LEFT] = "left",
    [GML_WEIGHT_UNKNOWN] = "unknown",
};

/* "auto" is what fits, which has no name of its own. */
static void apply_map(const request *r, gml_weights *w)
{
    gml_weights_mapping mapping = r->mapping;
    if (mapping.map != NULL && strcmp(mapping.map, "auto") == 0)
        mapping.map = NULL;
    gml_weights_map(w, &mapping);
}

static void print_fate(const gml_weights *w, size_t i)
{
    const char *text = "";
    gml_weight_fate fate = gml_weights_get_fate(w, i, &text);
    printf("%-8s ", fates[fate]);
    print_text(gml_weights_get(w, i)->name);
    if (*text != '\0')
        fputs(fate == GML_WEIGHT_LEFT ? ": " : " -> ", stdout);
    print_text(text);
    puts("");
}

static json_t *describe_fate(const gml_weights *w, size_t i)
{
    const char *text = "";
    gml_weight_fate fate = gml_weights_get_fate(w, i, &text);
    return json_pack("{s:o, s:s, s:o}", "name", gml_json_text(gml_weights_get(w, i)->name),
                     "fate", fates[fate], fate == GML_WEIGHT_LEFT ? "reason" : "target",
                     gml_json_text(text));
}

static int map(const request *r, gml_weights *w)
{
    size_t counts[GML_WEIGHT_UNKNOWN + 1] = {0};
    apply_map(r, w);
    if (gml_weights_status(w) != GML_OK)
        return 0;
    json_t *array = r->json ? json_array() : NULL;
    for (size_t i = 0; i < gml_weights_count(w); i++) {
        const char *text = "";
        counts[gml_weights_get_fate(w, i, &text)]++;
        if (r->json)
            json_array_append_new(array, describe_fate(w, i));
        else
            print_fate(w, i);
    }
    int status = counts[GML_WEIGHT_UNKNOWN] > 0;
    if (r->json) {
        int printed = gml_json_print(
            json_pack("{s:o, s:s, s:o, s:o}", "file", gml_json_text(gml_weights_file(w)), "map",
                      gml_weights_map_name(w), "prefix", gml_json_text(gml_weights_prefix(w)),
                      "tensors", array));
        return printed != 0 ? printed : status;
    }
    printf("%s: map %s, prefix '%s': %zu taken, %zu optional, %zu left, %zu unknown\n",
           gml_weights_file(w), gml_weights_map_name(w), gml_weights_prefix(w),
           counts[GML_WEIGHT_TAKEN], counts[GML_WEIGHT_OPTIONAL], counts[GML_WEIGHT_LEFT],
           counts[GML_WEIGHT_UNKNOWN]);
    return status;
}

/* ---- convert ----------------------------------------------------------------------------- */

static int convert(const request *r, gml_weights *w)
{
    gml_weights_save_options save = {.dtype = r->dtype, .prefix = r->mapping.prefix};
    if (r->mapping.map != NULL)
        apply_map(r, w);
    gml_weights_save(w, r->files[1], &save);
    return 0;
}

/* ---- verbs ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int n_files;
    int (*run)(const request *r, gml_weights *w); /* failures are the object's */
} actions[] = {
    {"list", 1, list},
    {"map", 1, map},
    {"convert", 2, convert},
};

#define GML_N_ACTIONS (sizeof actions / sizeof *actions)

static int usage(void)
{
    fputs("gemel: weights needs what to do, and files; --help says more\n", stderr);
    return 2;
}

static int run_action(request *r, int n, char **argv)
{
    size_t i = 0;
    if (n == 1 && strcmp(argv[1], "maps") == 0)
        return list_maps(r);
    while (n > 0 && i < GML_N_ACTIONS && strcmp(actions[i].name, argv[1]) != 0)
        i++;
    if (n < 1 || i == GML_N_ACTIONS || n != 1 + actions[i].n_files)
        return usage();
    if (r->mapping.n_leave > 0 && actions[i].run == convert && r->mapping.map == NULL)
        return usage();
    for (int k = 0; k < actions[i].n_files; k++)
        r->files[k] = argv[2 + k];
    gml_weights *w = gml_weights_open(r->files[0]);
    int result = gml_weights_status(w) == GML_OK ? actions[i].run(r, w) : 0;
    if (gml_weights_status(w) != GML_OK) {
        fputs(gml_weights_message(w), stderr);
        result = gml_status_exit(gml_weights_status(w));
    }
    gml_weights_close(w);
    return result;
}

int gml_verb_weights(int argc, char **argv)
{
    request r = {.json = false};
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    return n < 0 ? -1 - n : run_action(&r, n, argv);
}
