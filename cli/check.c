/* cli/check.c - gemel check: ONNX test directories, one line each. */
#include "api/check.h"

#include "cli/cli.h"
#include "cli/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    gml_check_options options;
    const char *off[GML_CLI_PASSES + 1];
    size_t n_off;
    bool json;
    json_t *rows;       /* with --json */
    unsigned counts[3]; /* by verdict */
} run;

static const gml_cli_option options[] = {
    {"device", "NAME", GML_DEVICE_NAMES},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"threads", "N", "threads of the cpu device"},
    {"rtol", "X", "relative tolerance (that of the test's data.json, else 1e-3)"},
    {"atol", "X", "absolute tolerance (likewise, 1e-7)"},
    {"off", "PASS", "leave out an optional pass (gemel compare --list-passes)"},
    {"json", NULL, "one JSON array instead of lines"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel check [options] PATH…",
    "Runs ONNX test directories. A PATH holds a model.onnx with test_data_set_0, … beside it, "
    "or is\n"
    "a tree of such. Each gives a line PASS, FAIL or SKIP with its name and reason; the last "
    "line\n"
    "is 'N passed, N failed, N skipped'. The exit status is 1 when one failed.",
};

static bool handle(void *context, const char *name, const char *value)
{
    run *r = context;
    int64_t n = 0;
    if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &r->options.execute.device,
                                &r->options.execute.device_number);
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &r->options.execute.precision);
    if (strcmp(name, "rtol") == 0)
        return gml_cli_double(value, &r->options.rtol) && r->options.rtol >= 0;
    if (strcmp(name, "atol") == 0)
        return gml_cli_double(value, &r->options.atol) && r->options.atol >= 0;
    if (strcmp(name, "off") == 0) {
        r->off[r->n_off++] = value;
        return r->n_off < GML_CLI_PASSES && gml_cli_pass(value);
    }
    if (strcmp(name, "threads") == 0) {
        bool ok = gml_cli_int(value, &n) && n >= 1 && n <= 256;
        r->options.execute.n_threads = (int)n;
        return ok;
    }
    r->json = true;
    return true;
}

static void report(run *r, const char *name, const gml_check_result *result)
{
    static const char *const words[] = {"PASS", "FAIL", "SKIP"};
    static const char *const lower[] = {"pass", "fail", "skip"};
    if (!r->json) {
        printf("%s %s%s%s\n", words[result->verdict], name, result->why ? ": " : "",
               result->why ? result->why : "");
        return;
    }
    json_array_append_new(r->rows,
                          json_pack("{s:o, s:s, s:o, s:o}", "name", gml_json_text(name),
                                    "verdict", lower[result->verdict], "deviation",
                                    gml_json_real(result->deviation), "why",
                                    gml_json_text(result->why)));
}

static void check_one(run *r, const char *path)
{
    gml_arena arena;
    gml_arena_init(&arena);
    gml_check_result result;
    gml_check_directory(path, &r->options, &arena, &result);
    const char *slash = strrchr(path, '/');
    report(r, slash && slash[1] ? slash + 1 : path, &result);
    r->counts[result.verdict]++;
    fflush(stdout);
    gml_arena_reset(&arena);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every test below `path`; false when it cannot be read. */
static bool check_tree(run *r, const char *path, int depth)
{
    if (gml_check_is_test(path)) {
        check_one(r, path);
        return true;
    }
    DIR *dir = depth < 8 ? opendir(path) : NULL;
    if (!dir)
        return false;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_vec(char *) names = {NULL, 0, 0};
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            gml_push(&arena, &names, gml_arena_printf(&arena, "%s/%s", path, entry->d_name));
    closedir(dir);
    if (names.count)
        qsort(names.items, names.count, sizeof *names.items, by_name);
    for (size_t i = 0; i < names.count; i++)
        check_tree(r, names.items[i], depth + 1);
    gml_arena_reset(&arena);
    return true;
}

/* Once, not for each test. */
static int check_precision(const gml_execute_options *execute)
{
    gml_arena arena;
    gml_diags diags;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_status status = gml_precision_check(execute->device, execute->precision, &diags);
    int exit_status = status == GML_OK ? 0 : gml_cli_fail(&diags, status);
    gml_arena_reset(&arena);
    return exit_status;
}

int gml_verb_check(int argc, char **argv)
{
    run r = {.options = {.rtol = -1, .atol = -1, .execute = {.verify = true}}};
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    if (n < 0)
        return -1 - n;
    if (n == 0) {
        fputs("gemel: check needs a test directory; --help says more\n", stderr);
        return 2;
    }
    int status = check_precision(&r.options.execute);
    if (status)
        return status;
    r.options.execute.off = r.off;
    r.rows = json_array();
    for (int i = 1; i <= n; i++) {
        size_t len = strlen(argv[i]);
        while (len > 1 && argv[i][len - 1] == '/')
            argv[i][--len] = '\0';
        if (check_tree(&r, argv[i], 0))
            continue;
        fprintf(stderr, "gemel: %s is no test directory and cannot be listed\n", argv[i]);
        status = 3;
    }
    if (r.json)
        status = gml_json_print(json_incref(r.rows)) ? 5 : status;
    else
        printf("%u passed, %u failed, %u skipped\n", r.counts[0], r.counts[1], r.counts[2]);
    json_decref(r.rows);
    return status ? status : (r.counts[1] ? 1 : 0);
}
