/* api/artifact_cc.c - the system's C compiler, run to link an artifact. */
#define _GNU_SOURCE

#include "api/artifact_cc.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static const char *first_line(gml_arena *arena, const char *path)
{
    char line[400] = "";
    FILE *file = fopen(path, "rb");
    if (file) {
        size_t len = fread(line, 1, sizeof line - 1, file);
        line[len] = '\0';
        line[strcspn(line, "\n")] = '\0';
        fclose(file);
    }
    return gml_arena_text(arena, line, strlen(line));
}

typedef gml_vec(char *) argument_list;

static void add(gml_arena *arena, argument_list *list, const char *text)
{
    gml_push(arena, list, gml_arena_text(arena, text, strlen(text)));
}

static char **make_arguments(const gml_cc_job *job, gml_arena *arena)
{
    const char *const args[] = {
        job->cc ? job->cc : "cc", "-shared", "-fPIC", "-O1", "-o", job->output, job->stub,
    };
    const char *const more[] = {
        job->runtime,
        "-Wl,--exclude-libs,ALL",
        "-Xlinker", /* -Wl would split a path at its commas */
        "--version-script",
        "-Xlinker",
        job->exports,
        "-Wl,--gc-sections",
        "-Wl,--as-needed",
        "-Wl,-z,noexecstack",
        "-Wl,-z,defs", /* what is missing is missed now, not when the library is loaded */
        "-Wl,--build-id=none", /* the same input gives the same bytes */
        "-Wl,-s",
    };
    argument_list list = {0};
    for (size_t i = 0; i < sizeof args / sizeof *args; i++)
        add(arena, &list, args[i]);
    for (const char *const *object = job->objects; *object; object++)
        add(arena, &list, *object);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        add(arena, &list, more[i]);
    for (const char *const *library = job->libraries; *library; library++)
        add(arena, &list, *library);
    add(arena, &list, "-lm");
    add(arena, &list, "-lpthread");
    gml_push(arena, &list, NULL);
    return list.items;
}

/* False with errno when it cannot be run. */
static bool run(char **argv, const char *log, int *out_status)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        errno = failed;
        return false;
    }
    while (waitpid(pid, out_status, 0) < 0 && errno == EINTR)
        continue;
    return true;
}

static gml_status link_by(const gml_cc_job *job, gml_arena *arena, gml_diags *diags)
{
    int wait_status = 0;
    char **argv = make_arguments(job, arena);
    gml_loc loc = {.file = argv[0]};
    if (!run(argv, job->log, &wait_status))
        return gml_fail(diags, GML_E_DEVICE, loc, "the C compiler cannot be run: %s",
                        strerror(errno));
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        return GML_OK;
    return gml_fail(diags, GML_E_DEVICE, loc, "the C compiler failed: %s",
                    first_line(arena, job->log));
}

gml_status gml_cc_link(const gml_cc_job *job, gml_diags *diags)
{
    gml_arena arena;
    gml_arena_init(&arena);
    gml_status status = link_by(job, &arena, diags);
    gml_arena_reset(&arena);
    return status;
}
