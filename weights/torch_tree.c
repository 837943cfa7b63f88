/* weights/torch_tree.c - the object of a PyTorch file as tensors by name. */
#include "weights/torch_tree.h"

#include "base/str.h"
#include "runtime/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GML_MAX_DEPTH  32
#define GML_MAX_VISITS ((size_t)1 << 22)

typedef enum name_kind {
    GML_NAME_OPAQUE,
    GML_NAME_TENSOR,
    GML_NAME_PARAMETER,
    GML_NAME_DICT,
    GML_NAME_OBJECT,
    GML_NAME_STORAGE,
} name_kind;

static const gml_pickle_name names[] = {
#define X(module, name, kind, dtype) {module, name},
#include "weights/torch_names.def"
#undef X
};

static const struct {
    name_kind kind;
    gml_dtype dtype;
} meanings[] = {
#define X(module, name, kind, dtype) {GML_NAME_##kind, GML_##dtype},
#include "weights/torch_names.def"
#undef X
};

gml_pickle_options gml_torch_pickle_options(const char *file)
{
    return (gml_pickle_options){names, sizeof names / sizeof *names, file};
}

typedef struct walk {
    gml_weight_table *table;
    const gml_map *storages;
    gml_str name; /* of the value looked at */
    size_t max_copied;
    size_t n_visits;
    unsigned depth;
} walk;

static gml_status fail(const walk *w, const char *what)
{
    gml_arena *arena = w->table->diags->arena;
    (void)gml_weight_table_fail(w->table, GML_E_INVALID,
                                gml_arena_text(arena, w->name.text, w->name.len), "%s", what);
    return GML_E_INVALID;
}

/* ---- storages ---------------------------------------------------------------------------- */

static const gml_pickled *item(const gml_pickled *list, size_t i)
{
    bool has = list != NULL && list->kind == GML_PICKLED_LIST && i < list->items.count;
    return has ? list->items.items[i] : NULL;
}

static bool read_count(const gml_pickled *value, int64_t *out_count)
{
    if (value == NULL || value->kind != GML_PICKLED_INT || value->number < 0)
        return false;
    *out_count = value->number;
    return true;
}

bool gml_torch_read_identifier(const gml_pickled *value, gml_torch_identifier *out)
{
    const gml_pickled *tuple =
        value != NULL && value->kind == GML_PICKLED_PERSISTENT ? value->arguments : NULL;
    const gml_pickled *tag = item(tuple, 0);
    const gml_pickled *type = item(tuple, 1);
    const gml_pickled *key = item(tuple, 2);
    const gml_pickled *view = item(tuple, 5); /* of the form before zips */
    int64_t n_elements = 0;
    if (tag == NULL || !gml_pickled_is_text(tag, "storage") || type->kind != GML_PICKLED_NAME ||
        meanings[type->number].kind != GML_NAME_STORAGE || key == NULL ||
        key->kind != GML_PICKLED_TEXT || !read_count(item(tuple, 4), &n_elements) ||
        (view != NULL && view->kind != GML_PICKLED_NONE))
        return false;
    *out =
        (gml_torch_identifier){meanings[type->number].dtype, (uint64_t)n_elements, key->text};
    return true;
}

/* ---- tensors ----------------------------------------------------------------------------- */

/* A tensor's place in its storage. */
typedef struct view {
    gml_tensor tensor;
    int64_t strides[GML_MAX_RANK]; /* elements */
    int64_t offset;
    const gml_torch_storage *storage;
} view;

/* The arguments of _rebuild_tensor_v2: storage, offset, sizes, strides, … */
static gml_status read_view(const walk *w, const gml_pickled *arguments, view *out)
{
    gml_torch_identifier identifier;
    const gml_pickled *sizes = item(arguments, 2);
    const gml_pickled *strides = item(arguments, 3);
    if (!gml_torch_read_identifier(item(arguments, 0), &identifier) ||
        !read_count(item(arguments, 1), &out->offset) || sizes == NULL || strides == NULL ||
        sizes->kind != GML_PICKLED_LIST || strides->kind != GML_PICKLED_LIST ||
        sizes->items.count != strides->items.count)
        return fail(w, "is a tensor without storage, sizes and strides");
    if (sizes->items.count > GML_MAX_RANK)
        return fail(w, "has too many dimensions");
    out->storage = gml_map_find_len(w->storages, identifier.key.data, identifier.key.len);
    if (out->storage == NULL)
        return fail(w, "its storage is not in the file");
    if (out->storage->dtype != identifier.dtype)
        return fail(w, "its storage has two types");
    out->tensor.dtype = identifier.dtype;
    out->tensor.rank = (int)sizes->items.count;
    for (int d = 0; d < out->tensor.rank; d++)
        if (!read_count(sizes->items.items[d], &out->tensor.dims[d]) ||
            !read_count(strides->items.items[d], &out->strides[d]))
            return fail(w, "has a size or stride that is no count");
    return GML_OK;
}

