/* api/artifact_link.c - a compiled program as a shared library and a C header. */
#define _GNU_SOURCE

#include "api/artifact_link.h"

#include "api/artifact_text.h"
#include "base/leftover.h"
#include "runtime/artifact.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What is made in a folder of its own. */
enum { GML_OBJECT, GML_STUB, GML_IMAGE, GML_LIBRARY, GML_LOG, GML_EXPORTS, GML_TEMPORARIES };
static const char *const temporaries[GML_TEMPORARIES] = {"model.o",  "stub.c", "image.bin",
                                                         "model.so", "cc.log", "exports.map"};

typedef struct linking {
    const gml_program *program;
    const gml_link_options *options;
    gml_arena arena;
    gml_diags *diags;
    const char *name;                   /* of the model: a C identifier */
    const char *folder;                 /* temporary */
    const char *paths[GML_TEMPORARIES]; /* of what is in it */
    const char *header;                 /* where it goes */
} linking;

static gml_status io_fail(linking *l, const char *path, const char *what)
{
    return gml_fail(l->diags, GML_E_IO, (gml_loc){.file = path}, "%s: %s", what,
                    strerror(errno));
}

/* ---- names --------------------------------------------------------------------------------
 */

/* "dir/my-net.so" names the model my_net. */
static const char *model_name(linking *l)
{
    const char *slash = strrchr(l->options->output, '/');
    const char *base = slash ? slash + 1 : l->options->output;
    size_t len = strcspn(base, ".");
    char *name = gml_arena_printf(&l->arena, "%s%.*s",
                                  len == 0 || isdigit((unsigned char)base[0]) ? "m" : "",
                                  (int)len, base);
    for (char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at))
            *at = '_';
    return name;
}

static const char *header_path(linking *l)
{
    const char *output = l->options->output;
    size_t len = strlen(output);
    if (len > 3 && strcmp(output + len - 3, ".so") == 0)
        len -= 3;
    return gml_arena_printf(&l->arena, "%.*s.h", (int)len, output);
}

static const char *runtime_path(linking *l)
{
    char self[4096];
    if (l->options->runtime)
        return l->options->runtime;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return "libgemel_runtime.a";
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    *slash = '\0';
    return gml_arena_printf(&l->arena, "%s/../lib/libgemel_runtime.a", self);
}

/* ---- files --------------------------------------------------------------------------------
 */

static gml_status write_file(linking *l, const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return io_fail(l, path, "cannot be written");
    bool ok = fwrite(bytes, 1, len, file) == len;
    ok = fclose(file) == 0 && ok;
    return ok ? GML_OK : io_fail(l, path, "cannot be written");
}

/* From here on they are removed however the process ends. */
static void announce_temporaries(linking *l)
{
    gml_leftover_add(l->folder);
    for (size_t i = 0; i < GML_TEMPORARIES; i++) {
        l->paths[i] = gml_arena_printf(&l->arena, "%s/%s", l->folder, temporaries[i]);
        gml_leftover_add(l->paths[i]);
    }
}

static void remove_temporaries(linking *l)
{
    for (size_t i = 0; i < GML_TEMPORARIES; i++) {
        unlink(l->paths[i]);
        gml_leftover_drop(l->paths[i]);
    }
    rmdir(l->folder);
    gml_leftover_drop(l->folder);
}

/* Only the functions of the header are visible. Kernels and tables have the same names in every
 * artifact: were they exported, two artifacts in one program would run each other's. */
static gml_status write_exports(linking *l)
{
    gml_str map;
    gml_str_init(&map);
    gml_str_printf(
        &map, "{ global: %s_open; %s_close; %s_error; %s_run; gemel_artifact; local: *; };\n",
        l->name, l->name, l->name, l->name);
    gml_status status = write_file(l, l->paths[GML_EXPORTS], map.text, map.len);
    gml_str_reset(&map);
    return status;
}

