/* data/dataset_folder.c - the pictures below a folder. */
#define _DEFAULT_SOURCE /* d_type */
#define _POSIX_C_SOURCE 200809L

#include "data/dataset_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define GML_MAX_DEPTH 16

bool gml_picture_named(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "png", "webp", "bmp",
                                          "ppm", "pgm",  "tif", "tiff"};
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || dot[-1] == '/')
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return true;
    return false;
}

static gml_status fail_errno(const char *path, const char *what, gml_diags *diags)
{
    int error = errno;
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    return gml_fail(diags, GML_E_IO, loc, "%s: %s", what, strerror(error));
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const gml_entry *)a)->name, ((const gml_entry *)b)->name);
}

/* Most file systems say what an entry is; else, and for links, the file is asked. */
static bool find_kind(const char *path, const struct dirent *entry, bool *out_is_folder)
{
    gml_str full;
    struct stat info;
    *out_is_folder = entry->d_type == DT_DIR;
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
        return true;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return false;
    gml_str_init(&full);
    gml_str_printf(&full, "%s/%s", path, entry->d_name);
    bool is_there = stat(full.text, &info) == 0;
    gml_str_reset(&full);
    *out_is_folder = is_there && S_ISDIR(info.st_mode);
    return is_there && (*out_is_folder || S_ISREG(info.st_mode));
}

gml_status gml_entries_read(const char *path, gml_arena *arena, gml_entries *out_entries,
                            gml_diags *diags)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return fail_errno(path, "cannot look into the folder", diags);
    gml_vec(gml_entry) list = {0};
    gml_status status = GML_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        gml_entry added = {.name = NULL};
        if (entry->d_name[0] == '.' || !find_kind(path, entry, &added.is_folder))
            continue;
        added.name = gml_arena_text(arena, entry->d_name, strlen(entry->d_name));
        gml_push(arena, &list, added);
    }
    if (errno != 0)
        status = fail_errno(path, "cannot look into the folder", diags);
    closedir(folder);
    if (list.count > 1)
        qsort(list.items, list.count, sizeof *list.items, compare_entries);
    *out_entries = (gml_entries){list.items, list.count};
    return status;
}

static gml_status add_below(gml_dataset *dataset, const char *folder, uint32_t class, int depth,
                            gml_diags *diags)
{
    gml_arena scratch;
    gml_entries entries;
    gml_arena_init(&scratch);
    const char *path = gml_arena_printf(&scratch, "%s/%s", dataset->root, folder);
    gml_status status = gml_entries_read(path, &scratch, &entries, diags);
    for (size_t i = 0; status == GML_OK && i < entries.count; i++) {
        const gml_entry *entry = &entries.items[i];
        const char *slash = folder[0] != '\0' ? "/" : "";
        if (entry->is_folder && depth < GML_MAX_DEPTH) {
            const char *below =
                gml_arena_printf(&scratch, "%s%s%s", folder, slash, entry->name);
            status = add_below(dataset, below, class, depth + 1, diags);
        } else if (!entry->is_folder && gml_picture_named(entry->name)) {
            gml_picture_place place = {.class = class, .shard = GML_NO_CLASS};
            place.name =
                gml_arena_printf(&dataset->arena, "%s%s%s", folder, slash, entry->name);
            gml_push(&dataset->arena, &dataset->pictures, place);
        }
    }
    gml_arena_reset(&scratch);
    return status;
}

gml_status gml_dataset_add_folder(gml_dataset *dataset, const char *folder, uint32_t class,
                                  gml_diags *diags)
{
    return add_below(dataset, folder, class, 1, diags);
}
