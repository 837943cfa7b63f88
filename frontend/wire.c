/* frontend/wire.c - scans protobuf bytes along a descriptor and leaves tensors out.
 *
 * A message is a sequence of (key, payload); the key is a varint, field number * 8 + wire type.
 * The wire type alone says how long a payload is, so unknown fields can be skipped:
 *
 *     0  varint: up to 10 bytes, 7 bits each, the lowest first; the top bit says "more"
 *     1  8 bytes     5  4 bytes
 *     2  a varint length, then that many bytes: text, bytes, packed numbers, an embedded
 * message 3, 4  begin and end of a group: obsolete, no ONNX file has them
 *
 * Embedded messages change length when they are stripped. Their length is written as a varint
 * padded to five bytes, filled in when the message is done, so the copy is made in one pass.
 */
#include "frontend/wire.h"

#include "onnx.pb-c.h"

#include <string.h>

enum wire_type { GML_VARINT = 0, GML_FIXED64 = 1, GML_LENGTH = 2, GML_FIXED32 = 5 };

#define GML_RAW_DATA_FIELD 9
#define GML_LENGTH_BYTES   5

/* What stands in a stripped raw_data: not portable, never leaves the process. */
typedef struct raw_reference {
    const void *data;
    size_t len;
} raw_reference;

typedef struct scan {
    const uint8_t *begin; /* of everything, for positions in messages */
    gml_str *out;
    size_t n_items;
    gml_diags *diags;
    gml_loc loc;
} scan;

typedef struct span {
    const uint8_t *at, *end;
} span;

static gml_status fail_at(scan *s, const uint8_t *at, const char *what)
{
    return gml_fail(s->diags, GML_E_INVALID, s->loc, "malformed protobuf at byte %zu: %s",
                    (size_t)(at - s->begin), what);
}

static gml_status read_varint(scan *s, span *in, uint64_t *out_value)
{
    uint64_t value = 0;
    const uint8_t *start = in->at;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (in->at == in->end)
            return fail_at(s, start, "a number is cut short");
        uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_value = value;
            return GML_OK;
        }
    }
    return fail_at(s, start, "a number has more than 64 bits");
}

static void put_varint(gml_str *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        gml_str_putc(out, (char)(uint8_t)(value | 0x80));
    gml_str_putc(out, (char)(uint8_t)value);
}

/* Reads a payload of wire type `type`; `*out_payload` is what follows the length, if there is
 * one. */
static gml_status read_payload(scan *s, span *in, unsigned type, span *out_payload)
{
    const uint8_t *start = in->at;
    uint64_t len = 0;
    switch (type) {
    case GML_VARINT:
        GML_TRY(read_varint(s, in, &len));
        *out_payload = (span){start, in->at};
        return GML_OK;
    case GML_FIXED64: len = 8; break;
    case GML_FIXED32: len = 4; break;
    case GML_LENGTH: GML_TRY(read_varint(s, in, &len)); break;
    default: return fail_at(s, start, "a group, or an unknown wire type");
    }
    if (len > (uint64_t)(in->end - in->at))
        return fail_at(s, start, "a field is longer than what holds it");
    *out_payload = (span){in->at, in->at + len};
    in->at += len;
    return GML_OK;
}

/* The wire type of one element of `field`. */
static unsigned element_wire_type(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return GML_FIXED32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return GML_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return GML_LENGTH;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM: break;
    }
    return GML_VARINT;
}

static gml_status count_items(scan *s, const uint8_t *at, size_t n)
{
    s->n_items += n;
    if (s->n_items > GML_WIRE_MAX_ITEMS)
        return fail_at(s, at, "more than 16777216 fields");
    return GML_OK;
}

/* Packed numbers: whole elements, every varint well formed. They cost memory by the element,
 * but little more than in the file, so they are not counted as items. */
static gml_status check_packed(scan *s, const ProtobufCFieldDescriptor *field, span payload)
{
    unsigned type = element_wire_type(field);
    size_t size = type == GML_FIXED64 ? 8 : 4;
    if (type != GML_VARINT) {
        if ((size_t)(payload.end - payload.at) % size != 0)
            return fail_at(s, payload.at, "packed numbers end in the middle of one");
        return GML_OK;
    }
    uint64_t ignored;
    while (payload.at < payload.end)
        GML_TRY(read_varint(s, &payload, &ignored));
    return GML_OK;
}

/* A field of which a message has one: refused when it, or its oneof, has been there before. */
static gml_status check_once(scan *s, const ProtobufCMessageDescriptor *descriptor,
                             const ProtobufCFieldDescriptor *field, uint64_t *seen,
                             const uint8_t *at)
{
    bool in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (field->label == PROTOBUF_C_LABEL_REPEATED ||
        (field->type != PROTOBUF_C_TYPE_MESSAGE && !in_oneof))
        return GML_OK;
    uint64_t bits = 0;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *other = &descriptor->fields[i];
        if (other == field ||
            (in_oneof && other->quantifier_offset == field->quantifier_offset &&
             (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0))
            bits |= UINT64_C(1) << i;
    }
    if ((*seen & bits) != 0)
        return fail_at(s, at, "a field that may be there once is there twice");
    *seen |= bits;
    return GML_OK;
}

