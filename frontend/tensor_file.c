/* frontend/tensor_file.c - single values in protobuf files. */
#include "frontend/tensor_file.h"

#include "base/file.h"
#include "frontend/tensor.h"
#include "frontend/wire.h"

#include <string.h>

typedef struct value_reader {
    gml_tensor_reader tensors; /* its arena is where values go */
    gml_loc loc;
} value_reader;

static const char *copy_name(const value_reader *reader, const char *name)
{
    return name != NULL ? gml_arena_text(reader->tensors.arena, name, strlen(name)) : NULL;
}

static gml_status read_tensor(const value_reader *reader, const Onnx__TensorProto *proto,
                              gml_file_value *out_value)
{
    gml_file_value value = {.kind = GML_FILE_TENSOR, .name = copy_name(reader, proto->name)};
    gml_tensor *tensor = &value.tensor;
    GML_TRY(gml_tensor_read(&reader->tensors, proto, reader->loc, tensor));
    if (proto->has_raw_data) { /* may point into the file, which will be gone */
        size_t count = 0;
        size_t size = 0;
        bool fits =
            gml_count_elements(tensor->dtype, tensor->rank, tensor->dims, &count, &size);
        const void *data = tensor->data;
        tensor->data = gml_alloc_elements(reader->tensors.arena, size);
        if (fits && size != 0)
            memcpy(tensor->data, data, size);
    }
    *out_value = value;
    return GML_OK;
}

static gml_status read_sparse(const value_reader *reader, const Onnx__SparseTensorProto *proto,
                              gml_file_value *out_value)
{
    gml_file_value value = {.kind = GML_FILE_TENSOR};
    GML_TRY(gml_tensor_read_sparse(&reader->tensors, proto, reader->loc, &value.tensor));
    *out_value = value;
    return GML_OK;
}

static gml_status read_optional(const value_reader *reader, const Onnx__OptionalProto *proto,
                                gml_file_value *out_value);
static gml_status read_map(const value_reader *reader, const Onnx__MapProto *proto,
                           gml_file_value *out_value);

/* Depth is bounded by the wire scan. */
static gml_status read_sequence(const value_reader *reader, const Onnx__SequenceProto *proto,
                                gml_file_value *out_value)
{
    gml_file_value value = {.kind = GML_FILE_SEQUENCE, .name = copy_name(reader, proto->name)};
    size_t counts[] = {proto->n_tensor_values, proto->n_sparse_tensor_values,
                       proto->n_sequence_values, proto->n_map_values, proto->n_optional_values};
    size_t n_kinds = 0;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        value.n_items += counts[i];
        n_kinds += counts[i] != 0;
    }
    if (n_kinds > 1)
        return gml_fail(reader->tensors.diags, GML_E_INVALID, reader->loc,
                        "a sequence has elements of several kinds");
    value.items = gml_new_array(reader->tensors.arena, gml_file_value, value.n_items);
    for (size_t i = 0; i < value.n_items; i++) {
        gml_file_value *item = &value.items[i];
        if (proto->n_tensor_values != 0)
            GML_TRY(read_tensor(reader, proto->tensor_values[i], item));
        else if (proto->n_sparse_tensor_values != 0)
            GML_TRY(read_sparse(reader, proto->sparse_tensor_values[i], item));
        else if (proto->n_sequence_values != 0)
            GML_TRY(read_sequence(reader, proto->sequence_values[i], item));
        else if (proto->n_map_values != 0)
            GML_TRY(read_map(reader, proto->map_values[i], item));
        else
            GML_TRY(read_optional(reader, proto->optional_values[i], item));
    }
    *out_value = value;
    return GML_OK;
}

static gml_status read_optional(const value_reader *reader, const Onnx__OptionalProto *proto,
                                gml_file_value *out_value)
{
    gml_file_value value = {.kind = GML_FILE_OPTIONAL, .name = copy_name(reader, proto->name)};
    value.items = gml_new_array(reader->tensors.arena, gml_file_value, 1);
    value.n_items = 1;
    if (proto->tensor_value != NULL)
        GML_TRY(read_tensor(reader, proto->tensor_value, value.items));
    else if (proto->sparse_tensor_value != NULL)
        GML_TRY(read_sparse(reader, proto->sparse_tensor_value, value.items));
    else if (proto->sequence_value != NULL)
        GML_TRY(read_sequence(reader, proto->sequence_value, value.items));
    else if (proto->map_value != NULL)
        GML_TRY(read_map(reader, proto->map_value, value.items));
    else if (proto->optional_value != NULL)
        GML_TRY(read_optional(reader, proto->optional_value, value.items));
    else
        value.n_items = 0;
    *out_value = value;
    return GML_OK;
}