/* Whether all elements lie in the storage, none of them more often than the storage has room.
 */
static gml_status check_view(const walk *w, const view *v, size_t *out_count)
{
    size_t bytes = 0;
    if (!gml_tensor_bytes(&v->tensor, &bytes))
        return fail(w, "is too large");
    *out_count = bytes / gml_dtype_size(v->tensor.dtype);
    uint64_t n = v->storage->n_elements;
    uint64_t last = (uint64_t)v->offset;
    if (*out_count == 0)
        return GML_OK;
    for (int d = 0; d < v->tensor.rank && last < n; d++) {
        uint64_t steps = (uint64_t)v->tensor.dims[d] - 1;
        uint64_t stride = (uint64_t)v->strides[d];
        last = stride != 0 && steps > n / stride ? n : last + steps * stride;
    }
    if (last >= n)
        return fail(w, "has elements outside of its storage");
    return *out_count <= n ? GML_OK : fail(w, "repeats its elements");
}

static bool is_dense(const view *v)
{
    int64_t stride = 1;
    for (int d = v->tensor.rank - 1; d >= 0; d--) {
        if (v->tensor.dims[d] != 1 && v->strides[d] != stride)
            return false;
        stride *= v->tensor.dims[d];
    }
    return true;
}

/* Copies the elements row by row, by counting through the indices. */
static gml_status gather(walk *w, view *v, size_t count)
{
    size_t size = gml_dtype_size(v->tensor.dtype);
    const unsigned char *from = v->storage->data + (size_t)v->offset * size;
    if (count * size > w->max_copied - w->table->n_copied)
        return fail(w, "the file holds too many views of one storage");
    w->table->n_copied += count * size;
    unsigned char *to = gml_arena_alloc(w->table->arena, count * size);
    v->tensor.data = to;
    int64_t index[GML_MAX_RANK] = {0};
    int64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(to + i * size, from + (size_t)at * size, size);
        for (int d = v->tensor.rank - 1; d >= 0; d--) {
            at += v->strides[d];
            if (++index[d] < v->tensor.dims[d])
                break;
            at -= v->strides[d] * v->tensor.dims[d];
            index[d] = 0;
        }
    }
    return GML_OK;
}

static gml_status add_tensor(walk *w, const gml_pickled *arguments)
{
    view v = {.offset = 0};
    size_t count = 0;
    GML_TRY(read_view(w, arguments, &v));
    GML_TRY(check_view(w, &v, &count));
    if (count > 0 && is_dense(&v)) {
        union {
            const unsigned char *from;
            void *to; /* nobody writes there */
        } data = {v.storage->data + (size_t)v.offset * gml_dtype_size(v.tensor.dtype)};
        v.tensor.data = data.to;
    } else if (count > 0) {
        GML_TRY(gather(w, &v, count));
    }
    const char *name = w->name.len > 0 ? w->name.text : "tensor";
    return gml_weight_table_add(w->table, name, &v.tensor, false);
}

/* ---- values ------------------------------------------------------------------------------ */

static gml_status visit(walk *w, const gml_pickled *value);

static gml_status visit_part(walk *w, const gml_pickled *part, const char *key, size_t len)
{
    size_t before = w->name.len;
    if (before + len + 1 > GML_WEIGHTS_MAX_NAME)
        return fail(w, "has a name that is too long in it");
    if (before > 0)
        gml_str_putc(&w->name, '.');
    gml_str_append(&w->name, key, len);
    gml_status status = visit(w, part);
    w->name.len = before;
    w->name.text[before] = '\0';
    return status;
}

