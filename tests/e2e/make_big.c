/* tests/e2e/make_big.c - a model with weights to speak of, and how much memory a command needs.
 *
 *     make_big FILE            writes a model of 118 MB: weights that are packed, one that is
 *                              folded first, and a table that stays as it is
 *     make_big --peak COMMAND  runs it; prints the largest resident set, in bytes, that it or a
 *                              process it waited for had, and ends with its exit status
 */
#define _DEFAULT_SOURCE /* wait4 */

#include "gemel/build.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDTH = 2048, ROWS = 2048, TOKENS = 32, LAYERS = 5 };

static gml_value *multiply(gml_builder *b, gml_value *x, const char *name, bool is_transposed)
{
    gml_value *w = gml_builder_weight(b, name, GML_F32, 2, (int64_t[]){WIDTH, WIDTH},
                                      gml_fill_uniform(-0.04, 0.04));
    if (is_transposed)
        w = gml_builder_node(b, &(gml_node_spec){.op = "Transpose",
                                                 .inputs = {w},
                                                 .attrs = {GML_INTS("perm", 1, 0)}});
    return gml_builder_node(b, &(gml_node_spec){.op = "MatMul", .inputs = {x, w}});
}

static int write_model(const char *path)
{
    gml_builder *b = gml_builder_create("big", 20, 1);
    gml_value *table = gml_builder_weight(b, "table", GML_F32, 2, (int64_t[]){ROWS, WIDTH},
                                          gml_fill_uniform(-1, 1));
    gml_value *x = gml_builder_input(b, "tokens", GML_I64, 1, (gml_extent[]){{TOKENS, NULL}});
    x = gml_builder_node(b, &(gml_node_spec){.op = "Gather", .inputs = {table, x}});
    for (int i = 0; i <= LAYERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "w%d", i);
        x = multiply(b, x, name, i == 0);
    }
    gml_builder_output(b, x, "y");
    gml_status status = gml_builder_save(b, path, NULL);
    if (status != GML_OK)
        fputs(gml_builder_message(b), stderr);
    gml_builder_destroy(b);
    return gml_status_exit(status);
}

static int show_peak(char **command)
{
    struct rusage usage;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(2, 1); /* the number alone on standard output */
        execvp(command[0], command);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
        return 1;
    printf("%lld\n", usage.ru_maxrss * 1024LL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--peak") == 0)
        return show_peak(argv + 2);
    if (argc == 2)
        return write_model(argv[1]);
    fputs("usage: make_big FILE, or make_big --peak COMMAND…\n", stderr);
    return 2;
}