/* Keys are i64, whatever the key type, or strings. */
static void read_keys(const value_reader *reader, const Onnx__MapProto *proto, gml_tensor *keys)
{
    gml_arena *arena = reader->tensors.arena;
    *keys = (gml_tensor){.dtype = GML_I64, .rank = 1, .dims = {(int64_t)proto->n_keys}};
    if (proto->n_string_keys == 0) {
        keys->data = gml_arena_copy(arena, proto->keys, proto->n_keys * sizeof(int64_t));
        return;
    }
    keys->dtype = GML_STRING;
    keys->dims[0] = (int64_t)proto->n_string_keys;
    gml_string *strings = gml_new_array(arena, gml_string, proto->n_string_keys);
    for (size_t i = 0; i < proto->n_string_keys; i++) {
        const ProtobufCBinaryData *text = &proto->string_keys[i];
        strings[i].data = gml_arena_copy(arena, text->data, text->len);
        strings[i].len = text->len;
    }
    keys->data = strings;
}

static gml_status read_map(const value_reader *reader, const Onnx__MapProto *proto,
                           gml_file_value *out_value)
{
    gml_file_value value = {.kind = GML_FILE_MAP, .name = copy_name(reader, proto->name)};
    value.items = gml_new_array(reader->tensors.arena, gml_file_value, 2);
    value.n_items = 2;
    value.items[0].kind = GML_FILE_TENSOR;
    value.items[1].kind = GML_FILE_SEQUENCE;
    read_keys(reader, proto, &value.items[0].tensor);
    if (proto->values != NULL)
        GML_TRY(read_sequence(reader, proto->values, &value.items[1]));
    if ((size_t)value.items[0].tensor.dims[0] != value.items[1].n_items)
        return gml_fail(reader->tensors.diags, GML_E_INVALID, reader->loc,
                        "a map has %lld keys and %zu values",
                        (long long)value.items[0].tensor.dims[0], value.items[1].n_items);
    *out_value = value;
    return GML_OK;
}

/* The message of a file, and what makes a value of it. */
typedef struct file_form {
    const ProtobufCMessageDescriptor *descriptor;
    gml_status (*read)(const value_reader *reader, const void *proto,
                       gml_file_value *out_value);
} file_form;

static gml_status read_tensor_file(const value_reader *reader, const void *proto,
                                   gml_file_value *out_value)
{
    return read_tensor(reader, proto, out_value);
}

static gml_status read_sequence_file(const value_reader *reader, const void *proto,
                                     gml_file_value *out_value)
{
    return read_sequence(reader, proto, out_value);
}

static gml_status read_optional_file(const value_reader *reader, const void *proto,
                                     gml_file_value *out_value)
{
    return read_optional(reader, proto, out_value);
}

static gml_status read_map_file(const value_reader *reader, const void *proto,
                                gml_file_value *out_value)
{
    return read_map(reader, proto, out_value);
}

static const file_form forms[] = {
    [GML_TYPE_UNKNOWN] = {&onnx__tensor_proto__descriptor, read_tensor_file},
    [GML_TYPE_TENSOR] = {&onnx__tensor_proto__descriptor, read_tensor_file},
    [GML_TYPE_SEQUENCE] = {&onnx__sequence_proto__descriptor, read_sequence_file},
    [GML_TYPE_OPTIONAL] = {&onnx__optional_proto__descriptor, read_optional_file},
    [GML_TYPE_MAP] = {&onnx__map_proto__descriptor, read_map_file},
};

gml_status gml_tensor_file_parse(const gml_file *file, const gml_type *type, gml_arena *arena,
                                 gml_file_value *out_value, gml_diags *diags, gml_loc loc)
{
    const file_form *form = &forms[type != NULL ? type->kind : GML_TYPE_TENSOR];
    value_reader reader = {.tensors = {.arena = arena, .diags = diags}, .loc = loc};
    gml_arena scratch;
    gml_arena_init(&scratch);
    const ProtobufCMessage *message =
        gml_wire_unpack(form->descriptor, file->data, file->size, &scratch, diags, loc);
    gml_status status = GML_E_INVALID;
    if (message != NULL)
        status = form->read(&reader, message, out_value);
    gml_arena_reset(&scratch);
    return status;
}

gml_status gml_tensor_file_read(const char *path, const gml_type *type, gml_arena *arena,
                                gml_file_value *out_value, gml_diags *diags)
{
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    gml_status status = gml_tensor_file_parse(&file, type, arena, out_value, diags, loc);
    gml_file_unmap(&file);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------
 */

/* A protobuf-c sink over a gml_writer. */
typedef struct sink {
    ProtobufCBuffer base;
    gml_writer *writer;
} sink;

static void put_bytes(ProtobufCBuffer *buffer, size_t len, const uint8_t *bytes)
{
    union {
        ProtobufCBuffer *base;
        sink *whole;
    } at = {.base = buffer};
    gml_writer_put(at.whole->writer, bytes, len);
}

gml_status gml_tensor_file_write(const char *path, const char *name, const gml_tensor *tensor,
                                 gml_diags *diags)
{
    gml_writer writer;
    GML_TRY(gml_writer_open(&writer, path, diags));
    gml_arena arena;
    gml_arena_init(&arena);
    Onnx__TensorProto proto;
    gml_tensor_write(tensor, &arena, &proto);
    if (name != NULL)
        proto.name = gml_arena_text(&arena, name, strlen(name));
    sink out = {.base = {.append = put_bytes}, .writer = &writer};
    (void)onnx__tensor_proto__pack_to_buffer(&proto, &out.base);
    gml_arena_reset(&arena);
    return gml_writer_close(&writer, diags);
}
