/* cli/compile.c - gemel compile: an ONNX model as a shared library and a C header. */
#include "api/compile_parts.h"
#include "api/execute.h"
#include "cli/cli.h"
#include "cli/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct compile_args {
    const char *output, *dump, *cpu, *triple, *runtime;
    gml_arena *arena;
    gml_vec(gml_onnx_dim) dims;
    gml_parts_wanted wanted;
    bool explain, json, beside;
    uint64_t memory;
    gml_device_kind device;
    gml_precision precision;
    const char *off[32];
    size_t n_off;
} compile_args;

static const gml_cli_option options[] = {
    {"output", "FILE", "the library; its header lies beside it", 'o'},
    {"dim", "NAME=N", "fix a symbolic size; others stay parameters of the functions"},
    {"device", "NAME", "cpu: libraries for others are not written yet"},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"cpu", "NAME", "LLVM's name of the processor; this machine's otherwise"},
    {"triple", "NAME",
     "with --dump: another kind of machine, aarch64-linux-gnu; nvptx64-nvidia-cuda: a GPU, "
     "--cpu sm_80"},
    {"weights", "PLACE", "'inside' the library, or 'beside' it in OUT.safetensors"},
    {"entry", "NAME", "of a model with training: run or step alone; both otherwise"},
    {"off", "PASS", "leave out a pass"},
    {"dump", "STAGE", "print ir, the ir after a pass, loops, llvm or asm"},
    {"explain", NULL, "what each kernel computes, and why nodes were not fused"},
    {"memory", "SIZE", "of values alive at once (600M): what does not fit is computed again"},
    {"runtime", "FILE", "libgemel_runtime.a, where it is not ../lib beside this program"},
    {"json", NULL, "the report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel compile [options] MODEL -o OUT.so",
    "Compiles an ONNX model ahead of time. OUT.so holds code, weights and the runtime, and "
    "needs\n"
    "only libc and libm (and what operators on text and pictures use: pcre2, utf8proc, …);\n"
    "OUT.h declares its functions:\n\n"
    "  cc app.c OUT.so && ./a.out\n\n"
    "A model with training information gives its step beside the graph, with its weights in "
    "memory\nthat both share (docs/artifacts.md).\n\n"
    "With --weights beside the weights are OUT.safetensors, which has to stay in the "
    "library's\n"
    "folder. The exit status is 5 when a disk is full, and then no file is left or changed.",
};

static bool add_dim(compile_args *a, const char *value)
{
    const char *name = NULL;
    int64_t n = 0;
    if (!gml_cli_pair(a->arena, value, &name, &n))
        return false;
    gml_push(a->arena, &a->dims, ((gml_onnx_dim){name, n}));
    return true;
}

static bool handle(void *context, const char *name, const char *value)
{
    compile_args *a = context;
    if (strcmp(name, "dim") == 0)
        return add_dim(a, value);
    if (strcmp(name, "device") == 0) {
        int number = 0;
        return gml_device_parse(value, &a->device, &number) && a->device != GML_DEVICE_REF;
    }
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &a->precision);
    if (strcmp(name, "off") == 0) {
        a->off[a->n_off] = value;
        return ++a->n_off < 31 && gml_pass_find(value);
    }
    if (strcmp(name, "entry") == 0) {
        a->wanted = strcmp(value, "step") == 0 ? GML_PARTS_STEP : GML_PARTS_RUN;
        return a->wanted == GML_PARTS_STEP || strcmp(value, "run") == 0;
    }
    if (strcmp(name, "weights") == 0) {
        a->beside = strcmp(value, "beside") == 0;
        return a->beside || strcmp(value, "inside") == 0;
    }
    if (strcmp(name, "memory") == 0)
        return gml_cli_size(value, &a->memory);
    if (strcmp(name, "output") == 0)
        a->output = value;
    else if (strcmp(name, "dump") == 0)
        a->dump = value;
    else if (strcmp(name, "cpu") == 0)
        a->cpu = value;
    else if (strcmp(name, "triple") == 0)
        a->triple = value;
    else if (strcmp(name, "runtime") == 0)
        a->runtime = value;
    else if (strcmp(name, "explain") == 0)
        a->explain = true;
    else
        a->json = true;
    return true;
}

static double file_size(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 ? (double)st.st_size : 0;
}

static uint32_t count_kernels(const gml_program *program)
{
    uint32_t n = 0;
    for (size_t i = 0; i < program->steps.count; i++)
        n += program->steps.items[i].kind == GML_STEP_KERNEL;
    return n;
}

