/* cli/export.c - gemel export: the networks of models/ as ONNX files. */
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "models/models.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define GML_DEFAULT_OPSET   20 /* the oldest that has a word for GELU: most runtimes read it */
#define GML_MAX_SETTINGS    64
#define GML_MAX_FILES       8
#define GML_MAX_LEAVE       64
#define GML_MANY_PARAMETERS 10000000 /* from here on progress is shown */

typedef struct request {
    gml_network_options options;
    const gml_network *named; /* the network among the arguments: its own options are known */
    gml_setting settings[GML_MAX_SETTINGS];
    uint64_t seed;
    const char *output;
    const char *files[GML_MAX_FILES]; /* of weights */
    size_t n_files;
    const char *leave[GML_MAX_LEAVE];
    gml_weights_mapping mapping;
    unsigned given; /* of the options that not every network reads */
    bool external_data;
    bool json;
    bool list;
} request;

static const gml_cli_option options[] = {
    {"output", "FILE", "the file to write", 'o'},
    {"variant", "NAME", "which of the network's variants (--list names them)"},
    {"batch", "N", "batch size, or a name for one that is open (1; siameseim 8)"},
    {"sequence", "N", "tokens in a sequence, or a name"},
    {"image-size", "N", "width and height of the input"},
    {"no-head", NULL, "without the layers that serve one task"},
    {"features", "NAME", "of vit: cls (default), mean (of patches) or, without head, tokens"},
    {"weights", "FILE",
     "begin with a file's weights, without head but for --classes; again: later ones"},
    {"map", "NAME",
     "how the file names its tensors ('gemel weights maps'; default: what fits)"},
    {"prefix", "TEXT",
     "what the names that count begin with, where a file has several networks"},
    {"leave", "PATTERN", "tensors of the file that are left out, with '*'; may be repeated"},
    {"seed", "N", "of random weights (0)"},
    {"opset", "N", "ONNX operator set, 17 to 27 (20)"},
    {"external-data", NULL, "weights beside the model, in FILE.data"},
    {"list", NULL, "name the networks and their variants"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

#define GML_N_OPTIONS (sizeof options / sizeof *options - 1)

static const gml_cli cli = {
    options,
    "gemel export NAME -o FILE [options], or gemel export --list",
    "Writes a network as an ONNX model, with random weights or those of a file of any kind "
    "that\n"
    "'gemel weights' reads. Weights bear the names that "
    "the\n"
    "framework's implementation gives them; the same seed gives the same file on every "
    "machine.\n"
    "'gemel export NAME --help' adds the network's own options.",
};

/* A number, or a name for a size that is open. */
static bool read_extent(const char *text, gml_extent *out_extent)
{
    int64_t value = 0;
    *out_extent = (gml_extent){0};
    if (gml_cli_int(text, &value)) {
        out_extent->value = value;
        return value > 0;
    }
    for (const char *at = text; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && *at != '_')
            return false;
    out_extent->name = text;
    return *text != '\0' && !isdigit((unsigned char)*text);
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
    if (strcmp(name, "opset") == 0) {
        r->options.opset = n;
        return n >= 17 && n <= GML_BUILDER_OPSET;
    }
    r->given |= GML_NETWORK_IMAGE_SIZE;
    r->options.image_size = n;
    return n > 0 && n <= 1 << 16;
}

static bool handle_flag(request *r, const char *name)
{
    if (strcmp(name, "no-head") == 0) {
        r->given |= GML_NETWORK_NO_HEAD;
        r->options.no_head = true;
    } else if (strcmp(name, "external-data") == 0) {
        r->external_data = true;
    } else if (strcmp(name, "list") == 0) {
        r->list = true;
    } else {
        r->json = true;
    }
    return true;
}

/* One of the network's own: it reads the value itself. */
static bool handle_setting(request *r, const char *name, const char *value)
{
    if (r->options.n_settings == GML_MAX_SETTINGS)
        return false;
    r->settings[r->options.n_settings++] = (gml_setting){name, value};
    return true;
}

static bool is_setting(const gml_network *network, const char *name)
{
    const gml_network_setting *at = network != NULL ? network->settings : NULL;
    for (; at != NULL && at->name != NULL; at++)
        if (strcmp(at->name, name) == 0)
            return true;
    return false;
}

/* --weights and what goes with it; false when it is none of them. */
static bool handle_weights(request *r, const char *name, const char *value, bool *out_good)
{
    *out_good = *value != '\0';
    if (strcmp(name, "weights") == 0) {
        r->given |= GML_NETWORK_WEIGHTS;
        r->options.no_head = true;
        *out_good = *out_good && r->n_files < GML_MAX_FILES;
        if (*out_good)
            r->files[r->n_files++] = value;
    } else if (strcmp(name, "leave") == 0) {
        *out_good = *out_good && r->mapping.n_leave < GML_MAX_LEAVE;
        if (*out_good)
            r->leave[r->mapping.n_leave++] = value;
    } else if (strcmp(name, "map") == 0) {
        r->mapping.map = value;
    } else if (strcmp(name, "prefix") == 0) {
        r->mapping.prefix = value;
        *out_good = true;
    } else {
        return false;
    }
    return true;
}

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    bool is_good = false;
    if (is_setting(r->named, name))
        return handle_setting(r, name, value);
    if (value == NULL)
        return handle_flag(r, name);
    if (handle_weights(r, name, value, &is_good))
        return is_good;
    if (strcmp(name, "output") == 0) {
        r->output = value;
        return *value != '\0';
    }
    if (strcmp(name, "variant") == 0) {
        r->options.variant = value;
        return true;
    }
    if (strcmp(name, "batch") == 0)
        return read_extent(value, &r->options.batch);
    if (strcmp(name, "sequence") == 0) {
        r->given |= GML_NETWORK_SEQUENCE;
        return read_extent(value, &r->options.sequence);
    }
    if (strcmp(name, "features") == 0) {
        r->given |= GML_NETWORK_FEATURES;
        r->options.features = value;
        return strcmp(value, "cls") == 0 || strcmp(value, "mean") == 0 ||
               strcmp(value, "tokens") == 0;
    }
    return handle_number(r, name, value);
}

/* ---- the list ---------------------------------------------------------------------------- */

static int list_networks(bool as_json)
{
    size_t count = 0;
    const gml_network *networks = gml_network_table(&count);
    json_t *array = as_json ? json_array() : NULL;
    for (size_t i = 0; i < count; i++) {
        const gml_network *network = &networks[i];
        if (as_json)
            json_array_append_new(array,
                                  json_pack("{s:s, s:s, s:s}", "name", network->name, "doc",
                                            network->doc, "variants", network->variants));
        else
            printf("%-10s %s%s%s\n", network->name, network->doc,
                   *network->variants != '\0' ? "; variants: " : "", network->variants);
    }
    return as_json ? gml_json_print(array) : 0;
}

/* ---- one network ------------------------------------------------------------------------- */

static bool has_setting(const request *r, const char *name)
{
    for (size_t i = 0; i < r->options.n_settings; i++)
        if (strcmp(r->settings[i].name, name) == 0)
            return true;
    return false;
}

/* What is wrong with the request for `network`, or NULL. */
static const char *find_fault(const request *r, const gml_network *network)
{
    unsigned unread = r->given & ~network->options;
    if (!gml_network_has_variant(network, r->options.variant))
        return "it has no such variant; --list names them";
    if (r->options.n_settings > 0 && network != r->named)
        return "these are another network's options; name the network first";
    if (unread & GML_NETWORK_SEQUENCE)
        return "it has no sequence";
    if (unread & GML_NETWORK_IMAGE_SIZE)
        return "it has no images";
    if (unread & GML_NETWORK_NO_HEAD)
        return "it has no head";
    if (unread & GML_NETWORK_FEATURES)
        return "it has no features";
    if (unread & GML_NETWORK_WEIGHTS)
        return "it does not begin with weights of a file";
    bool has_classes = has_setting(r, "classes");
    if (has_classes && (r->given & GML_NETWORK_NO_HEAD))
        return "--no-head has no --classes";
    if ((r->given & GML_NETWORK_FEATURES) && !r->options.no_head && !has_classes)
        return "--features goes with --no-head, --classes or --weights";
    if (r->n_files == 0 && (r->mapping.map || r->mapping.prefix || r->mapping.n_leave > 0))
        return "--map, --prefix and --leave go with --weights";
    return NULL;
}

static int64_t file_size(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    int64_t size = fseek(file, 0, SEEK_END) == 0 ? (int64_t)ftell(file) : -1;
    fclose(file);
    return size;
}

static int report(const request *r, const gml_network *network, uint64_t parameters)
{
    int64_t bytes = file_size(r->output);
    const char *variant = r->options.variant;
    char first[16] = "";
    if (variant == NULL && r->n_files > 0) {
        variant = "of the file's size";
    } else if (variant == NULL) {
        snprintf(first, sizeof first, "%.*s", (int)strcspn(network->variants, " "),
                 network->variants);
        variant = first;
    }
    if (r->json)
        return gml_json_print(
            json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "name", network->name, "variant",
                      variant, "file", gml_json_text(r->output), "bytes", (json_int_t)bytes,
                      "parameters", (json_int_t)parameters, "opset",
                      (json_int_t)r->options.opset, "seed", (json_int_t)r->seed));
    printf("%s: %s%s%s, %" PRIu64 " parameters, %.1f MB\n", r->output, network->name,
           *variant != '\0' ? " " : "", variant, parameters, (double)bytes / 1e6);
    return 0;
}

