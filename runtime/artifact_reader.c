/* runtime/artifact_reader.c - numbers, text, elements, attributes of an image. */
#include "runtime/artifact_reader.h"

#include <string.h>

void gml_reader_refuse(gml_reader *r, const char *what)
{
    if (r->status == GML_OK)
        r->status = gml_fail(r->diags, GML_E_INVALID, r->loc,
                             "the artifact is damaged: %s, at byte %zu", what,
                             (size_t)(r->at - r->image));
}

static uint64_t read_number(gml_reader *r, unsigned size)
{
    if (r->status != GML_OK)
        return 0;
    if ((size_t)(r->end - r->at) < size) {
        gml_reader_refuse(r, "it ends early");
        return 0;
    }
    uint64_t value = gml_load_number(r->at, size);
    r->at += size;
    return value;
}

uint32_t gml_read_u32(gml_reader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t gml_read_u64(gml_reader *r)
{
    return read_number(r, 8);
}

int64_t gml_read_i64(gml_reader *r)
{
    return (int64_t)read_number(r, 8);
}

float gml_read_float(gml_reader *r)
{
    uint32_t bits = gml_read_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint32_t gml_read_count(gml_reader *r, size_t size)
{
    uint32_t count = gml_read_u32(r);
    if (r->status == GML_OK && count > (size_t)(r->end - r->at) / size)
        gml_reader_refuse(r, "a count is too large");
    return r->status == GML_OK ? count : 0;
}

/* The next `len` bytes, in place. */
static const char *read_bytes(gml_reader *r, size_t len)
{
    if (r->status == GML_OK && len > (size_t)(r->end - r->at))
        gml_reader_refuse(r, "a text is too long");
    if (r->status != GML_OK)
        return NULL;
    const char *bytes = (const char *)r->at;
    r->at += len;
    return bytes;
}

const char *gml_read_text(gml_reader *r)
{
    uint32_t len = gml_read_u32(r);
    if (len == GML_NO_TEXT)
        return NULL;
    const char *bytes = read_bytes(r, len);
    if (bytes == NULL)
        return NULL;
    if (memchr(bytes, '\0', len) != NULL) {
        gml_reader_refuse(r, "a text has a zero in it");
        return NULL;
    }
    return gml_arena_text(r->arena, bytes, len);
}

const char *gml_read_name(gml_reader *r)
{
    const char *name = gml_read_text(r);
    if (name == NULL)
        gml_reader_refuse(r, "a name is missing");
    return name != NULL ? name : "";
}

const uint32_t *gml_read_numbers(gml_reader *r, uint32_t *out_count)
{
    uint32_t count = gml_read_count(r, 4);
    uint32_t *numbers = gml_new_array(r->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = gml_read_u32(r);
    *out_count = count;
    return numbers;
}

uint64_t gml_artifact_head_checksum(const void *bytes, size_t len)
{
    return gml_hash_bytes(bytes, len, 0);
}

/* ---- Elements --------------------------------------------------------------------------- */

static gml_string read_string(gml_reader *r)
{
    uint32_t len = gml_read_u32(r);
    const char *bytes = read_bytes(r, len);
    return (gml_string){.data = bytes, .len = bytes != NULL ? len : 0};
}

static const gml_string *read_strings(gml_reader *r, size_t count)
{
    if (r->status == GML_OK && count > (size_t)(r->end - r->at) / 4)
        gml_reader_refuse(r, "there are too many strings");
    if (r->status != GML_OK)
        return NULL;
    gml_string *strings = gml_new_array(r->arena, gml_string, count);
    for (size_t i = 0; i < count; i++)
        strings[i] = read_string(r);
    return strings;
}

static const void *read_place(gml_reader *r, size_t size)
{
    uint64_t offset = gml_read_u64(r);
    if (r->status == GML_OK &&
        (offset > r->constants_size || size > r->constants_size - offset))
        gml_reader_refuse(r, "a constant is out of bounds");
    return r->status == GML_OK ? r->constants + offset : NULL;
}

void gml_read_elements(gml_reader *r, gml_tensor *tensor)
{
    union {
        const void *from;
        void *to;
    } data = {NULL};
    size_t size = 0;
    uint32_t where = gml_read_u32(r);
    if (r->status == GML_OK && !gml_tensor_bytes(tensor, &size))
        gml_reader_refuse(r, "shape of a constant");
    bool is_string = tensor->dtype == GML_STRING;
    if (r->status != GML_OK)
        return;
    if (where == GML_ELEMENTS_STRINGS && is_string)
        data.from = read_strings(r, size / sizeof(gml_string));
    else if (where == GML_ELEMENTS_PLACE && !is_string)
        data.from = read_place(r, size);
    else if (where != GML_ELEMENTS_NONE || size != 0)
        gml_reader_refuse(r, "a constant without elements");
    tensor->data = data.to;
}

static const gml_tensor *read_tensor(gml_reader *r)
{
    gml_tensor *tensor = gml_new(r->arena, gml_tensor);
    uint32_t dtype = gml_read_u32(r);
    uint32_t rank = gml_read_u32(r);
    if (dtype == GML_NONE || dtype >= GML_DTYPE_COUNT || rank > GML_MAX_RANK) {
        gml_reader_refuse(r, "type of a tensor");
        return tensor;
    }
    tensor->dtype = (gml_dtype)dtype;
    tensor->rank = (int)rank;
    for (uint32_t i = 0; i < rank; i++)
        tensor->dims[i] = gml_read_i64(r);
    gml_read_elements(r, tensor);
    return tensor;
}

/* ---- Attributes ------------------------------------------------------------------------- */

static void read_list(gml_reader *r, gml_attr *attr)
{
    uint32_t count = gml_read_count(r, attr->kind == GML_ATTR_INTS ? 8 : 4);
    attr->count = count;
    if (attr->kind == GML_ATTR_INTS) {
        int64_t *ints = gml_new_array(r->arena, int64_t, count);
        for (uint32_t i = 0; i < count; i++)
            ints[i] = gml_read_i64(r);
        attr->as.ints = ints;
    } else if (attr->kind == GML_ATTR_FLOATS) {
        float *floats = gml_new_array(r->arena, float, count);
        for (uint32_t i = 0; i < count; i++)
            floats[i] = gml_read_float(r);
        attr->as.floats = floats;
    } else if (attr->kind == GML_ATTR_STRINGS) {
        attr->as.strings = read_strings(r, count);
    } else {
        const gml_tensor **tensors = gml_new_array(r->arena, const gml_tensor *, count);
        for (uint32_t i = 0; i < count && r->status == GML_OK; i++)
            tensors[i] = read_tensor(r);
        attr->as.tensors = tensors;
    }
}

static void read_attr(gml_reader *r, gml_attr *attr)
{
    attr->name = gml_read_name(r);
    uint32_t kind = gml_read_u32(r);
    if (kind > GML_ATTR_TENSORS) {
        gml_reader_refuse(r, "kind of an attribute");
        return;
    }
    attr->kind = (gml_attr_kind)kind;
    switch (attr->kind) {
    case GML_ATTR_NONE:
    case GML_ATTR_TYPE: break;
    case GML_ATTR_INT: attr->as.i = gml_read_i64(r); break;
    case GML_ATTR_FLOAT: attr->as.f = gml_read_float(r); break;
    case GML_ATTR_STRING: attr->as.s = read_string(r); break;
    case GML_ATTR_TENSOR: attr->as.t = read_tensor(r); break;
    case GML_ATTR_GRAPH: attr->count = gml_read_u32(r); break;
    case GML_ATTR_INTS:
    case GML_ATTR_FLOATS:
    case GML_ATTR_STRINGS:
    case GML_ATTR_TENSORS: read_list(r, attr); break;
    }
}

const gml_attr *gml_read_attrs(gml_reader *r, uint32_t *out_count)
{
    uint32_t count = gml_read_count(r, 8);
    gml_attr *attrs = gml_new_array(r->arena, gml_attr, count);
    for (uint32_t i = 0; i < count && r->status == GML_OK; i++)
        read_attr(r, &attrs[i]);
    *out_count = count;
    return attrs;
}
