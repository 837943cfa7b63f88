/* cli/kernels.c - gemel kernels: the operators, and their generated code against the
 * interpreter. */
#define _POSIX_C_SOURCE 200809L

#include "api/kernel_test.h"
#include "cli/cli.h"
#include "cli/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_kernel_cases cases;
    const char *filter;
    gml_dtype type; /* NONE: every one of a case */
    gml_kernel_options options;
    bool json;
    json_t *rows;
    unsigned counts[3]; /* passed, failed, skipped */
} request;

static const gml_cli_option options[] = {
    {"filter", "TEXT", "only operators and cases with TEXT in 'operator/case'"},
    {"type", "NAME", "only this element type: f32, i8, …"},
    {"device", "NAME", "of test: cpu (default), cuda (cuda:1: the second) or emu"},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"seed", "N", "of the inputs (0)"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel kernels list [options] [PATH…]\n"
    "       gemel kernels test [options] PATH…\n"
    "       gemel kernels grad [options] PATH…",
    "list names the operators: how each is computed and differentiated, and whether the files "
    "have\n"
    "a case of it.\n"
    "test runs the cases in files of textual IR, or in every .gir of a folder (tests/ops), "
    "for\n"
    "each of their element types: generated code, fused and unfused, against the interpreter. "
    "A\n"
    "line PASS or FAIL each, with the kernel and its first wrong element; an operator that "
    "gets "
    "a\n"
    "kernel of its own and has no case is a SKIP. The last line is 'N passed, N failed, N "
    "skipped'.\n"
    "grad differentiates the same cases in f64, by the interpreter, and compares with central "
    "differences\n"
    "along random directions. A case with nothing to differentiate is left out; one with an "
    "operator that\n"
    "has no gradient is a SKIP that names it.",
};

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    int64_t n = 0;
    if (strcmp(name, "filter") == 0) {
        r->filter = value;
        return true;
    }
    if (strcmp(name, "type") == 0) {
        r->type = gml_dtype_find(value, strlen(value));
        return r->type != GML_NONE;
    }
    if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &r->options.device, &r->options.device_number) &&
               r->options.device != GML_DEVICE_REF;
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &r->options.precision);
    if (strcmp(name, "json") == 0)
        return r->json = true;
    bool ok = gml_cli_int(value, &n) && n >= 0;
    r->options.seed = (uint64_t)n;
    return ok;
}

/* ---- files --------------------------------------------------------------------------------
 */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static gml_status read_folder(request *r, const char *path)
{
    gml_vec(char *) names = {NULL, 0, 0};
    DIR *dir = opendir(path);
    if (!dir)
        return gml_fail(&r->diags, GML_E_IO, (gml_loc){.file = path}, "cannot be listed");
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".gir") == 0)
            gml_push(&r->arena, &names,
                     gml_arena_printf(&r->arena, "%s/%s", path, entry->d_name));
    }
    closedir(dir);
    if (names.count)
        qsort(names.items, names.count, sizeof *names.items, by_name);
    for (size_t i = 0; i < names.count; i++)
        GML_TRY(gml_kernel_cases_read(names.items[i], &r->arena, &r->cases, &r->diags));
    return GML_OK;
}

static gml_status read_paths(request *r, char **paths, int n)
{
    struct stat info;
    for (int i = 0; i < n; i++) {
        if (stat(paths[i], &info) == 0 && S_ISDIR(info.st_mode))
            GML_TRY(read_folder(r, paths[i]));
        else
            GML_TRY(gml_kernel_cases_read(paths[i], &r->arena, &r->cases, &r->diags));
    }
    return GML_OK;
}

/* ---- list ---------------------------------------------------------------------------------
 */

static int list(request *r, bool has_paths)
{
    size_t n = 0;
    const gml_kernel_op *ops = gml_kernel_ops(&r->cases, &r->arena, &n);
    for (size_t i = 0; i < n; i++) {
        if (r->filter && !strstr(ops[i].name, r->filter))
            continue;
        if (!r->json)
            printf("%-26s %-12s %-9s%s %s\n", ops[i].name, ops[i].how, ops[i].gradient,
                   has_paths ? ops[i].has_case ? "tested   " : "         " : "", ops[i].doc);
        json_array_append_new(r->rows, json_pack("{s:o, s:s, s:s, s:b, s:b, s:o}", "name",
                                                 gml_json_text(ops[i].name), "how", ops[i].how,
                                                 "gradient", ops[i].gradient, "kernel",
                                                 ops[i].has_kernel, "tested", ops[i].has_case,
                                                 "doc", gml_json_text(ops[i].doc)));
    }
    return r->json ? gml_json_print(json_incref(r->rows)) : 0;
}

/* ---- test ---------------------------------------------------------------------------------
 */

