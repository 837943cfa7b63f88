/* weights/zip.c - the directory of a zip archive (PKWARE's APPNOTE 6.3, Zip64 included).
 *
 *     [local header, name, extra, data] …   [directory entry] …   [Zip64 end] [end record]
 *
 * The end record is found from behind, since a comment may follow it. It tells where the
 * directory lies, whose entries tell where the members do. Only the length of the local
 * header's name and extra field, which pads data to a boundary, is read in front of the data.
 */
#include "weights/zip.h"

#include <stdlib.h>
#include <string.h>

#define GML_LOCAL_SIGNATURE   0x04034b50U
#define GML_CENTRAL_SIGNATURE 0x02014b50U
#define GML_END_SIGNATURE     0x06054b50U
#define GML_LOCATOR_SIGNATURE 0x07064b50U
#define GML_END64_SIGNATURE   0x06064b50U
#define GML_LOCAL_SIZE        30
#define GML_CENTRAL_SIZE      46
#define GML_END_SIZE          22
#define GML_LOCATOR_SIZE      20
#define GML_END64_SIZE        56
#define GML_MAX_COMMENT       65535
#define GML_ZIP64_EXTRA       1
#define GML_FLAG_ENCRYPTED    1U

typedef struct reader {
    const unsigned char *bytes;
    uint64_t len;
    const char *file;
    gml_arena *arena;
    gml_diags *diags;
} reader;

static gml_status fail(const reader *r, const char *what)
{
    return gml_fail(r->diags, GML_E_INVALID, (gml_loc){.file = r->file},
                    "is no well-formed zip archive: %s", what);
}

static uint64_t number(const unsigned char *at, unsigned size)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < size; i++)
        n |= (uint64_t)at[i] << (8 * i);
    return n;
}

/* Whether `size` bytes from `at` on are in the file. */
static bool holds(const reader *r, uint64_t at, uint64_t size)
{
    return at <= r->len && size <= r->len - at;
}

bool gml_zip_is(const void *bytes, size_t len)
{
    if (len < 4)
        return false;
    uint64_t signature = number(bytes, 4);
    return signature == GML_LOCAL_SIGNATURE || signature == GML_END_SIGNATURE;
}

/* ---- where the directory is -------------------------------------------------------------- */

typedef struct directory {
    uint64_t count, size, offset;
} directory;

static gml_status find_end(const reader *r, uint64_t *out_at)
{
    uint64_t lowest =
        r->len > GML_END_SIZE + GML_MAX_COMMENT ? r->len - GML_END_SIZE - GML_MAX_COMMENT : 0;
    for (uint64_t at = r->len; at >= lowest + GML_END_SIZE; at--) {
        const unsigned char *end = r->bytes + at - GML_END_SIZE;
        if (number(end, 4) == GML_END_SIGNATURE && number(end + 20, 2) == r->len - at) {
            *out_at = at - GML_END_SIZE;
            return GML_OK;
        }
    }
    return fail(r, "it has no end record, as when a download was cut short");
}

/* The Zip64 end record, by its locator in front of the end record at `end`. */
static gml_status read_end64(const reader *r, uint64_t end, directory *out)
{
    if (end < GML_LOCATOR_SIZE ||
        number(r->bytes + end - GML_LOCATOR_SIZE, 4) != GML_LOCATOR_SIGNATURE)
        return GML_OK; /* an archive with exactly that many members */
    uint64_t at = number(r->bytes + end - GML_LOCATOR_SIZE + 8, 8);
    if (!holds(r, at, GML_END64_SIZE) || number(r->bytes + at, 4) != GML_END64_SIGNATURE)
        return fail(r, "its Zip64 end record is not where it should be");
    const unsigned char *record = r->bytes + at;
    *out = (directory){number(record + 32, 8), number(record + 40, 8), number(record + 48, 8)};
    return GML_OK;
}

static gml_status find_directory(const reader *r, directory *out)
{
    uint64_t at = 0;
    GML_TRY(find_end(r, &at));
    const unsigned char *end = r->bytes + at;
    if (number(end + 4, 2) != 0 || number(end + 6, 2) != 0)
        return fail(r, "it has several parts");
    *out = (directory){number(end + 10, 2), number(end + 12, 4), number(end + 16, 4)};
    if (out->count == 0xffff || out->size == 0xffffffff || out->offset == 0xffffffff)
        GML_TRY(read_end64(r, at, out));
    if (!holds(r, out->offset, out->size) || out->offset + out->size > at)
        return fail(r, "its directory is outside of it");
    if (out->count > GML_ZIP_MAX_MEMBERS || out->count > out->size / GML_CENTRAL_SIZE)
        return fail(r, "it cannot have as many members as it says");
    return GML_OK;
}

/* ---- members ----------------------------------------------------------------------------- */

/* What a directory entry says. */
typedef struct entry {
    uint64_t flags, method, packed, size, header;
} entry;