static gml_status visit_items(walk *w, const gml_pickled *value)
{
    for (size_t i = 0; i + 1 < value->items.count; i += 2) {
        const gml_pickled *key = value->items.items[i];
        char number[32];
        gml_string text = key->text;
        if (key->kind == GML_PICKLED_INT) {
            int len = snprintf(number, sizeof number, "%" PRId64, key->number);
            text = (gml_string){number, (size_t)len};
        } else if (key->kind != GML_PICKLED_TEXT || memchr(text.data, '\0', text.len) != NULL) {
            return fail(w, "has a key that is neither text nor number");
        }
        GML_TRY(visit_part(w, value->items.items[i + 1], text.data, text.len));
    }
    return GML_OK;
}

static gml_status visit_list(walk *w, const gml_pickled *value)
{
    for (size_t i = 0; i < value->items.count; i++) {
        char number[32];
        int len = snprintf(number, sizeof number, "%zu", i);
        GML_TRY(visit_part(w, value->items.items[i], number, (size_t)len));
    }
    return GML_OK;
}

static gml_status add_text(walk *w, const char *format, ...) GML_PRINTF(2, 3);
static gml_status add_text(walk *w, const char *format, ...)
{
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *name = w->name.len > 0 ? w->name.text : "value";
    return gml_weight_table_add_text(w->table, name, text, strlen(text));
}

static gml_status visit_call(walk *w, const gml_pickled *call)
{
    const gml_pickle_name *name = &names[call->callee->number];
    switch (meanings[call->callee->number].kind) {
    case GML_NAME_TENSOR: return add_tensor(w, call->arguments);
    case GML_NAME_PARAMETER: {
        const gml_pickled *tensor = item(call->arguments, 0);
        if (tensor == NULL || tensor->kind != GML_PICKLED_CALL ||
            meanings[tensor->callee->number].kind != GML_NAME_TENSOR)
            return fail(w, "is a parameter without tensor");
        return add_tensor(w, tensor->arguments);
    }
    case GML_NAME_DICT:
        if (call->arguments->items.count != 0)
            return fail(w, "is a dictionary that is made of a list");
        return visit_items(w, call);
    case GML_NAME_OBJECT:
        if (call->state != NULL && call->state->kind != GML_PICKLED_DICT)
            return fail(w, "is an object whose state is no dictionary");
        return call->state != NULL ? visit_items(w, call->state) : GML_OK;
    case GML_NAME_STORAGE:
    case GML_NAME_OPAQUE: break;
    }
    return add_text(w, "%s.%s(...)", name->module, name->name);
}

static gml_status visit_kind(walk *w, const gml_pickled *value)
{
    const char *name = w->name.len > 0 ? w->name.text : "value";
    switch (value->kind) {
    case GML_PICKLED_NONE: return add_text(w, "none");
    case GML_PICKLED_BOOL: return add_text(w, "%s", value->number != 0 ? "true" : "false");
    case GML_PICKLED_INT: return add_text(w, "%" PRId64, value->number);
    case GML_PICKLED_BIG: return add_text(w, "an integer of %zu bytes", value->text.len);
    case GML_PICKLED_FLOAT: return add_text(w, "%.17g", value->real);
    case GML_PICKLED_TEXT:
        return gml_weight_table_add_text(w->table, name, value->text.data, value->text.len);
    case GML_PICKLED_BYTES: return add_text(w, "%zu bytes", value->text.len);
    case GML_PICKLED_LIST: return visit_list(w, value);
    case GML_PICKLED_DICT: return visit_items(w, value);
    case GML_PICKLED_NAME:
        return add_text(w, "%s.%s", names[value->number].module, names[value->number].name);
    case GML_PICKLED_CALL: return visit_call(w, value);
    case GML_PICKLED_PERSISTENT: return add_text(w, "a storage");
    case GML_PICKLED_MARK: break;
    }
    return fail(w, "is no value");
}

static gml_status visit(walk *w, const gml_pickled *value)
{
    if (w->depth == GML_MAX_DEPTH)
        return fail(w, "is nested too deeply");
    if (w->n_visits == GML_MAX_VISITS)
        return fail(w, "the file refers to its parts too often");
    w->n_visits++;
    w->depth++;
    gml_status status = visit_kind(w, value);
    w->depth--;
    return status;
}

gml_status gml_torch_flatten(const gml_pickled *value, const gml_map *storages,
                             size_t max_copied, gml_weight_table *table)
{
    walk w = {.table = table, .storages = storages, .max_copied = max_copied};
    gml_str_init(&w.name);
    gml_status status = visit(&w, value);
    gml_str_reset(&w.name);
    return status;
}
