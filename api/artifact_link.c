/* api/artifact_link.c - a compiled program as a shared library and a C header. */
#define _GNU_SOURCE

#include "api/artifact_link.h"

#include "api/artifact_cc.h"
#include "api/artifact_elf.h"
#include "api/artifact_libraries.h"
#include "api/artifact_text.h"
#include "api/weights_file.h"
#include "base/leftover.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The files that come out. They get their names together. */
typedef struct outputs {
    gml_writer library, header, weights; /* not opened: no stream */
} outputs;

/* What is made in a folder of its own, beside one object for each part. */
enum { GML_STUB, GML_LIBRARY, GML_LOG, GML_EXPORTS, GML_TEMPORARIES };
static const char *const temporaries[GML_TEMPORARIES] = {"stub.c", "model.so", "cc.log",
                                                         "exports.map"};

typedef struct linking {
    const gml_link_part *parts;
    gml_artifact_entry *entries; /* the same */
    size_t n_parts;
    const gml_link_options *options;
    gml_arena arena;
    gml_diags *diags;
    const char *name;                   /* of the model: a C identifier */
    const char *folder;                 /* temporary */
    const char *paths[GML_TEMPORARIES]; /* of what is in it */
    const char **objects;               /* and of the code of each part; ends with NULL */
    const char *weights;                /* the path of the file beside, or NULL */
    gml_artifact_plan *plan;
    outputs out;
} linking;

static gml_status io_fail(linking *l, const char *path, const char *what)
{
    return gml_fail(l->diags, GML_E_IO, (gml_loc){.file = path}, "%s: %s", what,
                    strerror(errno));
}

/* ---- names --------------------------------------------------------------------------------
 */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "dir/my-net.so" names the model my_net. */
static const char *model_name(linking *l)
{
    const char *base = file_name(l->options->output);
    size_t len = strcspn(base, ".");
    char *name = gml_arena_printf(&l->arena, "%s%.*s",
                                  len == 0 || isdigit((unsigned char)base[0]) ? "m" : "",
                                  (int)len, base);
    for (char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at))
            *at = '_';
    return name;
}

/* "dir/model.so" has beside it "dir/model.h". */
static const char *path_beside(gml_arena *arena, const char *output, const char *extension)
{
    size_t len = strlen(output);
    if (len > 3 && strcmp(output + len - 3, ".so") == 0)
        len -= 3;
    return gml_arena_printf(arena, "%.*s%s", (int)len, output, extension);
}

