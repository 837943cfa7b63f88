/* runtime/artifact_file.c - constants that lie in a file beside the artifact. */
#include "runtime/artifact_reader.h"

#include <string.h>

static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static gml_status refuse_file(const gml_reader *r, const char *path, const char *what)
{
    gml_loc loc = {.file = path};
    (void)gml_fail(r->diags, GML_E_INVALID, loc, "%s", what);
    if (r->symbols->name != NULL)
        gml_note(r->diags, "%s was compiled together with another file of this name",
                 r->symbols->name);
    return GML_E_INVALID;
}

/* A file of another model, or of another version of this one, has another head: names, types,
 * places and a checksum of all constants are in it. */
static gml_status check_file(const gml_reader *r, const gml_artifact_file *file,
                             const char *path)
{
    const unsigned char *bytes = r->file.data;
    if (r->file.size < file->size)
        return refuse_file(r, path,
                           gml_arena_printf(r->arena, "is too short: it has %zu bytes of %llu",
                                            r->file.size, (unsigned long long)file->size));
    if (r->file.size != file->size ||
        gml_artifact_head_checksum(bytes, (size_t)file->constants) != file->head_checksum)
        return refuse_file(r, path, "is not the file that the artifact was compiled with");
    if (!r->symbols->trust_constants &&
        gml_constants_checksum(bytes + file->constants,
                               (size_t)(file->size - file->constants)) !=
            file->constants_checksum)
        return refuse_file(r, path, "is damaged: the checksum of its constants does not fit");
    return GML_OK;
}

void gml_read_file(gml_reader *r)
{
    if (gml_read_u32(r) == 0)
        return;
    gml_artifact_file file = {.name = gml_read_name(r)};
    file.size = gml_read_u64(r);
    file.constants = gml_read_u64(r);
    file.head_checksum = gml_read_u64(r);
    file.constants_checksum = gml_read_u64(r);
    if (r->status == GML_OK && !is_plain_name(file.name))
        gml_reader_refuse(r, "name of a file");
    if (r->status == GML_OK && (file.constants > file.size || r->constants_size != 0))
        gml_reader_refuse(r, "the place of its constants");
    if (r->status != GML_OK)
        return;
    const char *path = file.name;
    if (r->symbols->folder != NULL)
        path = gml_arena_printf(r->arena, "%s/%s", r->symbols->folder, file.name);
    r->status = gml_file_map(path, &r->file, r->diags);
    if (r->status != GML_OK) {
        gml_note(r->diags, "the artifact's constants are in this file");
        return;
    }
    r->status = check_file(r, &file, path);
    if (r->status != GML_OK)
        return;
    r->constants = (const unsigned char *)r->file.data + file.constants;
    r->constants_size = file.size - file.constants;
}
