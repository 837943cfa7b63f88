/* api/ptxas.c - NVIDIA's assembler, where it is installed. */
#define _POSIX_C_SOURCE 200809L

#include "api/ptxas.h"

#include "api/command.h"
#include "base/file.h"
#include "base/leftover.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GML_PTXAS_INSTALLED  "/usr/local/cuda/bin/ptxas"
#define GML_VERSION_SECONDS  60
#define GML_ASSEMBLE_SECONDS 900 /* a training step of 200 kernels takes eight */

/* ---- where it is --------------------------------------------------------------------------
 */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* NULL when no folder of PATH has it. What is in the current folder is not run by accident. */
static const char *search(gml_arena *arena, const char *name)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        const char *path = gml_arena_printf(arena, "%.*s/%s", (int)len, at, name);
        if (at[0] == '/' && is_program(path))
            return path;
        at += len + (at[len] == ':');
    }
    return NULL;
}

static const char *locate(gml_arena *arena, const char **out_path)
{
    const char *named = getenv("GEMEL_PTXAS");
    if (named == NULL) {
        *out_path = search(arena, "ptxas");
        if (*out_path == NULL && is_program(GML_PTXAS_INSTALLED))
            *out_path = GML_PTXAS_INSTALLED;
        return *out_path ? NULL : "there is no ptxas in PATH, and no " GML_PTXAS_INSTALLED;
    }
    if (*named == '\0' || strcmp(named, "none") == 0)
        return "GEMEL_PTXAS says that there is to be no ptxas";
    if (strchr(named, '/') == NULL)
        *out_path = search(arena, named);
    else
        *out_path = is_program(named) ? gml_arena_text(arena, named, strlen(named)) : NULL;
    return *out_path ? NULL : gml_arena_printf(arena, "GEMEL_PTXAS: %s is no program", named);
}

/* ---- running it ---------------------------------------------------------------------------
 */

/* What is made in a folder of its own. */
enum { GML_PTX, GML_CUBIN, GML_OUTPUT, GML_ERRORS, GML_TEMPORARIES };
static const char *const temporaries[GML_TEMPORARIES] = {"kernels.ptx", "kernels.cubin",
                                                         "output", "errors"};

typedef struct workshop {
    char *folder;
    const char *paths[GML_TEMPORARIES]; /* of what is in it */
} workshop;

/* From here on all is removed however the process ends. False with `*out_why`. */
static bool open_workshop(workshop *w, gml_arena *arena, const char **out_why)
{
    const char *base = getenv("TMPDIR");
    w->folder =
        gml_arena_printf(arena, "%s/gemel-XXXXXX", base && *base == '/' ? base : "/tmp");
    if (mkdtemp(w->folder) == NULL) {
        *out_why = gml_arena_printf(arena, "%s cannot be made: %s", w->folder, strerror(errno));
        return false;
    }
    gml_leftover_add(w->folder);
    for (size_t i = 0; i < GML_TEMPORARIES; i++) {
        w->paths[i] = gml_arena_printf(arena, "%s/%s", w->folder, temporaries[i]);
        gml_leftover_add(w->paths[i]);
    }
    return true;
}

static void close_workshop(workshop *w)
{
    for (size_t i = 0; i < GML_TEMPORARIES; i++) {
        unlink(w->paths[i]);
        gml_leftover_drop(w->paths[i]);
    }
    rmdir(w->folder);
    gml_leftover_drop(w->folder);
}

static const char *run(const workshop *w, const char *const *argv, unsigned seconds,
                       gml_arena *arena)
{
    gml_command command = {.argv = argv,
                           .output = w->paths[GML_OUTPUT],
                           .errors = w->paths[GML_ERRORS],
                           .seconds = seconds};
    const char *why = gml_command_run(&command, arena);
    return why ? gml_arena_printf(arena, "%s %s", argv[0], why) : NULL;
}

static const char *read_file(const char *path, gml_str *out, gml_arena *arena)
{
    gml_diags diags;
    gml_file file;
    gml_diags_init(&diags, arena);
    if (gml_file_map(path, &file, &diags) != GML_OK)
        return diags.list.items[0].text;
    gml_str_append(out, file.data, file.size);
    gml_file_unmap(&file);
    return NULL;
}

