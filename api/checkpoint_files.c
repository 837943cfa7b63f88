/* api/checkpoint_files.c - a run's folder: its lock, its checkpoints by their names. */
#define _POSIX_C_SOURCE 200809L

#include "api/checkpoint_files.h"

#include "api/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GML_STEM        "checkpoint-"
#define GML_STEP_DIGITS 9 /* at least */

static gml_status fail(const char *path, const char *what, gml_diags *diags)
{
    int error = errno;
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    return gml_fail(diags, GML_E_IO, loc, "%s: %s", what, strerror(error));
}

/* ---- names --------------------------------------------------------------------------------
 */

const char *gml_checkpoint_path(const char *folder, int64_t step, const char *suffix,
                                gml_arena *arena)
{
    return gml_arena_printf(arena, "%s/" GML_STEM "%0*" PRId64 "%s", folder, GML_STEP_DIGITS,
                            step, suffix);
}

/* The step of a name as gml_checkpoint_path makes it; -1 for all others. `*out_suffix` is what
 * follows the number. */
static int64_t step_of(const char *name, const char **out_suffix)
{
    size_t len = strlen(GML_STEM);
    if (strncmp(name, GML_STEM, len) != 0)
        return -1;
    size_t digits = strspn(name + len, "0123456789");
    if (digits < GML_STEP_DIGITS || digits > 18)
        return -1;
    *out_suffix = name + len + digits;
    return (int64_t)strtoll(name + len, NULL, 10);
}

static int newest_first(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left < right) - (left > right);
}

gml_status gml_checkpoint_list(const char *folder, gml_arena *arena,
                               gml_checkpoint_steps *out_steps, gml_diags *diags)
{
    gml_vec(int64_t) steps = {0};
    const char *suffix = NULL;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return fail(folder, "cannot read the folder", diags);
    for (struct dirent *entry = NULL; (entry = readdir(dir)) != NULL;) {
        int64_t step = step_of(entry->d_name, &suffix);
        if (step >= 0 && strcmp(suffix, ".json") == 0)
            gml_push(arena, &steps, step);
    }
    closedir(dir);
    if (steps.count > 0)
        qsort(steps.items, steps.count, sizeof *steps.items, newest_first);
    *out_steps = (gml_checkpoint_steps){steps.items, steps.count};
    return GML_OK;
}

/* ---- removing -----------------------------------------------------------------------------
 */

static bool is_listed(const gml_checkpoint_steps *steps, int64_t step)
{
    for (size_t i = 0; i < steps->count; i++)
        if (steps->items[i] == step)
            return true;
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* States without a manifest, and temporaries. */
static gml_status remove_leavings(const char *folder, gml_arena *arena, gml_diags *diags)
{
    const char *suffix = NULL;
    gml_checkpoint_steps steps = {0};
    GML_TRY(gml_checkpoint_list(folder, arena, &steps, diags));
    DIR *dir = opendir(folder);
    for (struct dirent *entry = NULL; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int64_t step = step_of(entry->d_name, &suffix);
        bool is_orphan =
            strcmp(step >= 0 ? suffix : "", ".safetensors") == 0 && !is_listed(&steps, step);
        if (is_orphan || (step >= 0 && ends_with(suffix, ".tmp")))
            (void)unlink(gml_arena_printf(arena, "%s/%s", folder, entry->d_name));
    }
    if (dir != NULL)
        closedir(dir);
    return GML_OK;
}

/* The manifest goes first: without it the states are nothing. */
void gml_checkpoint_prune(const char *folder, int64_t step, int64_t keep)
{
    gml_arena arena;
    gml_diags diags;
    gml_checkpoint_steps steps = {0};
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_status status = gml_checkpoint_list(folder, &arena, &steps, &diags);
    int64_t kept = 0;
    for (size_t i = 0; status == GML_OK && i < steps.count; i++) {
        if (steps.items[i] > step || ++kept <= keep)
            continue;
        if (unlink(gml_checkpoint_path(folder, steps.items[i], ".json", &arena)) == 0)
            (void)unlink(gml_checkpoint_path(folder, steps.items[i], ".safetensors", &arena));
    }
    gml_arena_reset(&arena);
}

/* ---- the lock -----------------------------------------------------------------------------
 */

gml_status gml_run_lock(const char *folder, int *out_lock, gml_diags *diags)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail(folder, "cannot make the folder", diags);
    const char *path = gml_arena_printf(diags->arena, "%s/lock", folder);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock < 0)
        return fail(path, "cannot create", diags);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock, F_SETLK, &whole) != 0) {
        bool taken = errno == EACCES || errno == EAGAIN;
        gml_status status = taken ? gml_fail(diags, GML_E_USAGE, (gml_loc){.file = folder},
                                             "another training is writing there")
                                  : fail(path, "cannot lock", diags);
        close(lock);
        return status;
    }
    gml_status status = remove_leavings(folder, diags->arena, diags);
    if (status != GML_OK)
        close(lock);
    else
        *out_lock = lock;
    return status;
}

void gml_run_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
