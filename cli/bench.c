/* cli/bench.c - gemel bench: latency, throughput, memory, and each kernel's share. */
#include "api/bench.h"

#include "api/artifact_open.h"
#include "api/execute.h"
#include "api/pipeline.h"
#include "base/file.h"
#include "cli/bench_data.h"
#include "cli/bench_floor.h"
#include "cli/cli.h"
#include "cli/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct bench_args {
    gml_bench_options options;
    gml_bench_data data;
    bool kernels, json, explain, step;
    uint64_t memory;
    gml_device_kind device;
    int device_number;
    gml_precision precision;
    const gml_ceilings *ceilings;
    gml_arena *arena;
    gml_vec(gml_onnx_dim) dims;
    const char *dump;
    const char *off[GML_CLI_PASSES + 1];
    size_t n_off;
} bench_args;

static const gml_cli_option options[] = {
    {"device", "NAME", "cpu (default), cuda (cuda:1: the second) or emu"},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"threads", "N", "threads (1)"},
    {"runs", "N", "timed runs; as many as fit otherwise"},
    {"seconds", "X", "how long to measure (3)"},
    {"warmup", "N", "runs before measuring (2)"},
    {"dim", "NAME=N", "value of a symbolic size; 1 otherwise"},
    {"kernels", NULL,
     "each kernel: time, FLOPs, bytes, share of the machine's limit; on emu nothing runs: the "
     "least that a GPU needs"},
    {"floor", "NAME", "the GPU that --kernels compares with: " GML_CEILING_NAMES " (h200)"},
    {"step", NULL, "the training step, not the graph; from the initial state"},
    {"explain", NULL,
     "what each kernel computes, why nodes were not fused, where a GPU's code is from"},
    {"memory", "SIZE", "of values alive at once (600M): what does not fit is computed again"},
    {"off", "PASS", "leave out an optional pass (gemel compare --list-passes)"},
    {"dump", "STAGE", "print ir, the ir after a pass, loops, llvm or asm instead of measuring"},
    {"seed", "N", "of the random inputs (0)"},
    {"data", "DIR",
     "instead of a model: loading this folder's pictures, both views of SiameseIM"},
    {"batch", "N", "of --data: pictures in a batch (64)"},
    {"image-size", "N", "of --data: pixels a side of a view, a multiple of 16 (224)"},
    {"fast-jpeg", NULL, "of --data: decode large JPEG smaller: other pixels, sooner"},
    {"json", NULL, "JSON instead of text"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel bench [options] MODEL, or gemel bench --data DIR",
    "Compiles an ONNX model for this machine, or takes a compiled one (OUT.so), and measures "
    "it\n"
    "on random inputs. Open sizes are 1.",
};

static bool add_dim(bench_args *a, const char *value)
{
    const char *name = NULL;
    int64_t n = 0;
    if (!gml_cli_pair(a->arena, value, &name, &n))
        return false;
    gml_push(a->arena, &a->dims, ((gml_onnx_dim){name, n}));
    return true;
}

static bool handle_number(bench_args *a, const char *name, const char *value)
{
    int64_t n = 0;
    if (strcmp(name, "seconds") == 0)
        return gml_cli_double(value, &a->options.seconds) && a->options.seconds > 0;
    if (!gml_cli_int(value, &n) || n < 0 || n > INT32_MAX)
        return false;
    if (strcmp(name, "threads") == 0)
        a->options.n_threads = (int)n;
    else if (strcmp(name, "runs") == 0)
        a->options.n_runs = (uint32_t)n;
    else if (strcmp(name, "warmup") == 0)
        a->options.n_warmup = (uint32_t)n;
    else if (strcmp(name, "batch") == 0)
        a->data.batch = n;
    else if (strcmp(name, "image-size") == 0)
        a->data.size = n;
    else
        a->options.seed = (uint64_t)n;
    return strcmp(name, "threads") != 0 || (n >= 1 && n <= 256);
}

static bool handle(void *context, const char *name, const char *value)
{
    bench_args *a = context;
    if (strcmp(name, "dim") == 0)
        return add_dim(a, value);
    if (strcmp(name, "kernels") == 0)
        return a->kernels = true;
    if (strcmp(name, "explain") == 0)
        return a->explain = true;
    if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &a->device, &a->device_number) &&
               a->device != GML_DEVICE_REF;
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &a->precision);
    if (strcmp(name, "floor") == 0)
        return (a->ceilings = gml_ceilings_find(value)) != NULL;
    if (strcmp(name, "memory") == 0)
        return gml_cli_size(value, &a->memory);
    if (strcmp(name, "step") == 0)
        return a->step = true;
    if (strcmp(name, "json") == 0)
        return a->json = true;
    if (strcmp(name, "fast-jpeg") == 0)
        return a->data.fast_jpeg = true;
    if (strcmp(name, "data") == 0) {
        a->data.folder = value;
        return *value != '\0';
    }
    if (strcmp(name, "dump") == 0) {
        a->dump = value;
        return true;
    }
    if (strcmp(name, "off") == 0) {
        a->off[a->n_off] = value;
        return ++a->n_off < GML_CLI_PASSES && gml_cli_pass(value);
    }
    return handle_number(a, name, value);
}

