/* cli/progress.c - bars and lines. */
#define _POSIX_C_SOURCE 200809L
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GML_BAR_WIDTH 40
#define GML_FULL_BAR  "########################################"
#define GML_LINE_STEP 25 /* percent between two lines where there is no terminal */

static void draw_bar(gml_cli_progress *progress)
{
    int width = progress->percent * GML_BAR_WIDTH / 100;
    fprintf(stderr, "\r%-10s [%-*.*s] %3d %%", progress->stage, GML_BAR_WIDTH, width,
            GML_FULL_BAR, progress->percent);
    fflush(stderr);
    progress->is_open = true;
}

void gml_cli_progress_show(void *context, const char *stage, uint64_t done, uint64_t total)
{
    gml_cli_progress *progress = context;
    bool is_new = progress->stage == NULL || strcmp(progress->stage, stage) != 0;
    int percent = total == 0 ? 100 : (int)((double)done / (double)total * 100);
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    int step = is_terminal ? 1 : GML_LINE_STEP;
    if (!is_new && percent / step == progress->percent / step)
        return;
    if (is_new)
        gml_cli_progress_end(progress);
    progress->stage = stage;
    progress->percent = percent;
    if (is_terminal)
        draw_bar(progress);
    else if (percent >= GML_LINE_STEP)
        fprintf(stderr, "%s: %d %%\n", stage, percent);
}

void gml_cli_progress_bar(gml_cli_progress *progress, int64_t done, int64_t total,
                          const char *text)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    if (isatty(STDERR_FILENO) != 1 || (done < total && seconds - progress->shown < 0.1))
        return;
    int width = total > 0 ? (int)((double)done / (double)total * GML_BAR_WIDTH) : 0;
    progress->shown = seconds;
    progress->is_open = true;
    fprintf(stderr, "\r%lld/%lld [%-*.*s]%s\033[K", (long long)done, (long long)total,
            GML_BAR_WIDTH, width, GML_FULL_BAR, text);
    fflush(stderr);
}

void gml_cli_progress_end(gml_cli_progress *progress)
{
    if (progress->is_open)
        fputc('\n', stderr);
    progress->is_open = false;
}
