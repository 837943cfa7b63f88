/* weights/torch.c - the files of torch.save: where the pickle is, and where the storages. */
#include "weights/torch.h"

#include "weights/torch_tree.h"
#include "weights/zip.h"

#include <string.h>

/* A pickle of protocol 2 that holds 0x1950a86a20f9469cfc6c. */
static const unsigned char legacy_magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                             0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

#define GML_TAR_MAGIC_AT 257

gml_torch_form gml_torch_find_form(const void *bytes, size_t len)
{
    const char *text = bytes;
    if (gml_zip_is(bytes, len))
        return GML_TORCH_ZIP;
    if (len >= sizeof legacy_magic && memcmp(text, legacy_magic, sizeof legacy_magic) == 0)
        return GML_TORCH_LEGACY;
    if (len >= GML_TAR_MAGIC_AT + 5 && memcmp(text + GML_TAR_MAGIC_AT, "ustar", 5) == 0)
        return GML_TORCH_TAR;
    if (len >= 2 && (unsigned char)text[0] == 0x80 && text[1] >= 2 && text[1] <= 5 &&
        text[len - 1] == '.')
        return GML_TORCH_PICKLE;
    return GML_TORCH_NOT;
}

static gml_status fail(const gml_weight_table *table, const char *what)
{
    return gml_weight_table_fail(table, GML_E_INVALID, NULL, "%s", what);
}

static gml_status refuse(const gml_weight_table *table, const char *what)
{
    return gml_weight_table_fail(table, GML_E_UNSUPPORTED, NULL, "%s", what);
}

static gml_status read_pickle(const gml_weight_table *table, const void *bytes, size_t len,
                              gml_pickle *out)
{
    gml_pickle_options options = gml_torch_pickle_options(table->file);
    return gml_pickle_read(bytes, len, &options, table->arena, out, table->diags);
}

/* ---- zips -------------------------------------------------------------------------------- */

typedef struct archive {
    gml_weight_table *table;
    gml_zip zip;
    const char *root; /* "NAME/" */
    const gml_zip_member *pickle;
} archive;

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* "ROOT/data.pkl", of which there is one. */
static gml_status find_pickle(archive *a)
{
    bool has_arrays = false;
    for (size_t i = 0; i < a->zip.members.count; i++) {
        const gml_zip_member *member = a->zip.members.items[i];
        const char *slash = strchr(member->name, '/');
        has_arrays = has_arrays || ends_with(member->name, ".npy");
        if (slash == NULL || strcmp(slash, "/data.pkl") != 0)
            continue;
        if (a->pickle != NULL)
            return fail(a->table, "is a zip with two checkpoints in it");
        a->pickle = member;
        a->root =
            gml_arena_text(a->table->arena, member->name, (size_t)(slash - member->name) + 1);
    }
    if (a->pickle == NULL)
        return has_arrays ? refuse(a->table, "is NumPy's .npz, which has no weights by name of "
                                             "a network")
                          : fail(a->table, "is a zip, but not PyTorch's: it has no data.pkl");
    if (a->pickle->data == NULL)
        return refuse(a->table, "is a zip whose members are compressed or encrypted, which "
                                "PyTorch's are not");
    return GML_OK;
}

static const gml_zip_member *find_member(const archive *a, const char *name, size_t len)
{
    const char *whole = gml_arena_printf(a->table->arena, "%s%.*s", a->root, (int)len, name);
    return gml_zip_find(&a->zip, whole);
}

static gml_status check_kind(const archive *a)
{
    if (find_member(a, "constants.pkl", 13) != NULL)
        return refuse(a->table, "is a TorchScript program, not a checkpoint");
    const gml_zip_member *order = find_member(a, "byteorder", 9);
    if (order != NULL &&
        (order->data == NULL || order->size != 6 || memcmp(order->data, "little", 6) != 0))
        return refuse(a->table, "was written on a big-endian machine");
    return GML_OK;
}

static gml_status find_storages(const archive *a, const gml_pickle *pickle, gml_map *storages)
{
    for (size_t i = 0; i < pickle->persistents.count; i++) {
        gml_torch_identifier id;
        if (!gml_torch_read_identifier(pickle->persistents.items[i], &id) ||
            id.key.len > GML_WEIGHTS_MAX_NAME || memchr(id.key.data, '\0', id.key.len) != NULL)
            return fail(a->table, "its pickle refers to what is no storage");
        if (gml_map_find_len(storages, id.key.data, id.key.len) != NULL)
            continue;
        const char *name =
            gml_arena_printf(a->table->arena, "data/%.*s", (int)id.key.len, id.key.data);
        const gml_zip_member *member = find_member(a, name, strlen(name));
        if (member == NULL || member->data == NULL)
            return gml_weight_table_fail(a->table, GML_E_INVALID, NULL,
                                         "the storage %s is missing or compressed", name);
        size_t size = gml_dtype_size(id.dtype);
        if (member->size % size != 0 || member->size / size != id.n_elements)
            return gml_weight_table_fail(a->table, GML_E_INVALID, NULL,
                                         "the storage %s has not the size that its pickle says",
                                         name);
        gml_torch_storage *storage = gml_new(a->table->arena, gml_torch_storage);
        *storage = (gml_torch_storage){id.dtype, id.n_elements, member->data};
        gml_map_set(storages, name + strlen("data/"), storage);
    }
    return GML_OK;
}

