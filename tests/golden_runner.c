/* tests/golden_runner.c - runs the golden cases of files: text in, the exact text out.
 *
 *     golden_runner [--bless] FILE…
 *
 * A file holds cases, `## name` above each: input, a line `=>`, then what is expected: the
 * printed graph or the diagnostics. `# RUN: a,b` before the first case, or in one case's input,
 * names what is done to the graph once it is parsed and verified; it is verified again at the
 * end. `# STATES: w=w2, m=m2` in a case's input makes the parameter %w a state that becomes the
 * result %w2. Every printed graph must read back and print the same. `--bless` writes what came
 * out in the place of what was expected. Lines in diagnostics count from the case's first line.
 */
#include "base/str.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A piece of the file. */
typedef struct slice {
    const char *text;
    size_t len;
} slice;

typedef struct golden_case {
    slice name;
    slice input;
    slice expected;
} golden_case;

static slice next_line(const char **at)
{
    slice line = {*at, strcspn(*at, "\n")};
    *at += line.len + ((*at)[line.len] == '\n');
    return line;
}

static bool starts_with(slice line, const char *prefix)
{
    return line.len >= strlen(prefix) && memcmp(line.text, prefix, strlen(prefix)) == 0;
}

/* Reads everything up to a line that starts with `stop`, or the end. Blank lines at the end do
 * not count; the stopping line is not read. */
static slice read_until(const char **at, const char *stop)
{
    slice piece = {*at, 0};
    while (**at != '\0') {
        const char *line_start = *at;
        slice line = next_line(at);
        if (starts_with(line, stop)) {
            *at = line_start;
            break;
        }
        if (line.len != 0)
            piece.len = (size_t)(*at - piece.text);
    }
    return piece;
}

static bool read_case(const char **at, golden_case *out)
{
    if (**at == '\0')
        return false;
    slice title = next_line(at);
    out->name = (slice){title.text + 3, title.len > 3 ? title.len - 3 : 0};
    const char *after = *at;
    slice whole = read_until(&after, "## ");
    out->input = read_until(at, "=>");
    if (*at >= after) { /* no arrow in this case: nothing is expected yet */
        out->input = whole;
        out->expected = (slice){after, 0};
    } else {
        next_line(at);
        out->expected = read_until(at, "## ");
    }
    *at = after;
    return true;
}

/* The list behind the last `# RUN:` of `text`, or `fallback`. */
static slice find_run(slice text, slice fallback)
{
    slice found = fallback;
    for (const char *at = text.text; at < text.text + text.len;) {
        slice line = next_line(&at);
        if (starts_with(line, "# RUN:"))
            found = (slice){line.text + 6, line.len - 6};
    }
    return found;
}

/* ---- One case --------------------------------------------------------------------------- */

/* Whether an option of a name is `word`. */
static bool is_option(slice option, const char *word)
{
    return option.len == strlen(word) && memcmp(option.text, word, option.len) == 0;
}

/* One name of a RUN line, done to the graph; NAME:N allows so many bytes of memory, NAME:gpu is
 * for a GPU, NAME:bf16 for one whose products round their operands to that. */
static gml_status run_step(gml_module *module, slice name, gml_diags *diags)
{
    gml_passes_options options = {.memory = 0};
    const char *colon = memchr(name.text, ':', name.len);
    if (colon != NULL) {
        slice option = {colon + 1, name.len - (size_t)(colon + 1 - name.text)};
        options.bf16_products = is_option(option, "bf16");
        options.is_gpu = options.bf16_products || is_option(option, "gpu");
        if (!options.is_gpu)
            options.memory = strtoull(colon + 1, NULL, 10);
        name.len = (size_t)(colon - name.text);
    }
    if (name.len == 5 && memcmp(name.text, "parse", 5) == 0)
        return GML_OK;
    size_t n = 0;
    const gml_pass *passes = gml_pass_table(&n);
    for (size_t i = 0; i < n; i++)
        if (strlen(passes[i].name) == name.len &&
            memcmp(passes[i].name, name.text, name.len) == 0)
            return gml_passes_run(module, passes[i].name, &options, diags);
    return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there is no pass '%.*s'", (int)name.len,
                    name.text);
}

static uint32_t find_value(gml_value *const *values, uint32_t n, slice name)
{
    for (uint32_t i = 0; i < n; i++)
        if (values[i]->name != NULL && strlen(values[i]->name) == name.len &&
            memcmp(values[i]->name, name.text, name.len) == 0)
            return i;
    return GML_NO_INDEX;
}

/* Makes states of the pairs PARAM=RESULT in the lines `# STATES:`. */
static gml_status set_states(gml_module *module, slice text, gml_diags *diags)
{
    const gml_graph *graph = module->main;
    for (const char *at = text.text; at < text.text + text.len;) {
        slice line = next_line(&at);
        const char *word = line.text + (starts_with(line, "# STATES:") ? 10 : line.len);
        while (word < line.text + line.len) {
            slice param = {word, strcspn(word, "=\n")};
            const char *second = param.text + param.len + 1;
            slice result = {second, strcspn(second, ", \n")};
            gml_state state = {.name = "state",
                               .param = find_value(graph->params, graph->n_params, param),
                               .result = find_value(graph->results, graph->n_results, result)};
            if (state.param == GML_NO_INDEX || state.result == GML_NO_INDEX)
                return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "no state %.*s=%.*s",
                                (int)param.len, param.text, (int)result.len, result.text);
            gml_push(&module->arena, &module->states, state);
            word = result.text + result.len;
            word += strspn(word, ", ");
        }
    }
    return GML_OK;
}