static gml_status write_parts(linking *l, const gml_str *object)
{
    gml_str image;
    gml_str stub;
    gml_str_init(&image);
    gml_str_init(&stub);
    gml_status status = gml_artifact_write(l->program, NULL, &image, l->diags);
    if (status == GML_OK)
        status = write_file(l, l->paths[GML_IMAGE], image.text, image.len);
    gml_str_reset(&image);
    if (status == GML_OK)
        status = write_file(l, l->paths[GML_OBJECT], object->text, object->len);
    gml_artifact_stub(l->program, l->name, l->paths[GML_IMAGE], &stub);
    if (status == GML_OK)
        status = write_file(l, l->paths[GML_STUB], stub.text, stub.len);
    gml_str_reset(&stub);
    if (status == GML_OK)
        status = write_exports(l);
    return status;
}

/* ---- the C compiler -----------------------------------------------------------------------
 */

static const char *first_line(linking *l, const char *path)
{
    char line[400] = "";
    FILE *file = fopen(path, "rb");
    if (file) {
        size_t len = fread(line, 1, sizeof line - 1, file);
        line[len] = '\0';
        line[strcspn(line, "\n")] = '\0';
        fclose(file);
    }
    return gml_arena_text(&l->arena, line, strlen(line));
}

static gml_status run_cc(linking *l)
{
    const char *log = l->paths[GML_LOG];
    const char *args[] = {l->options->cc ? l->options->cc : "cc",
                          "-shared",
                          "-fPIC",
                          "-O1",
                          "-o",
                          l->paths[GML_LIBRARY],
                          l->paths[GML_STUB],
                          l->paths[GML_OBJECT],
                          runtime_path(l),
                          "-Wl,--exclude-libs,ALL",
                          "-Xlinker", /* -Wl would split a path at its commas */
                          "--version-script",
                          "-Xlinker",
                          l->paths[GML_EXPORTS],
                          "-Wl,--gc-sections",
                          "-Wl,--as-needed",
                          "-Wl,-z,noexecstack",
                          "-Wl,--build-id=none", /* the same input gives the same bytes */
                          "-Wl,-s",
                          "-lm",
                          "-lpthread",
                          NULL};
    char **argv = gml_new_array(&l->arena, char *, sizeof args / sizeof *args);
    for (size_t i = 0; args[i]; i++)
        argv[i] = gml_arena_text(&l->arena, args[i], strlen(args[i]));
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int wait_status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return gml_fail(l->diags, GML_E_DEVICE, (gml_loc){.file = argv[0]},
                        "the C compiler cannot be run: %s", strerror(failed));
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
        return GML_OK;
    return gml_fail(l->diags, GML_E_DEVICE, (gml_loc){.file = argv[0]},
                    "the C compiler failed: %s", first_line(l, log));
}

/* The library is built beside its place, so that renaming it is one step. */
static gml_status put_in_place(linking *l)
{
    gml_str header;
    gml_str_init(&header);
    gml_status status = gml_artifact_header(l->program, l->name, &header, l->diags);
    const char *beside = gml_arena_printf(&l->arena, "%s.part", l->header);
    gml_leftover_add(beside);
    if (status == GML_OK)
        status = write_file(l, beside, header.text, header.len);
    gml_str_reset(&header);
    if (status == GML_OK && rename(beside, l->header) != 0)
        status = io_fail(l, l->header, "cannot be written");
    if (status == GML_OK && rename(l->paths[GML_LIBRARY], l->options->output) != 0)
        status = io_fail(l, l->options->output, "cannot be written");
    if (status != GML_OK)
        unlink(beside);
    gml_leftover_drop(beside);
    return status;
}

gml_status gml_link_artifact(const gml_program *program, const gml_str *object,
                             const gml_link_options *options, gml_diags *diags)
{
    linking l = {.program = program, .options = options, .diags = diags};
    gml_arena_init(&l.arena);
    l.name = model_name(&l);
    l.header = header_path(&l);
    /* A path that began with a dash would be an option of the compiler. */
    char *folder = gml_arena_printf(&l.arena, "%s%s.XXXXXX",
                                    options->output[0] == '/' ? "" : "./", options->output);
    gml_status status = GML_OK;
    if (!mkdtemp(folder)) {
        status = io_fail(&l, options->output, "cannot be written");
    } else {
        l.folder = folder;
        announce_temporaries(&l);
        status = write_parts(&l, object);
        if (status == GML_OK)
            status = run_cc(&l);
        if (status == GML_OK)
            status = put_in_place(&l);
        remove_temporaries(&l);
    }
    gml_arena_reset(&l.arena);
    return status;
}