static gml_status read_zip(const void *bytes, size_t len, gml_weight_table *table)
{
    archive a = {.table = table};
    gml_pickle pickle;
    gml_map storages;
    gml_map_init(&storages, table->arena);
    GML_TRY(gml_zip_open(bytes, len, table->file, table->arena, &a.zip, table->diags));
    GML_TRY(find_pickle(&a));
    GML_TRY(check_kind(&a));
    GML_TRY(read_pickle(table, a.pickle->data, (size_t)a.pickle->size, &pickle));
    GML_TRY(find_storages(&a, &pickle, &storages));
    return gml_torch_flatten(pickle.value, &storages, len, table);
}

/* ---- the form before ----------------------------------------------------------------------
 */

typedef struct legacy {
    gml_weight_table *table;
    const unsigned char *bytes;
    size_t len, at;
} legacy;

static gml_status next_pickle(legacy *l, gml_pickle *out)
{
    GML_TRY(read_pickle(l->table, l->bytes + l->at, l->len - l->at, out));
    l->at += out->size;
    return GML_OK;
}

/* The types of the storages, which their elements do not say. */
static gml_status collect_types(const legacy *l, const gml_pickle *pickle, gml_map *storages)
{
    for (size_t i = 0; i < pickle->persistents.count; i++) {
        gml_torch_identifier id;
        if (!gml_torch_read_identifier(pickle->persistents.items[i], &id) ||
            memchr(id.key.data, '\0', id.key.len) != NULL)
            return fail(l->table, "its pickle refers to what is no storage");
        if (gml_map_find_len(storages, id.key.data, id.key.len) != NULL)
            continue;
        gml_torch_storage *storage = gml_new(l->table->arena, gml_torch_storage);
        *storage = (gml_torch_storage){id.dtype, id.n_elements, NULL};
        gml_map_set(storages, gml_arena_text(l->table->arena, id.key.data, id.key.len),
                    storage);
    }
    return GML_OK;
}

static gml_status place_storages(legacy *l, const gml_pickled *keys, const gml_map *storages)
{
    if (keys->kind != GML_PICKLED_LIST || keys->items.count != storages->count)
        return fail(l->table, "the list of its storages is not the one that tensors need");
    for (size_t i = 0; i < keys->items.count; i++) {
        const gml_pickled *key = keys->items.items[i];
        gml_torch_storage *storage =
            key->kind == GML_PICKLED_TEXT
                ? gml_map_find_len(storages, key->text.data, key->text.len)
                : NULL;
        if (storage == NULL || storage->data != NULL)
            return fail(l->table, "the list of its storages is not the one that tensors need");
        uint64_t count = 0;
        for (unsigned b = 0; b < 8 && l->len - l->at >= 8; b++)
            count |= (uint64_t)l->bytes[l->at + b] << (8 * b);
        size_t size = gml_dtype_size(storage->dtype);
        if (l->len - l->at < 8 || count != storage->n_elements ||
            count > (l->len - l->at - 8) / size)
            return fail(l->table, "a storage is cut short or has another size");
        storage->data = l->bytes + l->at + 8;
        l->at += 8 + (size_t)count * size;
    }
    return GML_OK;
}

static gml_status read_legacy(const void *bytes, size_t len, gml_weight_table *table)
{
    legacy l = {table, bytes, len, sizeof legacy_magic};
    gml_pickle ignored;
    gml_pickle info;
    gml_pickle object;
    gml_pickle keys;
    gml_map storages;
    gml_map_init(&storages, table->arena);
    GML_TRY(next_pickle(&l, &ignored));
    GML_TRY(next_pickle(&l, &info));
    const gml_pickled *is_little = gml_pickled_find(info.value, "little_endian");
    if (is_little == NULL || is_little->kind != GML_PICKLED_BOOL || is_little->number == 0)
        return refuse(table, "was written on a big-endian machine");
    GML_TRY(next_pickle(&l, &object));
    GML_TRY(collect_types(&l, &object, &storages));
    GML_TRY(next_pickle(&l, &keys));
    GML_TRY(place_storages(&l, keys.value, &storages));
    return gml_torch_flatten(object.value, &storages, len, table);
}

gml_status gml_torch_read(const void *bytes, size_t len, gml_weight_table *table)
{
    switch (gml_torch_find_form(bytes, len)) {
    case GML_TORCH_ZIP: return read_zip(bytes, len, table);
    case GML_TORCH_LEGACY: return read_legacy(bytes, len, table);
    case GML_TORCH_TAR:
        return refuse(table, "is in PyTorch's tar format of before version 0.1.10");
    case GML_TORCH_PICKLE:
        return refuse(table, "is a pickle that is not torch.save's: it has no storages");
    case GML_TORCH_NOT: break;
    }
    return fail(table, "is no PyTorch file");
}
