/* frontend/value_file.c - writes sequences, optionals and maps as their messages. */
#include "base/file.h"
#include "frontend/tensor.h"
#include "frontend/tensor_file.h"
#include "onnx.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* Deeper values are made by nobody but a bug. */
#define GML_MAX_VALUE_DEPTH 16

/* What a sequence or optional says of its element: the same numbers in both messages. */
static int32_t element_number(gml_file_value_kind kind)
{
    switch (kind) {
    case GML_FILE_TENSOR: return ONNX__SEQUENCE_PROTO__DATA_TYPE__TENSOR;
    case GML_FILE_SEQUENCE: return ONNX__SEQUENCE_PROTO__DATA_TYPE__SEQUENCE;
    case GML_FILE_OPTIONAL: return ONNX__SEQUENCE_PROTO__DATA_TYPE__OPTIONAL;
    case GML_FILE_MAP: return ONNX__SEQUENCE_PROTO__DATA_TYPE__MAP;
    }
    return ONNX__SEQUENCE_PROTO__DATA_TYPE__UNDEFINED;
}

static ProtobufCMessage *make_message(const gml_file_value *value, gml_arena *arena, int depth);

static ProtobufCMessage *make_tensor(const gml_tensor *tensor, const char *name,
                                     gml_arena *arena)
{
    Onnx__TensorProto *proto = gml_new(arena, Onnx__TensorProto);
    gml_tensor_write(tensor, arena, proto);
    if (name)
        proto->name = gml_arena_text(arena, name, strlen(name));
    return &proto->base;
}

static ProtobufCMessage *make_sequence(const gml_file_value *value, gml_arena *arena, int depth)
{
    Onnx__SequenceProto *proto = gml_new(arena, Onnx__SequenceProto);
    onnx__sequence_proto__init(proto);
    size_t n = value->n_items;
    ProtobufCMessage **items = gml_new_array(arena, ProtobufCMessage *, n + 1);
    for (size_t i = 0; i < n; i++) {
        items[i] = make_message(&value->items[i], arena, depth + 1);
        if (!items[i] || value->items[i].kind != value->items[0].kind)
            return NULL;
    }
    gml_file_value_kind kind = n ? value->items[0].kind : GML_FILE_TENSOR;
    proto->has_elem_type = true;
    proto->elem_type = element_number(kind);
    switch (kind) {
    case GML_FILE_TENSOR:
        proto->n_tensor_values = n;
        proto->tensor_values = (Onnx__TensorProto **)items;
        break;
    case GML_FILE_SEQUENCE:
        proto->n_sequence_values = n;
        proto->sequence_values = (Onnx__SequenceProto **)items;
        break;
    case GML_FILE_OPTIONAL:
        proto->n_optional_values = n;
        proto->optional_values = (Onnx__OptionalProto **)items;
        break;
    case GML_FILE_MAP:
        proto->n_map_values = n;
        proto->map_values = (Onnx__MapProto **)items;
        break;
    }
    return &proto->base;
}

static ProtobufCMessage *make_optional(const gml_file_value *value, gml_arena *arena, int depth)
{
    Onnx__OptionalProto *proto = gml_new(arena, Onnx__OptionalProto);
    onnx__optional_proto__init(proto);
    if (value->n_items == 0)
        return &proto->base;
    ProtobufCMessage *item = make_message(&value->items[0], arena, depth + 1);
    if (!item)
        return NULL;
    proto->has_elem_type = true;
    proto->elem_type = element_number(value->items[0].kind);
    switch (value->items[0].kind) {
    case GML_FILE_TENSOR: proto->tensor_value = (Onnx__TensorProto *)item; break;
    case GML_FILE_SEQUENCE: proto->sequence_value = (Onnx__SequenceProto *)item; break;
    case GML_FILE_OPTIONAL: proto->optional_value = (Onnx__OptionalProto *)item; break;
    case GML_FILE_MAP: proto->map_value = (Onnx__MapProto *)item; break;
    }
    return &proto->base;
}

static ProtobufCMessage *make_map(const gml_file_value *value, gml_arena *arena, int depth)
{
    Onnx__MapProto *proto = gml_new(arena, Onnx__MapProto);
    onnx__map_proto__init(proto);
    if (value->n_items != 2 || value->items[0].kind != GML_FILE_TENSOR ||
        value->items[1].kind != GML_FILE_SEQUENCE)
        return NULL;
    const gml_tensor *keys = &value->items[0].tensor;
    size_t n = (size_t)gml_tensor_numel(keys);
    proto->has_key_type = true;
    proto->key_type = (int32_t)keys->dtype;
    if (keys->dtype == GML_STRING) {
        const gml_string *texts = keys->data;
        proto->n_string_keys = n;
        proto->string_keys = gml_new_array(arena, ProtobufCBinaryData, n + 1);
        for (size_t i = 0; i < n; i++)
            proto->string_keys[i] = (ProtobufCBinaryData){
                texts[i].len, gml_arena_copy(arena, texts[i].data, texts[i].len)};
    } else if (keys->dtype == GML_I64) {
        proto->n_keys = n;
        proto->keys = keys->data;
    } else {
        return NULL;
    }
    proto->values = (Onnx__SequenceProto *)make_sequence(&value->items[1], arena, depth + 1);
    return proto->values ? &proto->base : NULL;
}

/* NULL when no message can hold the value. */
static ProtobufCMessage *make_message(const gml_file_value *value, gml_arena *arena, int depth)
{
    if (depth > GML_MAX_VALUE_DEPTH)
        return NULL;
    switch (value->kind) {
    case GML_FILE_TENSOR: return make_tensor(&value->tensor, value->name, arena);
    case GML_FILE_SEQUENCE: return make_sequence(value, arena, depth);
    case GML_FILE_OPTIONAL: return make_optional(value, arena, depth);
    case GML_FILE_MAP: return make_map(value, arena, depth);
    }
    return NULL;
}

gml_status gml_value_file_write(const char *path, const gml_file_value *value, gml_diags *diags)
{
    if (value->kind == GML_FILE_TENSOR)
        return gml_tensor_file_write(path, value->name, &value->tensor, diags);
    gml_arena arena;
    gml_arena_init(&arena);
    gml_loc loc = {.file = path};
    gml_status status = GML_OK;
    const ProtobufCMessage *message = make_message(value, &arena, 0);
    uint8_t *bytes = message ? malloc(protobuf_c_message_get_packed_size(message) + 1) : NULL;
    if (!message)
        status = gml_fail(diags, GML_E_UNSUPPORTED, loc, "no ONNX message can hold the value");
    else if (!bytes)
        status = gml_fail(diags, GML_E_MEMORY, loc, "no memory for the file");
    else
        status = gml_file_write(path, bytes, protobuf_c_message_pack(message, bytes), diags);
    free(bytes);
    gml_arena_reset(&arena);
    return status;
}
