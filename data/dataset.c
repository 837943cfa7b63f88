#define _POSIX_C_SOURCE 200809L

#include "data/dataset.h"

#include "data/dataset_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define GML_MAX_PICTURES ((size_t)1 << 30)

/* ---- opening ------------------------------------------------------------------------------
 */

uint32_t gml_dataset_add_class(gml_dataset *dataset, const char *name, size_t len)
{
    void *known = gml_map_find_len(&dataset->class_map, name, len);
    if (known != NULL)
        return (uint32_t)((uintptr_t)known - 1);
    uint32_t number = (uint32_t)dataset->classes.count;
    const char *copy = gml_arena_text(&dataset->arena, name, len);
    gml_push(&dataset->arena, &dataset->classes, ((gml_class){copy, number}));
    gml_map_set(&dataset->class_map, copy, (void *)((uintptr_t)number + 1));
    return number;
}

static int compare_classes(const void *a, const void *b)
{
    return strcmp(((const gml_class *)a)->name, ((const gml_class *)b)->name);
}

/* Classes of shards come in the order of their first members: numbers them by name. */
static void sort_classes(gml_dataset *dataset)
{
    size_t n = dataset->classes.count;
    if (n == 0)
        return;
    qsort(dataset->classes.items, n, sizeof *dataset->classes.items, compare_classes);
    uint32_t *renumbered = gml_new_array(&dataset->arena, uint32_t, n);
    for (size_t i = 0; i < n; i++)
        renumbered[dataset->classes.items[i].number] = (uint32_t)i;
    for (size_t i = 0; i < dataset->pictures.count; i++)
        if (dataset->pictures.items[i].class != GML_NO_CLASS)
            dataset->pictures.items[i].class = renumbered[dataset->pictures.items[i].class];
}

static bool is_shard(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcasecmp(name + len - 4, ".tar") == 0;
}

typedef struct shape {
    size_t folders, pictures, shards;
} shape;

static gml_status check_shape(const char *root, const shape *found, gml_diags *diags)
{
    gml_loc loc = {.file = gml_arena_text(diags->arena, root, strlen(root))};
    int kinds = (found->folders > 0) + (found->pictures > 0) + (found->shards > 0);
    if (kinds <= 1)
        return GML_OK;
    gml_status status =
        gml_fail(diags, GML_E_INVALID, loc, "holds %zu folders, %zu pictures and %zu tar files",
                 found->folders, found->pictures, found->shards);
    gml_note(diags, "a data set is one of these: a folder a class, or pictures, or tar files");
    return status;
}

static gml_status fill(gml_dataset *dataset, gml_diags *diags)
{
    gml_entries entries;
    shape found = {0};
    GML_TRY(gml_entries_read(dataset->root, &dataset->arena, &entries, diags));
    for (size_t i = 0; i < entries.count; i++) {
        const gml_entry *entry = &entries.items[i];
        found.folders += entry->is_folder;
        found.pictures += !entry->is_folder && gml_picture_named(entry->name);
        found.shards += !entry->is_folder && is_shard(entry->name);
    }
    GML_TRY(check_shape(dataset->root, &found, diags));
    for (size_t i = 0; i < entries.count; i++) {
        const gml_entry *entry = &entries.items[i];
        if (entry->is_folder) {
            uint32_t class = gml_dataset_add_class(dataset, entry->name, strlen(entry->name));
            GML_TRY(gml_dataset_add_folder(dataset, entry->name, class, diags));
        } else if (is_shard(entry->name)) {
            gml_push(&dataset->arena, &dataset->shards, entry->name);
            GML_TRY(gml_dataset_add_shard(dataset, (uint32_t)dataset->shards.count - 1, diags));
        } else if (gml_picture_named(entry->name)) {
            gml_picture_place place = {entry->name, GML_NO_CLASS, GML_NO_CLASS, 0, 0};
            gml_push(&dataset->arena, &dataset->pictures, place);
        }
    }
    return GML_OK;
}

static gml_status check_count(const gml_dataset *dataset, gml_diags *diags)
{
    gml_loc loc = {.file = gml_arena_text(diags->arena, dataset->root, strlen(dataset->root))};
    if (dataset->pictures.count == 0)
        return gml_fail(diags, GML_E_INVALID, loc, "holds no pictures");
    if (dataset->pictures.count > GML_MAX_PICTURES)
        return gml_fail(diags, GML_E_INVALID, loc, "holds %zu pictures, more than %zu",
                        dataset->pictures.count, GML_MAX_PICTURES);
    return GML_OK;
}

