/* api/command.c - another program, run and waited for. */
#define _GNU_SOURCE /* environ */

#include "api/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GML_FIRST_NAP   1000000L /* nanoseconds between two looks at it; they double up to … */
#define GML_LONGEST_NAP 32000000L

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

/* As posix_spawn wants them, which changes nothing in them. */
static char **copy_arguments(const char *const *argv, gml_arena *arena)
{
    gml_vec(char *) list = {0};
    for (size_t i = 0; argv[i]; i++)
        gml_push(arena, &list, gml_arena_text(arena, argv[i], strlen(argv[i])));
    gml_push(arena, &list, NULL);
    return list.items;
}

/* An errno, or 0. */
static int start(const gml_command *command, char **argv, pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    int flags = O_WRONLY | O_CREAT | O_TRUNC;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!failed && command->output)
        failed = posix_spawn_file_actions_addopen(&actions, 1, command->output, flags, 0600);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&actions, 2, command->errors, flags, 0600);
    if (!failed)
        failed = posix_spawnp(out_pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Looks again and again, since no call waits for a while only. Killed and waited for after
 * `seconds`, which sets `*out_late`. False with errno. */
static bool wait_for(pid_t pid, unsigned seconds, int *out_status, bool *out_late)
{
    struct timespec started;
    struct timespec nap = {.tv_nsec = GML_FIRST_NAP};
    clock_gettime(CLOCK_MONOTONIC, &started);
    *out_late = false;
    for (;;) {
        bool looks = seconds != 0 && !*out_late;
        pid_t ended = waitpid(pid, out_status, looks ? WNOHANG : 0);
        if (ended == pid)
            return true;
        if (ended < 0 && errno != EINTR)
            return false;
        if (ended < 0)
            continue;
        if (seconds_since(&started) > seconds) {
            *out_late = true;
            kill(pid, SIGKILL);
            continue;
        }
        nanosleep(&nap, NULL);
        nap.tv_nsec = nap.tv_nsec < GML_LONGEST_NAP ? 2 * nap.tv_nsec : GML_LONGEST_NAP;
    }
}

const char *gml_command_run(const gml_command *command, gml_arena *arena)
{
    pid_t pid = 0;
    int status = 0;
    bool is_late = false;
    int failed = start(command, copy_arguments(command->argv, arena), &pid);
    if (failed)
        return gml_arena_printf(arena, "cannot be run: %s", strerror(failed));
    if (!wait_for(pid, command->seconds, &status, &is_late))
        return gml_arena_printf(arena, "cannot be waited for: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    if (is_late)
        return gml_arena_printf(arena, "was not done after %u s", command->seconds);
    if (WIFSIGNALED(status))
        return gml_arena_printf(arena, "was ended by signal %d", WTERMSIG(status));
    const char *line = first_line(arena, command->errors);
    return *line ? gml_arena_printf(arena, "failed: %s", line)
                 : gml_arena_printf(arena, "failed with status %d", WEXITSTATUS(status));
}