static gml_weights *open_weights(request *r)
{
    if (r->n_files == 0)
        return NULL;
    gml_weights *w = gml_weights_open(r->files[0]);
    for (size_t i = 1; i < r->n_files; i++)
        gml_weights_add(w, r->files[i]);
    r->mapping.leave = r->leave;
    gml_weights_map(w, &r->mapping);
    return w;
}

static int export_network(request *r, const gml_network *network)
{
    r->options.settings = r->settings;
    r->options.weights = open_weights(r);
    if (r->options.batch.name == NULL && r->options.batch.value == 0)
        r->options.batch.value = network->batch;
    gml_builder *builder = gml_builder_create(network->name, r->options.opset, r->seed);
    network->build(builder, &r->options);
    uint64_t parameters = gml_builder_parameters(builder);
    gml_cli_progress progress = {0};
    gml_save_options save = {.external_data = r->external_data};
    if (parameters >= GML_MANY_PARAMETERS) {
        save.progress = gml_cli_progress_show;
        save.progress_context = &progress;
    }
    gml_status status = gml_builder_save(builder, r->output, &save);
    gml_cli_progress_end(&progress);
    if (status != GML_OK)
        fputs(gml_builder_message(builder), stderr);
    gml_builder_destroy(builder);
    gml_weights_close(r->options.weights);
    return status == GML_OK ? report(r, network, parameters) : gml_status_exit(status);
}

