/* cli/options.c - options and messages, the same for every verb. */
#include "api/pipeline.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const gml_cli *cli)
{
    printf("usage: %s\n\n%s\n\n", cli->usage, cli->doc);
    for (const gml_cli_option *option = cli->options; option->name; option++) {
        char head[64];
        char letter[8] = "";
        if (option->letter)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(head, sizeof head, "%s--%s%s%s", letter, option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        printf("  %-24s %s\n", head, option->doc);
    }
    printf("  %-24s %s\n", "--help", "this text");
}

static const gml_cli_option *find_option(const gml_cli *cli, const char *text, size_t len)
{
    for (const gml_cli_option *option = cli->options; option->name; option++)
        if (strlen(option->name) == len && memcmp(option->name, text, len) == 0)
            return option;
    return NULL;
}

static const gml_cli_option *find_letter(const gml_cli *cli, char letter)
{
    for (const gml_cli_option *option = cli->options; option->name; option++)
        if (option->letter == letter)
            return option;
    return NULL;
}

/* The option that `text` names: "--name", "--name=VALUE", or "-o". *out_value is what stands
 * behind '='. */
static const gml_cli_option *read_option(const gml_cli *cli, const char *text,
                                         const char **out_value)
{
    *out_value = NULL;
    if (text[1] != '-')
        return text[2] == '\0' ? find_letter(cli, text[1]) : NULL;
    const char *equals = strchr(text, '=');
    if (equals)
        *out_value = equals + 1;
    return find_option(cli, text + 2, equals ? (size_t)(equals - text - 2) : strlen(text + 2));
}

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "gemel: %s '%s'; --help says more\n", what, which);
    return -1 - 2;
}

int gml_cli_parse(const gml_cli *cli, int argc, char **argv, gml_cli_handler handler,
                  void *context)
{
    int n_operands = 0;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (options && strcmp(text, "--") == 0) {
            options = false;
            continue;
        }
        if (!options || text[0] != '-' || text[1] == '\0') {
            argv[1 + n_operands++] = argv[i];
            continue;
        }
        if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            print_help(cli);
            return -1;
        }
        const char *value = NULL;
        const gml_cli_option *option = read_option(cli, text, &value);
        if (!option)
            return usage_error("there is no option", text);
        if (!option->value && value)
            return usage_error("no value goes with", text);
        if (option->value && !value && ++i < argc)
            value = argv[i];
        if (option->value && !value)
            return usage_error("a value is missing after", text);
        if (!handler(context, option->name, value))
            return usage_error("this value will not do:", value ? value : text);
    }
    return n_operands;
}

int gml_cli_fail(const gml_diags *diags, gml_status status)
{
    fputs(gml_diags_print(diags), stderr);
    return gml_status_exit(status);
}

bool gml_cli_int(const char *text, int64_t *out_value)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out_value = value;
    return errno == 0 && end != text && *end == '\0';
}

bool gml_cli_size(const char *text, uint64_t *out_bytes)
{
    static const char units[] = "kMGT";
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    for (const char *at = units; unit && at <= unit; at++)
        value *= 1e3;
    end += unit != NULL;
    *out_bytes = value >= 1 && value < 1e18 ? (uint64_t)value : 0;
    return errno == 0 && end != text && *end == '\0' && *out_bytes != 0;
}

bool gml_cli_double(const char *text, double *out_value)
{
    char *end = NULL;
    errno = 0;
    *out_value = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0';
}

bool gml_cli_pair(gml_arena *arena, const char *text, const char **out_name, int64_t *out_value)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !gml_cli_int(equals + 1, out_value) || *out_value < 0)
        return false;
    *out_name = gml_arena_text(arena, text, (size_t)(equals - text));
    return true;
}

bool gml_cli_pass(const char *name)
{
    const gml_pass *pass = gml_pass_find(name);
    if (!pass)
        fprintf(stderr, "gemel: there is no pass '%s'\n", name);
    else if (pass->need == GML_PASS_REQUIRED)
        fprintf(stderr, "gemel: pass '%s' cannot be left out: what follows relies on it\n",
                name);
    return pass && pass->need == GML_PASS_OPTIONAL;
}