static double constant(gml_dim dim)
{
    return gml_dim_is_const(dim) ? (double)dim : 0;
}

/* Share of the limit that binds: time the machine would need at least, over the time it took.
 */
static double share_of_limit(const gml_bench *bench, const gml_step *step, double seconds)
{
    if (bench->gflops <= 0 || bench->gbytes <= 0 || seconds <= 0)
        return 0;
    double compute = constant(step->flops) / (bench->gflops * 1e9);
    double memory = constant(step->bytes) / (bench->gbytes * 1e9);
    return (compute > memory ? compute : memory) / seconds;
}

/* What a kernel took in a run on average, and its share of all time. */
static double seconds_of(const gml_bench *bench, uint32_t i, double *out_share)
{
    double runs = 0;
    for (uint32_t run = 0; run < bench->n_runs; run++)
        runs += (double)bench->runs[run];
    *out_share = (double)bench->steps[i].total / runs;
    return (double)bench->steps[i].total / 1e9 / bench->n_runs;
}

/* The least that a GPU needs for a kernel, in milliseconds; nothing is known of a CPU. */
static double floor_of(const gml_floor *floor, uint32_t step)
{
    return floor ? gml_floor_seconds(&floor->steps[step]) * 1e3 : NAN;
}

static void print_kernels(const gml_program *program, const gml_bench *bench,
                          const gml_floor *floor)
{
    double all = 0;
    printf("\n    ms     share   GFLOP     MB  %% of limit  %skernel (first node)\n",
           floor ? "floor ms  " : "");
    for (uint32_t i = 0; i < bench->n_steps; i++) {
        uint32_t number = bench->steps[i].step;
        const gml_step *step = &program->steps.items[number];
        double share = 0;
        double seconds = seconds_of(bench, i, &share);
        all += share;
        printf("%9.4f %6.1f %% %8.4f %7.2f %9.0f %%  ", seconds * 1e3, share * 100,
               constant(step->flops) / 1e9, constant(step->bytes) / 1e6,
               share_of_limit(bench, step, seconds) * 100);
        if (floor)
            printf("%8.4f  ", floor_of(floor, number));
        printf("%s (%s)\n", step->name, step->node);
    }
    printf("kernels account for %.1f %% of the time", all * 100);
    if (bench->gflops > 0)
        printf("; limits: %.0f GFLOP/s, %.1f GB/s", bench->gflops, bench->gbytes);
    if (floor)
        printf("; floors of %s: %.3f ms in all", floor->ceilings->name,
               gml_floor_seconds(&floor->total) * 1e3);
    putchar('\n');
}

static json_t *json_kernels(const gml_program *program, const gml_bench *bench,
                            const gml_floor *floor)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < bench->n_steps; i++) {
        uint32_t number = bench->steps[i].step;
        const gml_step *step = &program->steps.items[number];
        double share = 0;
        double seconds = seconds_of(bench, i, &share);
        json_array_append_new(
            rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kernel",
                            gml_json_text(step->name), "node", gml_json_text(step->node), "ms",
                            gml_json_real(seconds * 1e3), "share", gml_json_real(share),
                            "gflop", gml_json_real(constant(step->flops) / 1e9), "mb",
                            gml_json_real(constant(step->bytes) / 1e6), "limit",
                            gml_json_real(share_of_limit(bench, step, seconds)), "floor_ms",
                            gml_json_real(floor_of(floor, number))));
    }
    return rows;
}

static int print_json(const bench_args *a, const gml_program *program, const gml_bench *bench,
                      const gml_floor *floor)
{
    json_t *root = json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "runs", (json_int_t)bench->n_runs,
        "median_ms", gml_json_real(gml_bench_quantile(bench, 0.5)), "p10_ms",
        gml_json_real(gml_bench_quantile(bench, 0.1)), "p90_ms",
        gml_json_real(gml_bench_quantile(bench, 0.9)), "min_ms",
        gml_json_real(gml_bench_quantile(bench, 0)), "first_ms",
        gml_json_real((double)bench->first / 1e6), "memory_bytes", (json_int_t)bench->memory,
        "gflops_limit", gml_json_real(bench->gflops), "gbytes_limit",
        gml_json_real(bench->gbytes));
    if (root && a->kernels)
        json_object_set_new(root, "kernels", json_kernels(program, bench, floor));
    if (root && program->code_origin)
        json_object_set_new(root, "code",
                            json_pack("{s:o, s:o}", "origin",
                                      gml_json_text(program->code_origin), "note",
                                      gml_json_text(program->code_note)));
    return gml_json_print(root);
}