static gml_status run_steps(gml_module *module, slice run, gml_diags *diags)
{
    GML_TRY(gml_module_verify(module, diags));
    for (size_t at = 0; at < run.len;) {
        slice name = {run.text + at, 0};
        while (at + name.len < run.len && strchr(", ", name.text[name.len]) == NULL)
            name.len++;
        if (name.len != 0)
            GML_TRY(run_step(module, name, diags));
        at += name.len + 1;
    }
    return gml_module_verify(module, diags);
}

/* What is printed must read back as what it was. A hash in the place of elements cannot. */
static gml_status check_reading_back(const gml_str *printed, gml_diags *diags)
{
    gml_module *module;
    gml_str again;
    if (strstr(printed->text, "{...") != NULL)
        return GML_OK;
    GML_TRY(gml_text_parse(printed->text, printed->len, "printed", diags, &module));
    gml_str_init(&again);
    gml_graph_print(module->main, &again);
    gml_status status = GML_OK;
    if (strcmp(again.text, printed->text) != 0)
        status = gml_fail(diags, GML_E_MISMATCH, (gml_loc){0}, "it reads back differently");
    gml_str_reset(&again);
    gml_module_destroy(module);
    return status;
}

/* Appends what the case gives: a graph, or diagnostics. */
static void run_case(const golden_case *c, slice run, const char *file, gml_str *out)
{
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    gml_str printed;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_str_init(&printed);
    gml_status status = gml_text_parse(c->input.text, c->input.len, file, &diags, &module);
    if (status == GML_OK)
        status = set_states(module, c->input, &diags);
    if (status == GML_OK)
        status = run_steps(module, find_run(c->input, run), &diags);
    if (status == GML_OK) {
        gml_graph_print(module->main, &printed);
        status = check_reading_back(&printed, &diags);
    }
    gml_str_puts(out, status == GML_OK ? printed.text : gml_diags_print(&diags));
    gml_module_destroy(module);
    gml_str_reset(&printed);
    gml_arena_reset(&arena);
}

/* ---- Files ------------------------------------------------------------------------------ */

static bool read_file(const char *path, gml_str *out)
{
    char buffer[4096];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), file)) > 0;)
        gml_str_append(out, buffer, n);
    bool good = !ferror(file);
    fclose(file);
    return good;
}

static bool write_file(const char *path, const gml_str *text)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    bool good = fwrite(text->text, 1, text->len, file) == text->len;
    return fclose(file) == 0 && good;
}

/* Runs every case of `text`; the number of wrong ones. `blessed` becomes the file as it should
 * be. */
static int run_cases(const char *path, const char *text, gml_str *blessed)
{
    int n_wrong = 0;
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    const char *at = text;
    golden_case c;
    slice head = read_until(&at, "## ");
    slice run = find_run(head, (slice){"", 0});
    gml_str_append(blessed, head.text, head.len);
    while (read_case(&at, &c)) {
        size_t start = blessed->len;
        gml_str_printf(blessed, "%s## %.*s\n", start == 0 ? "" : "\n", (int)c.name.len,
                       c.name.text);
        gml_str_append(blessed, c.input.text, c.input.len);
        gml_str_puts(blessed, "=>\n");
        start = blessed->len;
        run_case(&c, run, file, blessed);
        const char *actual = blessed->text + start;
        size_t len = blessed->len - start;
        if (len == c.expected.len && memcmp(actual, c.expected.text, len) == 0)
            continue;
        n_wrong++;
        printf("%s: %.*s\n--- expected\n%.*s--- found\n%s\n", path, (int)c.name.len,
               c.name.text, (int)c.expected.len, c.expected.text, actual);
    }
    return n_wrong;
}

int main(int argc, char **argv)
{
    int n_wrong = 0;
    bool bless = argc > 1 && strcmp(argv[1], "--bless") == 0;
    if (argc < 2 + bless) {
        fprintf(stderr, "usage: golden_runner [--bless] FILE…\n");
        return 2;
    }
    for (int i = 1 + bless; i < argc; i++) {
        gml_str text;
        gml_str blessed;
        gml_str_init(&text);
        gml_str_init(&blessed);
        bool good = read_file(argv[i], &text);
        if (good)
            n_wrong += run_cases(argv[i], text.text, &blessed);
        if (good && bless)
            good = write_file(argv[i], &blessed);
        if (!good)
            fprintf(stderr, "golden_runner: %s: the file cannot be read or written\n", argv[i]);
        n_wrong += !good;
        gml_str_reset(&text);
        gml_str_reset(&blessed);
    }
    return n_wrong == 0 || bless ? EXIT_SUCCESS : EXIT_FAILURE;
}
