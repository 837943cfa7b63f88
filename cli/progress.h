/* cli/progress.h - how far long work is: a bar on a terminal, a line now and then elsewhere.
 *
 * Written to standard error, so that results can be redirected. One thread.
 */
#ifndef GML_CLI_PROGRESS_H
#define GML_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* All zero to begin with. */
typedef struct gml_cli_progress {
    const char *stage; /* of the last call */
    int percent;       /* shown last */
    bool is_open;      /* a bar waits for its end of line */
    double shown;      /* when gml_cli_progress_bar drew last, seconds */
} gml_cli_progress;

/* `context` is a gml_cli_progress; fits gml_progress_fn of gemel/build.h. `stage` is static. */
void gml_cli_progress_show(void *context, const char *stage, uint64_t done, uint64_t total);
/* A bar on a terminal, with `text` behind it, at most ten times a second; nothing elsewhere. */
void gml_cli_progress_bar(gml_cli_progress *progress, int64_t done, int64_t total,
                          const char *text);
/* Ends a bar's line, so that other text may follow. */
void gml_cli_progress_end(gml_cli_progress *progress);

#endif
