/* data/dataset_shard.c - where the pictures of a tar file lie.
 *
 * libarchive walks over the headers of a mapped file and gives each member's data as a piece of
 * the mapping, untouched: its address is its place. Members are then read from there at random.
 * Where it does not give such a piece (sparse members), the shard is refused. */
#include "base/file.h"
#include "data/dataset_list.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

typedef struct shard {
    gml_dataset *dataset;
    uint32_t number;
    gml_file file;
    gml_loc loc;
    struct archive *archive;
    gml_diags *diags;
} shard;

static gml_status fail_archive(const shard *s)
{
    const char *why = archive_error_string(s->archive);
    return gml_fail(s->diags, GML_E_INVALID, s->loc, "is no tar file that can be read: %.100s",
                    why != NULL ? why : "no reason given");
}

/* Where the data of the member just reached begins. */
static gml_status find_offset(const shard *s, const char *name, uint64_t size,
                              uint64_t *out_offset)
{
    const void *piece = NULL;
    size_t len = 0;
    la_int64_t at = 0;
    int result = archive_read_data_block(s->archive, &piece, &len, &at);
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF)
        return fail_archive(s);
    if (at != 0 || len == 0 || !gml_file_holds(&s->file, piece, len) ||
        size > s->file.size - (size_t)((const char *)piece - (const char *)s->file.data))
        return gml_fail(s->diags, GML_E_INVALID, s->loc,
                        "member %.100s does not lie in one piece", name);
    *out_offset = (uint64_t)((const char *)piece - (const char *)s->file.data);
    return GML_OK;
}

static gml_status add_member(const shard *s, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL ||
        name == NULL || !gml_picture_named(name) || archive_entry_size(entry) <= 0)
        return GML_OK;
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    gml_dataset *dataset = s->dataset;
    const char *slash = strchr(name, '/');
    gml_picture_place place = {
        .shard = s->number, .class = GML_NO_CLASS, .size = (uint64_t)archive_entry_size(entry)};
    GML_TRY(find_offset(s, name, place.size, &place.offset));
    if (slash != NULL && slash != name)
        place.class = gml_dataset_add_class(dataset, name, (size_t)(slash - name));
    place.name = gml_arena_text(&dataset->arena, name, strlen(name));
    gml_push(&dataset->arena, &dataset->pictures, place);
    return GML_OK;
}

static gml_status read_members(const shard *s)
{
    archive_read_support_format_tar(s->archive);
    if (archive_read_open_memory(s->archive, s->file.data, s->file.size) != ARCHIVE_OK)
        return fail_archive(s);
    for (;;) {
        struct archive_entry *entry = NULL;
        int result = archive_read_next_header(s->archive, &entry);
        if (result == ARCHIVE_EOF)
            return GML_OK;
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return fail_archive(s);
        GML_TRY(add_member(s, entry));
    }
}

gml_status gml_dataset_add_shard(gml_dataset *dataset, uint32_t number, gml_diags *diags)
{
    const char *path =
        gml_arena_printf(diags->arena, "%s/%s", dataset->root, dataset->shards.items[number]);
    shard s = {.dataset = dataset, .number = number, .loc = {.file = path}, .diags = diags};
    GML_TRY(gml_file_map(path, &s.file, diags));
    gml_status status = GML_OK;
    s.archive = archive_read_new();
    if (s.archive == NULL)
        status = gml_fail(diags, GML_E_MEMORY, s.loc, "out of memory");
    else
        status = read_members(&s);
    if (s.archive != NULL)
        archive_read_free(s.archive);
    gml_file_unmap(&s.file);
    return status;
}
