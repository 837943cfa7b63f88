/* scripts/gpu/report.h - arguments and results of the measuring programs in C: the same
 * contract as measure.py's. Texts given to report_add are JSON. */
#ifndef GEMEL_GPU_REPORT_H
#define GEMEL_GPU_REPORT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct report {
    const char *section;
    const char *path;
    double seconds; /* the budget */
    int smoke;
    double begin;
    char started[32];
    char *lists[3]; /* results, skipped, errors: objects separated by commas */
} report;

enum { REPORT_RESULTS, REPORT_SKIPPED, REPORT_ERRORS };

static inline double report_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double report_left(const report *r)
{
    return r->seconds - (report_now() - r->begin);
}

static inline void report_write(const report *r)
{
    static const char *const names[] = {"results", "skipped", "errors"};
    char part[4096];
    snprintf(part, sizeof part, "%s.part", r->path);
    FILE *file = fopen(part, "w");
    if (!file) {
        perror(part);
        exit(1);
    }
    fprintf(file, "{\"section\": \"%s\", \"started\": \"%s\", \"seconds\": %.1f", r->section,
            r->started, report_now() - r->begin);
    for (int i = 0; i < 3; i++)
        fprintf(file, ",\n\"%s\": [%s]", names[i], r->lists[i] ? r->lists[i] : "");
    fprintf(file, "}\n");
    if (fclose(file) != 0 || rename(part, r->path) != 0) {
        perror(r->path);
        exit(1);
    }
}

/* Adds the object that `format` makes to a list, and writes the file. */
__attribute__((format(printf, 3, 4))) static inline void report_add(report *r, int list,
                                                                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    size_t before = r->lists[list] ? strlen(r->lists[list]) : 0;
    char *text = (char *)realloc(r->lists[list], before + (size_t)size + 4);
    if (!text)
        abort();
    if (before)
        strcpy(text + before, ",\n");
    va_start(args, format);
    vsnprintf(text + before + (before ? 2 : 0), (size_t)size + 1, format, args);
    va_end(args);
    r->lists[list] = text;
    printf("  %s\n", text + before + (before ? 2 : 0));
    fflush(stdout);
    report_write(r);
}

static inline void report_begin(report *r, const char *section, int argc, char **argv)
{
    memset(r, 0, sizeof *r);
    r->section = section;
    r->seconds = 60;
    r->begin = report_now();
    time_t now = time(NULL);
    strftime(r->started, sizeof r->started, "%Y-%m-%dT%H:%M:%S+00:00", gmtime(&now));
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            r->smoke = 1;
        else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
            r->path = argv[++i];
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            r->seconds = atof(argv[++i]);
        else
            r->path = NULL, i = argc;
    }
    if (!r->path) {
        fprintf(stderr, "usage: %s --out FILE [--seconds S] [--smoke]\n", argv[0]);
        exit(2);
    }
    report_write(r);
}

/* Ends the program when a call failed. */
static inline void report_fail(report *r, const char *what, const char *why)
{
    report_add(r, REPORT_ERRORS, "{\"name\": \"%s\", \"error\": \"%s\"}", what, why);
    exit(1);
}

#endif