/* ---- options ----------------------------------------------------------------------------- */

/* The first argument that is a network's name. */
static const gml_network *find_named(int argc, char **argv)
{
    const gml_network *network = NULL;
    for (int i = 1; i < argc && network == NULL; i++)
        network = gml_network_find(argv[i]);
    return network;
}

#define GML_DOC_SIZE 128

/* The table of options with those of the network. */
typedef struct option_table {
    gml_cli_option options[GML_N_OPTIONS + GML_MAX_SETTINGS + 1];
    char docs[GML_MAX_SETTINGS][GML_DOC_SIZE];
} option_table;

static void make_table(const gml_network *network, option_table *out_table)
{
    memset(out_table, 0, sizeof *out_table);
    memcpy(out_table->options, options, GML_N_OPTIONS * sizeof *options);
    const gml_network_setting *at = network != NULL ? network->settings : NULL;
    for (size_t i = 0; i < GML_MAX_SETTINGS && at != NULL && at->name != NULL; i++, at++) {
        bool has_default = *at->value != '\0';
        snprintf(out_table->docs[i], GML_DOC_SIZE, "%s%s%s%s", at->doc, has_default ? " (" : "",
                 at->value, has_default ? ")" : "");
        out_table->options[GML_N_OPTIONS + i] =
            (gml_cli_option){at->name, "VALUE", out_table->docs[i], '\0'};
    }
}

int gml_verb_export(int argc, char **argv)
{
    request r = {.named = find_named(argc, argv), .options = {.opset = GML_DEFAULT_OPSET}};
    option_table table;
    make_table(r.named, &table);
    int n =
        gml_cli_parse(&(gml_cli){table.options, cli.usage, cli.doc}, argc, argv, handle, &r);
    if (n < 0)
        return -1 - n;
    if (r.list && n == 0)
        return list_networks(r.json);
    if (n != 1 || r.output == NULL) {
        fputs("gemel: export needs one network and -o FILE; --help says more\n", stderr);
        return 2;
    }
    const gml_network *network = gml_network_find(argv[1]);
    if (network == NULL) {
        fprintf(stderr, "gemel: there is no network '%s'; 'gemel export --list' names them\n",
                argv[1]);
        return 2;
    }
    const char *fault = find_fault(&r, network);
    if (fault != NULL) {
        fprintf(stderr, "gemel: export %s: %s\n", network->name, fault);
        return 2;
    }
    return export_network(&r, network);
}