static int print_result(const bench_args *a, const gml_program *program, const gml_bench *bench)
{
    gml_floor found;
    const gml_floor *floor = program->device && a->kernels ? &found : NULL;
    if (floor)
        gml_floor_find(program, a->ceilings, a->arena, &found);
    if (a->json)
        return print_json(a, program, bench, floor);
    double median = gml_bench_quantile(bench, 0.5);
    if (program->device)
        printf("%s: ", gml_device_name(program->device));
    printf(
        "%u runs, %d thread%s: median %.3f ms, 10 %% below %.3f, 90 %% below %.3f, least %.3f; "
        "first %.3f\n",
        bench->n_runs, a->options.n_threads, a->options.n_threads == 1 ? "" : "s", median,
        gml_bench_quantile(bench, 0.1), gml_bench_quantile(bench, 0.9),
        gml_bench_quantile(bench, 0), (double)bench->first / 1e6);
    printf("%.1f runs a second; %.1f MB beside the weights; %u kernels\n", 1e3 / median,
           (double)bench->memory / 1e6, bench->n_steps);
    if (a->kernels)
        print_kernels(program, bench, floor);
    return 0;
}

/* A compiled model, or one that is compiled now. Of the former `artifact` has the program. */
static gml_status get_program(const bench_args *a, const char *path, gml_str *text,
                              gml_artifact *artifact, gml_program **out_program,
                              gml_diags *diags)
{
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    bool compiled = gml_artifact_is(file.data, file.size);
    gml_status status = GML_OK;
    if (compiled && (a->dump || a->explain || a->memory || a->n_off || a->dims.count ||
                     a->device != GML_DEVICE_CPU || a->precision != GML_PRECISION_HIGHEST))
        status = gml_fail(diags, GML_E_USAGE, (gml_loc){.file = path},
                          "is compiled already: nothing of that can be chosen any more");
    else if (compiled)
        status = gml_artifact_open(path, file.data, file.size, artifact, diags);
    if (compiled && status == GML_OK)
        status = gml_artifact_choose(artifact, path, a->step ? GML_ONNX_STEP : GML_ONNX_FIXED,
                                     0, diags);
    gml_file_unmap(&file);
    *out_program = artifact->program;
    if (compiled)
        return status;
    gml_compile_options compile = {.dump = a->dump};
    compile.target.precision = a->precision;
    compile.passes.out = text;
    compile.passes.off = a->off;
    if (a->explain)
        compile.passes.explain = text;
    compile.passes.memory = a->memory;
    compile.passes.report = text;
    gml_onnx_options load = {.entry = a->step ? GML_ONNX_STEP : GML_ONNX_FIXED,
                             .dims = a->dims.items,
                             .n_dims = a->dims.count};
    GML_TRY(gml_device_open_kind(a->device, a->device_number, &compile.device, diags));
    status = gml_compile_file(path, &load, &compile, out_program, diags);
    gml_device_release(compile.device);
    return status;
}

static int bench_model(bench_args *a, const char *path)
{
    gml_diags diags;
    gml_str text;
    gml_bench bench = {0};
    gml_program *program = NULL;
    gml_artifact artifact = {0};
    a->options.limits = a->kernels;
    gml_diags_init(&diags, a->arena);
    gml_str_init(&text);
    gml_status status = get_program(a, path, &text, &artifact, &program, &diags);
    fputs(text.text, a->json ? stderr : stdout);
    bool only_floor = a->kernels && a->device == GML_DEVICE_EMU;
    if (status == GML_OK && !a->dump && !only_floor)
        status = gml_bench_run(program, NULL, &a->options, a->arena, &bench, &diags);
    int exit_status = 0;
    if (status != GML_OK)
        exit_status = gml_cli_fail(&diags, status);
    else if (!a->dump && only_floor)
        exit_status = gml_bench_floor_print(program, a->ceilings, a->json, a->arena);
    else if (!a->dump)
        exit_status = print_result(a, program, &bench);
    if (!artifact.program)
        gml_program_release(program);
    gml_artifact_close(&artifact);
    gml_str_reset(&text);
    return exit_status;
}

static int bench_data(bench_args *a)
{
    gml_diags diags;
    gml_diags_init(&diags, a->arena);
    a->data.n_workers = a->options.n_threads;
    a->data.seconds = a->options.seconds;
    a->data.seed = a->options.seed;
    a->data.json = a->json;
    gml_status status = gml_bench_data_run(&a->data, &diags);
    return status == GML_OK ? 0 : gml_cli_fail(&diags, status);
}

int gml_verb_bench(int argc, char **argv)
{
    gml_arena arena;
    gml_arena_init(&arena);
    bench_args a = {.options = {.n_threads = 1, .seconds = 3, .n_warmup = 2},
                    .data = {.batch = 64, .size = 224},
                    .ceilings = gml_ceilings_find("h200"),
                    .arena = &arena};
    int n = gml_cli_parse(&cli, argc, argv, handle, &a);
    int exit_status = n < 0 ? -1 - n : 2;
    if (n == 0 && a.data.folder)
        exit_status = bench_data(&a);
    else if (n == 1 && !a.data.folder)
        exit_status = bench_model(&a, argv[1]);
    else if (n >= 0)
        fputs("gemel: bench needs one model, or --data; --help says more\n", stderr);
    gml_arena_reset(&arena);
    return exit_status;
}