static void report(request *r, int verdict, const char *name, gml_dtype dtype,
                   const gml_kernel_result *result)
{
    static const char *const words[] = {"PASS", "FAIL", "SKIP"};
    static const char *const lower[] = {"pass", "fail", "skip"};
    const char *type = dtype == GML_NONE ? "" : gml_dtype_name(dtype);
    r->counts[verdict]++;
    if (r->json)
        json_array_append_new(r->rows, json_pack("{s:o, s:s, s:s, s:o, s:o}", "name",
                                                 gml_json_text(name), "type", type, "verdict",
                                                 lower[verdict], "deviation",
                                                 gml_json_real(result->deviation), "why",
                                                 gml_json_text(result->why)));
    else
        printf("%s %s%s%s%s%s\n", words[verdict], name, *type ? " " : "", type,
               result->why ? ": " : "", result->why ? result->why : "");
}

static void run_case(request *r, const gml_kernel_case *kernel_case)
{
    char name[200];
    snprintf(name, sizeof name, "%s/%s", kernel_case->op, kernel_case->name);
    if (r->filter && !strstr(name, r->filter))
        return;
    for (size_t i = 0; i < kernel_case->types.count; i++) {
        gml_dtype dtype = kernel_case->types.items[i];
        if (r->type != GML_NONE && r->type != dtype)
            continue;
        gml_arena arena;
        gml_kernel_result result;
        gml_arena_init(&arena);
        gml_kernel_case_run(kernel_case, dtype, &r->options, &arena, &result);
        report(r, result.passed ? 0 : 1, name, dtype, &result);
        fflush(stdout);
        gml_arena_reset(&arena);
    }
}

static int test(request *r)
{
    size_t n = 0;
    const gml_kernel_op *ops = gml_kernel_ops(&r->cases, &r->arena, &n);
    gml_kernel_result skipped = {.why = "has no case"};
    for (size_t i = 0; i < r->cases.count; i++)
        run_case(r, &r->cases.items[i]);
    for (size_t i = 0; i < n && !r->filter && r->type == GML_NONE; i++)
        if (ops[i].has_kernel && !ops[i].has_case)
            report(r, 2, ops[i].name, GML_NONE, &skipped);
    if (r->json)
        return gml_json_print(json_incref(r->rows)) ? 5 : r->counts[1] != 0;
    printf("%u passed, %u failed, %u skipped\n", r->counts[0], r->counts[1], r->counts[2]);
    return r->counts[1] != 0;
}

/* ---- grad ---------------------------------------------------------------------------------
 */

static void grad_case(request *r, const gml_kernel_case *kernel_case)
{
    char name[200];
    gml_arena arena;
    gml_kernel_gradient g;
    snprintf(name, sizeof name, "%s/%s", kernel_case->op, kernel_case->name);
    if (r->filter && !strstr(name, r->filter))
        return;
    gml_arena_init(&arena);
    gml_kernel_case_grad(kernel_case, r->options.seed, &arena, &g);
    if (!g.skipped || *g.skipped) {
        gml_kernel_result result = {g.passed, g.skipped ? g.skipped : g.why, g.error};
        report(r, g.skipped ? 2 : g.passed ? 0 : 1, name, GML_F64, &result);
        fflush(stdout);
    }
    gml_arena_reset(&arena);
}

static int grad(request *r)
{
    for (size_t i = 0; i < r->cases.count; i++)
        grad_case(r, &r->cases.items[i]);
    if (r->json)
        return gml_json_print(json_incref(r->rows)) ? 5 : r->counts[1] != 0;
    printf("%u passed, %u failed, %u skipped\n", r->counts[0], r->counts[1], r->counts[2]);
    return r->counts[1] != 0;
}

static int run_request(request *r, int n, char **argv)
{
    bool is_list = n > 0 && strcmp(argv[1], "list") == 0;
    bool is_test = n > 1 && strcmp(argv[1], "test") == 0;
    bool is_grad = n > 1 && strcmp(argv[1], "grad") == 0;
    if (!is_list && !is_test && !is_grad) {
        fputs("gemel: kernels needs 'list', or 'test' or 'grad' and a PATH; --help says more\n",
              stderr);
        return 2;
    }
    gml_status status = gml_precision_check(r->options.device, r->options.precision, &r->diags);
    if (status == GML_OK)
        status = read_paths(r, argv + 2, n - 1);
    if (status != GML_OK)
        return gml_cli_fail(&r->diags, status);
    r->rows = json_array();
    int exit_status = is_list ? list(r, n > 1) : is_grad ? grad(r) : test(r);
    json_decref(r->rows);
    return fflush(stdout) != 0 || ferror(stdout) ? 5 : exit_status;
}

int gml_verb_kernels(int argc, char **argv)
{
    request r = {0};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : run_request(&r, n, argv);
    gml_arena_reset(&r.arena);
    return status;
}
