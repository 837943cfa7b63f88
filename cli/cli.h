/* cli/cli.h - the command line: verbs, options, output. Private to cli/.
 *
 * A verb is a row of the table in main.c and a file. It returns the program's exit status: 0, 1
 * (it ran and the answer is bad), 2 (usage), 3 (bad input), 4 (not supported), 5 (machine).
 */
#ifndef GML_CLI_CLI_H
#define GML_CLI_CLI_H

#include "base/diag.h"

typedef struct gml_verb {
    const char *name;
    const char *doc;                   /* one line for `gemel --help` */
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
} gml_verb;

/* One option of a verb: --name VALUE or --name=VALUE, or a flag; with a letter also -o VALUE.
 */
typedef struct gml_cli_option {
    const char *name;  /* without dashes; NULL ends the table */
    const char *value; /* what the help calls its value; NULL: a flag */
    const char *doc;
    char letter; /* the short form, '\0': none */
} gml_cli_option;

typedef struct gml_cli {
    const gml_cli_option *options;
    const char *usage; /* "gemel check [options] PATH…" */
    const char *doc;   /* what the verb does, for --help */
} gml_cli;

/* Called for each option found; returns false when the value is no good. */
typedef bool (*gml_cli_handler)(void *context, const char *name, const char *value);

/* Sorts argv into options (handled at once) and operands (left in argv[1..]; their count is
 * returned). --help prints and exits with 0, a fault prints what is wrong and exits with 2:
 * then the return value is negative, -1 - status. */
int gml_cli_parse(const gml_cli *cli, int argc, char **argv, gml_cli_handler handler,
                  void *context);

/* Prints diagnostics to standard error and returns the exit status of `status`. */
int gml_cli_fail(const gml_diags *diags, gml_status status);

bool gml_cli_int(const char *text, int64_t *out_value);
/* "600M", "1.5G": bytes, more than none; k, M, G and T are powers of a thousand. */
bool gml_cli_size(const char *text, uint64_t *out_bytes);
/* "NAME=N" with N not negative; the name is copied into `arena`. */
bool gml_cli_pair(gml_arena *arena, const char *text, const char **out_name,
                  int64_t *out_value);
bool gml_cli_double(const char *text, double *out_value);

/* What happens when there is no memory, or a signal ends the program: temporaries are removed;
 * the exit status is 5, or the signal's. */
void gml_cli_prepare_ending(void);

/* For work that is to be saved first: from now on the first signal to end is only noted, and a
 * second one ends the program as before. */
void gml_cli_defer_ending(void);
int gml_cli_wanted_ending(void); /* the signal that was noted, or 0 */
/* Ends the program by that signal; does nothing without one. */
void gml_cli_end_as_wanted(void);

#define GML_CLI_PASSES 32 /* that one command may leave out */

/* True when `name` is a pass that may be left out; else says on standard error why not. */
bool gml_cli_pass(const char *name);

int gml_verb_check(int argc, char **argv);
int gml_verb_bench(int argc, char **argv);
int gml_verb_compare(int argc, char **argv);
int gml_verb_compile(int argc, char **argv);
int gml_verb_eval(int argc, char **argv);
int gml_verb_export(int argc, char **argv);
int gml_verb_info(int argc, char **argv);
int gml_verb_kernels(int argc, char **argv);
int gml_verb_pictures(int argc, char **argv);
int gml_verb_run(int argc, char **argv);
int gml_verb_train(int argc, char **argv);
int gml_verb_weights(int argc, char **argv);

#endif