/* Numbers of 32 bits that are all ones stand in the Zip64 extra field, in this order. */
static gml_status read_extra(const reader *r, const unsigned char *extra, uint64_t len,
                             entry *out)
{
    uint64_t *fields[] = {&out->size, &out->packed, &out->header};
    bool needed = false;
    for (unsigned i = 0; i < 3; i++)
        needed = needed || *fields[i] == 0xffffffff;
    while (needed && len >= 4) {
        uint64_t tag = number(extra, 2);
        uint64_t size = number(extra + 2, 2);
        if (size > len - 4)
            break;
        const unsigned char *at = extra + 4;
        for (unsigned i = 0; tag == GML_ZIP64_EXTRA && i < 3; i++) {
            if (*fields[i] != 0xffffffff)
                continue;
            if (size < 8)
                return fail(r, "a Zip64 field is too short");
            *fields[i] = number(at, 8);
            at += 8;
            size -= 8;
        }
        if (tag == GML_ZIP64_EXTRA)
            return GML_OK;
        extra += 4 + size;
        len -= 4 + size;
    }
    return needed ? fail(r, "a size has no Zip64 field") : GML_OK;
}

/* Finds the data of the member behind its local header, before `limit`. */
static gml_status place(const reader *r, const entry *e, uint64_t limit, gml_zip_member *member)
{
    if (e->header > limit || limit - e->header < GML_LOCAL_SIZE ||
        number(r->bytes + e->header, 4) != GML_LOCAL_SIGNATURE)
        return fail(r, "a member is not where the directory says");
    const unsigned char *local = r->bytes + e->header;
    uint64_t data = e->header + GML_LOCAL_SIZE + number(local + 26, 2) + number(local + 28, 2);
    if (data > limit || e->packed > limit - data)
        return fail(r, "a member reaches out of the archive");
    member->header = e->header;
    member->end = data + e->packed;
    member->size = e->size;
    bool is_plain = e->method == 0 && !(e->flags & GML_FLAG_ENCRYPTED);
    if (is_plain && e->size != e->packed)
        return fail(r, "a member that is not compressed has two sizes");
    member->data = is_plain ? r->bytes + data : NULL;
    return GML_OK;
}

/* The entry at `*at`, which moves to the next one; the directory ends at `end`. */
static gml_status read_entry(const reader *r, uint64_t *at, uint64_t end, uint64_t limit,
                             gml_zip *zip)
{
    const unsigned char *from = r->bytes + *at;
    if (end - *at < GML_CENTRAL_SIZE || number(from, 4) != GML_CENTRAL_SIGNATURE)
        return fail(r, "an entry of its directory is broken");
    uint64_t name_len = number(from + 28, 2);
    uint64_t extra_len = number(from + 30, 2);
    uint64_t whole = GML_CENTRAL_SIZE + name_len + extra_len + number(from + 32, 2);
    if (whole > end - *at)
        return fail(r, "an entry of its directory is cut short");
    const unsigned char *name = from + GML_CENTRAL_SIZE;
    entry e = {number(from + 8, 2), number(from + 10, 2), number(from + 20, 4),
               number(from + 24, 4), number(from + 42, 4)};
    GML_TRY(read_extra(r, name + name_len, extra_len, &e));
    if (memchr(name, '\0', (size_t)name_len) != NULL)
        return fail(r, "a name has a NUL in it");
    gml_zip_member *member = gml_new(r->arena, gml_zip_member);
    member->name = gml_arena_text(r->arena, (const char *)name, (size_t)name_len);
    GML_TRY(place(r, &e, limit, member));
    if (gml_map_set(&zip->by_name, member->name, member) != NULL)
        return fail(r, "two members have one name");
    gml_push(r->arena, &zip->members, member);
    *at += whole;
    return GML_OK;
}

static int by_header(const void *left, const void *right)
{
    const gml_zip_member *const *a = left;
    const gml_zip_member *const *b = right;
    return ((*a)->header > (*b)->header) - ((*a)->header < (*b)->header);
}

static gml_status check_overlap(const reader *r, const gml_zip *zip)
{
    size_t count = zip->members.count;
    if (count == 0)
        return GML_OK;
    gml_zip_member **sorted =
        gml_arena_copy(r->arena, zip->members.items, count * sizeof(gml_zip_member *));
    qsort(sorted, count, sizeof(gml_zip_member *), by_header);
    for (size_t i = 1; i < count; i++)
        if (sorted[i]->header < sorted[i - 1]->end)
            return fail(r, "two members share bytes");
    return GML_OK;
}

gml_status gml_zip_open(const void *bytes, size_t len, const char *file, gml_arena *arena,
                        gml_zip *out, gml_diags *diags)
{
    reader r = {bytes, len, file, arena, diags};
    directory found = {0, 0, 0};
    *out = (gml_zip){.members = {0}};
    gml_map_init(&out->by_name, arena);
    GML_TRY(find_directory(&r, &found));
    uint64_t at = found.offset;
    for (uint64_t i = 0; i < found.count; i++)
        GML_TRY(read_entry(&r, &at, found.offset + found.size, found.offset, out));
    return check_overlap(&r, out);
}

const gml_zip_member *gml_zip_find(const gml_zip *zip, const char *name)
{
    return gml_map_find(&zip->by_name, name);
}