gml_status gml_dataset_open(const char *path, gml_dataset **out_dataset, gml_diags *diags)
{
    gml_dataset *dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){.file = path}, "out of memory");
    gml_arena_init(&dataset->arena);
    gml_map_init(&dataset->class_map, &dataset->arena);
    dataset->root = gml_arena_text(&dataset->arena, path, strlen(path));
    gml_status status = fill(dataset, diags);
    if (status == GML_OK)
        status = check_count(dataset, diags);
    if (status != GML_OK) {
        gml_dataset_close(dataset);
        return status;
    }
    sort_classes(dataset);
    *out_dataset = dataset;
    return GML_OK;
}

void gml_dataset_close(gml_dataset *dataset)
{
    if (dataset == NULL)
        return;
    gml_arena_reset(&dataset->arena);
    free(dataset);
}

/* ---- asking -------------------------------------------------------------------------------
 */

uint32_t gml_dataset_count(const gml_dataset *dataset)
{
    return (uint32_t)dataset->pictures.count;
}

uint32_t gml_dataset_n_classes(const gml_dataset *dataset)
{
    return (uint32_t)dataset->classes.count;
}

uint32_t gml_dataset_n_shards(const gml_dataset *dataset)
{
    return (uint32_t)dataset->shards.count;
}

const char *gml_dataset_class_name(const gml_dataset *dataset, uint32_t class)
{
    return dataset->classes.items[class].name;
}

int64_t gml_dataset_class(const gml_dataset *dataset, uint32_t i)
{
    uint32_t class = dataset->pictures.items[i].class;
    return class == GML_NO_CLASS ? -1 : (int64_t) class;
}

void gml_dataset_name(const gml_dataset *dataset, uint32_t i, gml_str *name)
{
    const gml_picture_place *place = &dataset->pictures.items[i];
    gml_str_printf(name, "%s/", dataset->root);
    if (place->shard != GML_NO_CLASS)
        gml_str_printf(name, "%s:", dataset->shards.items[place->shard]);
    gml_str_puts(name, place->name);
}

/* ---- reading ------------------------------------------------------------------------------
 */

static gml_status fail_read(gml_picture_bytes *out, gml_status status, const char *why)
{
    snprintf(out->error, sizeof out->error, "%s", why);
    return status;
}

/* `size` bytes from `offset` of an open file. */
static gml_status read_piece(int fd, uint64_t offset, size_t size, gml_work *work,
                             gml_picture_bytes *out)
{
    if (size > GML_MAX_PICTURE_FILE)
        return fail_read(out, GML_E_RANGE, "the file is too large for a picture");
    uint8_t *bytes = gml_work_get(work, GML_WORK_FILE, size);
    if (bytes == NULL)
        return fail_read(out, GML_E_MEMORY, "out of memory");
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(fd, bytes + at, size - at, (off_t)(offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_read(out, GML_E_IO, strerror(errno));
        if (n == 0)
            return fail_read(out, GML_E_INVALID, "the file has become shorter");
        at += (size_t)n;
    }
    out->data = bytes;
    out->size = size;
    return GML_OK;
}

/* A pipe or device is not waited for. */
static gml_status open_file(const char *path, int *out_fd, struct stat *info,
                            gml_picture_bytes *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_read(out, GML_E_IO, strerror(errno));
    if (fstat(fd, info) != 0 || !S_ISREG(info->st_mode)) {
        close(fd);
        return fail_read(out, GML_E_INVALID, "is no regular file");
    }
    *out_fd = fd;
    return GML_OK;
}

gml_status gml_dataset_read(const gml_dataset *dataset, uint32_t i, gml_work *work,
                            gml_picture_bytes *out)
{
    const gml_picture_place *place = &dataset->pictures.items[i];
    bool in_shard = place->shard != GML_NO_CLASS;
    gml_str path;
    struct stat info;
    int fd = -1;
    gml_str_init(&path);
    gml_str_printf(&path, "%s/%s", dataset->root,
                   in_shard ? dataset->shards.items[place->shard] : place->name);
    gml_status status = open_file(path.text, &fd, &info, out);
    gml_str_reset(&path);
    if (status != GML_OK)
        return status;
    if (in_shard && place->size > (uint64_t)GML_MAX_PICTURE_FILE)
        status = fail_read(out, GML_E_RANGE, "the member is too large for a picture");
    else
        status = read_piece(fd, place->offset,
                            in_shard ? (size_t)place->size : (size_t)info.st_size, work, out);
    close(fd);
    return status;
}