static json_t *json_program(const char *name, const gml_program *program)
{
    return json_pack("{s:o, s:I, s:I, s:I}", "entry", gml_json_text(name), "steps",
                     (json_int_t)program->steps.count, "kernels",
                     (json_int_t)count_kernels(program), "arena_bytes",
                     (json_int_t)program->arena_size);
}

/* One program is the report's own, of several each has an object. */
static void report_json(const compile_args *a, const gml_parts *parts, const char *weights)
{
    json_t *root =
        json_pack("{s:o, s:o, s:o, s:o}", "output", gml_json_text(a->output), "bytes",
                  gml_json_real(file_size(a->output)), "weights", gml_json_text(weights),
                  "weights_bytes", gml_json_real(file_size(weights)));
    json_t *list = json_array();
    for (size_t i = 0; i < parts->count; i++)
        json_array_append_new(list,
                              json_program(parts->items[i].name, parts->items[i].program));
    if (parts->count == 1)
        json_object_update(root, json_array_get(list, 0));
    else
        json_object_set(root, "entries", list);
    json_decref(list);
    (void)gml_json_print(root);
}

static void report(const compile_args *a, const gml_parts *parts)
{
    const char *weights = a->beside ? gml_weights_path(a->arena, a->output) : NULL;
    bool is_one = parts->count == 1;
    if (a->json) {
        report_json(a, parts, weights);
        return;
    }
    printf("%s: %.1f MB%s", a->output, file_size(a->output) / 1e6, is_one ? ", " : "");
    if (weights)
        printf("%sweights %s: %.1f MB%s", is_one ? "" : ", ", weights, file_size(weights) / 1e6,
               is_one ? ", " : "");
    for (size_t i = 0; i < parts->count; i++) {
        const gml_program *program = parts->items[i].program;
        if (!is_one)
            printf("\n  %s: ", parts->items[i].name);
        printf("%zu steps, %u of them kernels; needs %.1f MB to run", program->steps.count,
               count_kernels(program), (double)program->arena_size / 1e6);
    }
    putchar('\n');
}

static gml_status compile(const compile_args *a, const char *path, gml_str *text,
                          gml_diags *diags)
{
    gml_parts parts = {0};
    gml_compile_options compile_options = {.dump = a->dump};
    compile_options.target.cpu = a->cpu;
    compile_options.target.triple = a->triple;
    if (a->device != GML_DEVICE_CPU)
        compile_options.target.gpu = a->device == GML_DEVICE_CUDA ? GML_GPU_CUDA : GML_GPU_EMU;
    if (a->triple && strncmp(a->triple, "nvptx", 5) == 0)
        compile_options.target.gpu = GML_GPU_CUDA;
    compile_options.target.precision = a->precision;
    compile_options.passes.out = text;
    compile_options.passes.off = a->off;
    if (a->explain)
        compile_options.passes.explain = text;
    compile_options.passes.memory = a->memory;
    compile_options.passes.report = text;
    gml_onnx_options load = {.dims = a->dims.items, .n_dims = a->dims.count};
    gml_status status =
        gml_parts_compile(path, &load, a->wanted, &compile_options, &parts, diags);
    gml_link_options link = {
        .output = a->output, .runtime = a->runtime, .weights_beside = a->beside};
    if (status == GML_OK && !a->triple)
        status = gml_link_artifact(parts.items, parts.count, &link, diags);
    fputs(text->text, a->json ? stderr : stdout);
    if (status == GML_OK && !a->triple)
        report(a, &parts);
    gml_parts_reset(&parts);
    return status;
}

int gml_verb_compile(int argc, char **argv)
{
    gml_arena arena;
    gml_arena_init(&arena);
    compile_args a = {.arena = &arena};
    int n = gml_cli_parse(&cli, argc, argv, handle, &a);
    bool prints = a.triple && a.dump;
    if (n != 1 || (a.triple ? !prints : !a.output)) {
        if (n >= 0)
            fputs(a.triple ? "gemel: for another kind of machine compile can only --dump\n"
                           : "gemel: compile needs one model and -o OUT.so; --help says more\n",
                  stderr);
        gml_arena_reset(&arena);
        return n < 0 ? -1 - n : 2;
    }
    gml_diags diags;
    gml_str text;
    gml_diags_init(&diags, &arena);
    gml_str_init(&text);
    gml_status status = compile(&a, argv[1], &text, &diags);
    int exit_status = status == GML_OK ? 0 : gml_cli_fail(&diags, status);
    gml_str_reset(&text);
    gml_arena_reset(&arena);
    return exit_status;
}