const char *gml_weights_path(gml_arena *arena, const char *output)
{
    return path_beside(arena, output, ".safetensors");
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

/* ---- linking the code ---------------------------------------------------------------------
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
    l->objects = gml_new_array(&l->arena, const char *, l->n_parts + 1);
    for (size_t i = 0; i < l->n_parts; i++) {
        l->objects[i] = i == 0 ? gml_arena_printf(&l->arena, "%s/model.o", l->folder)
                               : gml_arena_printf(&l->arena, "%s/model%zu.o", l->folder, i);
        gml_leftover_add(l->objects[i]);
    }
}

static void remove_temporaries(linking *l)
{
    for (size_t i = 0; i < GML_TEMPORARIES; i++) {
        unlink(l->paths[i]);
        gml_leftover_drop(l->paths[i]);
    }
    for (size_t i = 0; i < l->n_parts; i++) {
        unlink(l->objects[i]);
        gml_leftover_drop(l->objects[i]);
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
    gml_str_puts(&map, "{ global: ");
    gml_artifact_exports(l->entries, l->n_parts, l->name, &map);
    gml_str_puts(&map, "gemel_artifact; local: *; };\n");
    gml_status status = write_file(l, l->paths[GML_EXPORTS], map.text, map.len);
    gml_str_reset(&map);
    return status;
}

static gml_status write_parts(linking *l)
{
    gml_str stub;
    gml_str_init(&stub);
    gml_artifact_stub(l->entries, l->n_parts, l->name, &stub);
    gml_status status = write_file(l, l->paths[GML_STUB], stub.text, stub.len);
    gml_str_reset(&stub);
    for (size_t i = 0; i < l->n_parts && status == GML_OK; i++) {
        const gml_str *object = l->parts[i].object;
        status = write_file(l, l->objects[i], object->text, object->len);
    }
    if (status == GML_OK)
        status = write_exports(l);
    return status;
}

static gml_status link_code(linking *l)
{
    GML_TRY(write_parts(l));
    gml_cc_job job = {.cc = l->options->cc,
                      .output = l->paths[GML_LIBRARY],
                      .stub = l->paths[GML_STUB],
                      .objects = l->objects,
                      .runtime = runtime_path(l),
                      .exports = l->paths[GML_EXPORTS],
                      .log = l->paths[GML_LOG],
                      .libraries = gml_artifact_libraries(l->entries, l->n_parts, &l->arena)};
    return gml_cc_link(&job, l->diags);
}

/* ---- writing ------------------------------------------------------------------------------
 */

static bool holds(const gml_program *program, const gml_program *inner)
{
    bool found = program == inner;
    for (size_t s = 0; s < program->steps.count && !found; s++)
        for (uint32_t i = 0; i < program->steps.items[s].n_regions && !found; i++)
            found = holds(program->steps.items[s].regions[i].program, inner);
    return found;
}

/* Constants of a program (runtime/artifact.h, gml_artifact_options). */
static gml_status make_constant(void *context, const gml_program *program, uint32_t slot,
                                void *bytes)
{
    linking *l = context;
    size_t i = 0;
    while (i + 1 < l->n_parts && !holds(l->parts[i].program, program))
        i++;
    return gml_fill_constant(l->parts[i].program, program, slot, bytes, l->diags);
}

static void forget_constant(void *context, const void *data, size_t size)
{
    linking *l = context;
    for (size_t i = 0; i < l->n_parts; i++)
        gml_forget_constant(l->parts[i].program, data, size);
}

static gml_status open_outputs(linking *l)
{
    GML_TRY(gml_writer_open(&l->out.library, l->options->output, l->diags));
    const char *header = path_beside(&l->arena, l->options->output, ".h");
    GML_TRY(gml_writer_open(&l->out.header, header, l->diags));
    return l->weights ? gml_writer_open(&l->out.weights, l->weights, l->diags) : GML_OK;
}

/* Whoever may read a library may map it to run: `ldd` wants to see that. */
static void make_executable(const gml_writer *writer)
{
    struct stat info;
    if (stat(writer->temp, &info) == 0)
        (void)chmod(writer->temp, (info.st_mode | (info.st_mode & 0444) >> 2) & 07777);
}

/* The linked code with room for the image, and the image behind it. */
static gml_status put_library(linking *l)
{
    static const char zeros[GML_ARTIFACT_ALIGN];
    gml_writer *writer = &l->out.library;
    gml_file linked;
    gml_file_sink behind = {.writer = writer};
    GML_TRY(gml_file_map(l->paths[GML_LIBRARY], &linked, l->diags));
    char *bytes = gml_arena_copy(&l->arena, linked.data, linked.size);
    size_t len = linked.size;
    gml_file_unmap(&linked);
    const char *fault = gml_elf_add_image(bytes, len, gml_artifact_size(l->plan), &behind.base);
    if (fault)
        return gml_fail(l->diags, GML_E_DEVICE, (gml_loc){.file = l->options->output},
                        "the library that the C compiler made is of no use: %s", fault);
    make_executable(writer);
    gml_writer_put(writer, bytes, len);
    for (uint64_t at = len; at < behind.base; at += sizeof zeros)
        gml_writer_put(writer, zeros,
                       behind.base - at < sizeof zeros ? behind.base - at : sizeof zeros);
    gml_sink sink = gml_sink_of(&behind);
    return gml_artifact_put(l->plan, &sink);
}

static gml_status put_header(linking *l)
{
    gml_str header;
    gml_str_init(&header);
    gml_status status =
        gml_artifact_header(l->entries, l->n_parts, l->name,
                            l->weights ? file_name(l->weights) : NULL, &header, l->diags);
    if (status == GML_OK)
        gml_writer_put(&l->out.header, header.text, header.len);
    gml_str_reset(&header);
    return status;
}

static gml_status put_all(linking *l)
{
    GML_TRY(open_outputs(l));
    GML_TRY(put_header(l));
    if (l->weights)
        GML_TRY(gml_weights_put(l->plan, file_name(l->weights), &l->out.weights));
    return put_library(l);
}

/* Gives the files their names, the library last, when all of them are on the disk. A writer
 * that failed says so when it is closed. */
static gml_status close_outputs(linking *l, gml_status status)
{
    gml_writer *writers[] = {&l->out.weights, &l->out.header, &l->out.library};
    size_t n = sizeof writers / sizeof *writers;
    bool failed = false;
    for (size_t i = 0; i < n && status == GML_OK; i++)
        failed = (writers[i]->stream && !gml_writer_settle(writers[i])) || failed;
    for (size_t i = 0; i < n; i++) {
        if (!writers[i]->stream)
            continue;
        bool is_good = status == GML_OK && !failed;
        if (is_good || (writers[i]->error != 0 && (status == GML_OK || status == GML_E_IO)))
            status = gml_writer_close(writers[i], l->diags);
        else
            gml_writer_cancel(writers[i]);
    }
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------
 */

static gml_status link_in_folder(linking *l)
{
    gml_artifact_options options = {
        .make = make_constant, .wrote = forget_constant, .context = l};
    gml_status status =
        gml_artifact_plan_entries(l->entries, l->n_parts, &options, &l->plan, l->diags);
    if (status == GML_OK)
        status = link_code(l);
    if (status == GML_OK)
        status = close_outputs(l, put_all(l));
    if (status == GML_E_MEMORY)
        (void)gml_fail(l->diags, status, (gml_loc){0}, "no memory for the weights");
    gml_artifact_plan_destroy(l->plan);
    return status;
}

gml_status gml_link_artifact(const gml_link_part *parts, size_t n,
                             const gml_link_options *options, gml_diags *diags)
{
    linking l = {.parts = parts, .n_parts = n, .options = options, .diags = diags};
    gml_arena_init(&l.arena);
    l.entries = gml_new_array(&l.arena, gml_artifact_entry, n);
    for (size_t i = 0; i < n; i++)
        l.entries[i] = (gml_artifact_entry){parts[i].name, parts[i].program};
    l.name = model_name(&l);
    if (options->weights_beside)
        l.weights = gml_weights_path(&l.arena, options->output);
    /* A path that began with a dash would be an option of the compiler. */
    char *folder = gml_arena_printf(&l.arena, "%s%s.XXXXXX",
                                    options->output[0] == '/' ? "" : "./", options->output);
    gml_status status = GML_OK;
    if (!mkdtemp(folder)) {
        status = io_fail(&l, options->output, "cannot be written");
    } else {
        l.folder = folder;
        announce_temporaries(&l);
        status = link_in_folder(&l);
        remove_temporaries(&l);
    }
    gml_arena_reset(&l.arena);
    return status;
}