static void put_raw_reference(scan *s, span payload)
{
    raw_reference reference = {payload.at, (size_t)(payload.end - payload.at)};
    put_varint(s->out, sizeof reference);
    gml_str_append(s->out, &reference, sizeof reference);
}

static gml_status scan_message(scan *s, const ProtobufCMessageDescriptor *descriptor, span in,
                               unsigned depth);

static gml_status scan_embedded(scan *s, const ProtobufCMessageDescriptor *descriptor,
                                span payload, unsigned depth)
{
    if (depth == GML_WIRE_MAX_DEPTH)
        return fail_at(s, payload.at, "messages are nested more than 64 deep");
    size_t length_at = s->out->len;
    gml_str_append(s->out, "\0\0\0\0", GML_LENGTH_BYTES);
    GML_TRY(scan_message(s, descriptor, payload, depth + 1));
    size_t len = s->out->len - length_at - GML_LENGTH_BYTES;
    if (len > INT32_MAX)
        return fail_at(s, payload.at, "more than 2 GB of fields that are not raw_data");
    for (unsigned i = 0; i < GML_LENGTH_BYTES; i++) {
        uint8_t more = i + 1 < GML_LENGTH_BYTES ? 0x80 : 0;
        s->out->text[length_at + i] = (char)(uint8_t)(((len >> (7 * i)) & 0x7f) | more);
    }
    return GML_OK;
}

static gml_status scan_field(scan *s, const ProtobufCFieldDescriptor *field, unsigned type,
                             span payload, unsigned depth)
{
    size_t len = (size_t)(payload.end - payload.at);
    unsigned wanted = element_wire_type(field);
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    bool packed = repeated && type == GML_LENGTH && wanted != GML_LENGTH;
    if (type != wanted && !packed)
        return fail_at(s, payload.at, "a field has the wrong wire type");
    if (packed)
        GML_TRY(check_packed(s, field, payload));
    else if (repeated || field->type == PROTOBUF_C_TYPE_MESSAGE)
        GML_TRY(count_items(s, payload.at, 1));
    if (field->type == PROTOBUF_C_TYPE_STRING && memchr(payload.at, '\0', len) != NULL)
        return fail_at(s, payload.at, "a NUL inside text");
    put_varint(s->out, (uint64_t)field->id << 3 | type);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return scan_embedded(s, field->descriptor, payload, depth);
    if (type == GML_LENGTH)
        put_varint(s->out, len);
    gml_str_append(s->out, payload.at, len);
    return GML_OK;
}

static gml_status scan_message(scan *s, const ProtobufCMessageDescriptor *descriptor, span in,
                               unsigned depth)
{
    uint64_t seen = 0;
    while (in.at < in.end) {
        const uint8_t *start = in.at;
        uint64_t key = 0;
        span payload = {start, start};
        GML_TRY(read_varint(s, &in, &key));
        if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
            return fail_at(s, start, "a field number out of range");
        unsigned number = (unsigned)(key >> 3);
        unsigned type = (unsigned)(key & 7);
        GML_TRY(read_payload(s, &in, type, &payload));
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(descriptor, number);
        if (field == NULL)
            continue;
        GML_TRY(check_once(s, descriptor, field, &seen, start));
        if (descriptor == &onnx__tensor_proto__descriptor && number == GML_RAW_DATA_FIELD &&
            type == GML_LENGTH) {
            put_varint(s->out, key);
            put_raw_reference(s, payload);
            continue;
        }
        GML_TRY(scan_field(s, field, type, payload, depth));
    }
    return GML_OK;
}

gml_status gml_wire_strip(const ProtobufCMessageDescriptor *descriptor, const void *bytes,
                          size_t len, gml_str *out, gml_diags *diags, gml_loc loc)
{
    scan s = {.begin = len != 0 ? bytes : "", .out = out, .diags = diags, .loc = loc};
    return scan_message(&s, descriptor, (span){s.begin, s.begin + len}, 1);
}

void gml_wire_raw(const ProtobufCBinaryData *reference, const void **out_data, size_t *out_len)
{
    raw_reference raw = {NULL, 0};
    if (reference->len != sizeof raw)
        GML_BUG("raw_data of a message that was not stripped");
    memcpy(&raw, reference->data, sizeof raw);
    *out_data = raw.data;
    *out_len = raw.len;
}

/* ---- protobuf-c in an arena ---------------------------------------------------------------
 */

static void *arena_alloc(void *context, size_t size)
{
    return gml_arena_alloc(context, size);
}

static void arena_free(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

ProtobufCMessage *gml_wire_unpack(const ProtobufCMessageDescriptor *descriptor,
                                  const void *bytes, size_t len, gml_arena *arena,
                                  gml_diags *diags, gml_loc loc)
{
    gml_str stripped;
    gml_str_init(&stripped);
    ProtobufCMessage *message = NULL;
    if (gml_wire_strip(descriptor, bytes, len, &stripped, diags, loc) == GML_OK) {
        ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
        message = protobuf_c_message_unpack(descriptor, &allocator, stripped.len,
                                            (const uint8_t *)stripped.text);
        if (message == NULL)
            (void)gml_fail(diags, GML_E_INVALID, loc, "malformed protobuf");
    }
    gml_str_reset(&stripped);
    return message;
}