/* ---- its version --------------------------------------------------------------------------
 */

/* The last one that was asked, as long as the file is the same. */
static pthread_mutex_t version_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    unsigned char version[GML_SHA256_SIZE];
} asked;

static bool was_asked(const struct stat *info)
{
    return asked.inode == info->st_ino && asked.device == info->st_dev &&
           asked.size == info->st_size && asked.changed.tv_sec == info->st_mtim.tv_sec &&
           asked.changed.tv_nsec == info->st_mtim.tv_nsec;
}

static const char *ask(const char *path, unsigned char *out_version, gml_arena *arena)
{
    workshop w;
    gml_str text;
    gml_sha256 sum;
    const char *argv[] = {path, "--version", NULL};
    const char *why = NULL;
    if (!open_workshop(&w, arena, &why))
        return why;
    gml_str_init(&text);
    why = run(&w, argv, GML_VERSION_SECONDS, arena);
    if (!why)
        why = read_file(w.paths[GML_OUTPUT], &text, arena);
    if (!why && text.len == 0)
        why = gml_arena_printf(arena, "%s does not say its version", path);
    gml_sha256_init(&sum);
    gml_sha256_add(&sum, text.text, text.len);
    gml_sha256_end(&sum, out_version);
    gml_str_reset(&text);
    close_workshop(&w);
    return why;
}

const char *gml_ptxas_find(gml_arena *arena, gml_ptxas *out_ptxas)
{
    struct stat info;
    const char *why = locate(arena, &out_ptxas->path);
    if (why)
        return why;
    if (stat(out_ptxas->path, &info) != 0)
        return gml_arena_printf(arena, "%s: %s", out_ptxas->path, strerror(errno));
    pthread_mutex_lock(&version_lock);
    if (!was_asked(&info)) {
        why = ask(out_ptxas->path, asked.version, arena);
        asked.device = info.st_dev;
        asked.inode = why ? 0 : info.st_ino; /* no file has this number */
        asked.size = info.st_size;
        asked.changed = info.st_mtim;
    }
    memcpy(out_ptxas->version, asked.version, sizeof asked.version);
    pthread_mutex_unlock(&version_lock);
    return why;
}

/* ---- assembling ---------------------------------------------------------------------------
 */

static const char *write_ptx(const char *path, const char *ptx, size_t len, gml_arena *arena)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(ptx, 1, len, file) == len;
    if (file && fclose(file) != 0)
        ok = false;
    return ok ? NULL
              : gml_arena_printf(arena, "%s cannot be written: %s", path, strerror(errno));
}

static const char *assemble(const workshop *w, const gml_ptxas *ptxas, const char *architecture,
                            gml_str *out, gml_arena *arena)
{
    static const char magic[] = "\177ELF";
    const char *argv[] = {ptxas->path,
                          gml_arena_printf(arena, "-arch=%s", architecture),
                          GML_PTXAS_OPTIONS,
                          "-o",
                          w->paths[GML_CUBIN],
                          w->paths[GML_PTX],
                          NULL};
    gml_str cubin;
    const char *why = run(w, argv, GML_ASSEMBLE_SECONDS, arena);
    if (why)
        return why;
    gml_str_init(&cubin);
    why = read_file(w->paths[GML_CUBIN], &cubin, arena);
    if (why)
        why = gml_arena_printf(arena, "%s leaves no cubin: %s", ptxas->path, why);
    else if (cubin.len < sizeof magic || memcmp(cubin.text, magic, strlen(magic)) != 0)
        why = gml_arena_printf(arena, "%s leaves %zu bytes, which are no cubin", ptxas->path,
                               cubin.len);
    else
        gml_str_append(out, cubin.text, cubin.len);
    gml_str_reset(&cubin);
    return why;
}

const char *gml_ptxas_assemble(const gml_ptxas *ptxas, const char *ptx, size_t len,
                               const char *architecture, gml_str *out, gml_arena *arena)
{
    workshop w;
    const char *why = NULL;
    if (!open_workshop(&w, arena, &why))
        return why;
    why = write_ptx(w.paths[GML_PTX], ptx, len, arena);
    if (!why)
        why = assemble(&w, ptxas, architecture, out, arena);
    close_workshop(&w);
    return why;
}
