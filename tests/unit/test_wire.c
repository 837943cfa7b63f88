/* tests/unit/test_wire.c - frontend/wire.h on bytes that no honest writer makes. */
#include "frontend/wire.h"
#include "onnx.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    gml_arena arena;
    gml_diags diags;
    gml_str bytes; /* being built */
    gml_str out;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    gml_str_init(&f->bytes);
    gml_str_init(&f->out);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    gml_str_reset(&f->bytes);
    gml_str_reset(&f->out);
    gml_arena_reset(&f->arena);
    free(f);
    return 0;
}

static gml_status strip_model(fixture *f, const void *bytes, size_t len)
{
    /* A copy of just the right size, so that the address sanitizer sees a read past the end. */
    void *copy = malloc(len != 0 ? len : 1);
    if (len != 0)
        memcpy(copy, bytes, len);
    gml_str_reset(&f->out);
    gml_status status = gml_wire_strip(&onnx__model_proto__descriptor, copy, len, &f->out,
                                       &f->diags, (gml_loc){.file = "m"});
    free(copy);
    return status;
}

static void assert_refused(fixture *f, const void *bytes, size_t len, const char *why)
{
    assert_int_equal(strip_model(f, bytes, len), GML_E_INVALID);
    const char *text = f->diags.list.items[f->diags.list.count - 1].text;
    if (strstr(text, why) == NULL)
        fail_msg("\"%s\" is not about \"%s\"", text, why);
}
#define ASSERT_REFUSED(f, bytes, why) assert_refused((f), (bytes), sizeof(bytes) - 1, (why))

/* The key and the length of an embedded message. */
static void put_head(gml_str *out, unsigned number, size_t len)
{
    gml_str_putc(out, (char)(number << 3 | 2));
    for (; len >= 0x80; len >>= 7)
        gml_str_putc(out, (char)(uint8_t)((len & 0x7f) | 0x80));
    gml_str_putc(out, (char)len);
}

/* A model with `depth` graphs inside its own. */
static void nest(gml_str *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        static const unsigned path[] = {6, 5, 1}; /* g of an attribute of a node of a graph */
        for (unsigned k = 0; k < 3; k++) {
            gml_str inner = *out;
            gml_str_init(out);
            put_head(out, path[k], inner.len);
            gml_str_append(out, inner.text, inner.len);
            gml_str_reset(&inner);
        }
    }
    gml_str inner = *out;
    gml_str_init(out);
    put_head(out, 7, inner.len);
    gml_str_append(out, inner.text, inner.len);
    gml_str_reset(&inner);
}

static void raw_data_is_a_reference(void **state)
{
    fixture *f = *state;
    static const char tensor[] = "\x08\x02\x10\x03\x4a\x02\x05\xfb"; /* dims 2, i8, raw_data */
    static const char unknown[] = "\x9a\x06\x03xyz";                 /* field 99 */
    gml_str_append(&f->bytes, unknown, sizeof unknown - 1);
    gml_str_append(&f->bytes, tensor, sizeof tensor - 1);
    const ProtobufCMessage *message =
        gml_wire_unpack(&onnx__tensor_proto__descriptor, f->bytes.text, f->bytes.len, &f->arena,
                        &f->diags, (gml_loc){.file = "m"});
    assert_non_null(message);
    const Onnx__TensorProto *proto = (const Onnx__TensorProto *)message;
    const void *data;
    size_t len;
    assert_int_equal(proto->dims[0], 2);
    assert_int_equal(proto->base.n_unknown_fields, 0);
    gml_wire_raw(&proto->raw_data, &data, &len);
    assert_int_equal(len, 2);
    assert_ptr_equal(data, f->bytes.text + f->bytes.len - 2);
}

static void depth_is_bounded(void **state)
{
    fixture *f = *state;
    nest(&f->bytes, 20); /* 62 messages */
    assert_int_equal(strip_model(f, f->bytes.text, f->bytes.len), GML_OK);
    gml_str_reset(&f->bytes);
    gml_str_init(&f->bytes);
    nest(&f->bytes, 5000);
    assert_refused(f, f->bytes.text, f->bytes.len, "nested more than 64 deep");
}

static void malformed_bytes_are_refused(void **state)
{
    fixture *f = *state;
    ASSERT_REFUSED(f, "\x08", "cut short");
    ASSERT_REFUSED(f, "\x08\x80", "cut short");
    ASSERT_REFUSED(f, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "more than 64 bits");
    ASSERT_REFUSED(f, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "more than 64 bits");
    ASSERT_REFUSED(f, "\x3a\x05\x0a", "longer than what holds it");
    ASSERT_REFUSED(f, "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                   "longer than what holds it");
    ASSERT_REFUSED(f, "\x9d\x06\x01",
                   "longer than what holds it"); /* 4 bytes of an unknown field */
    ASSERT_REFUSED(f, "\x3b\x3c", "a group");
    ASSERT_REFUSED(f, "\x3f", "a group, or an unknown wire type");
    ASSERT_REFUSED(f, "\x02\x01x", "field number");
    ASSERT_REFUSED(f, "\x82\x80\x80\x80\x20\x00", "field number"); /* one bit too many */
    ASSERT_REFUSED(f, "\x38\x01", "wrong wire type");              /* a graph as a number */
    ASSERT_REFUSED(f, "\x0d\x01\x02\x03\x04", "wrong wire type");  /* ir_version as a fixed32 */
    ASSERT_REFUSED(f, "\x12\x03g\0l", "NUL");
    ASSERT_REFUSED(f, "\x3a\x00\x3a\x00", "twice");
    /* initializer with packed floats of 5 bytes, then packed int64 that end inside one */
    ASSERT_REFUSED(f, "\x3a\x09\x2a\x07\x22\x05\x00\x00\x00\x00\x00", "middle of one");
    ASSERT_REFUSED(f, "\x3a\x05\x2a\x03\x3a\x01\x80", "cut short");
    /* raw_data as a number */
    ASSERT_REFUSED(f, "\x3a\x04\x2a\x02\x48\x01", "wrong wire type");
}

static void a_oneof_is_there_once(void **state)
{
    fixture *f = *state;
    static const char both[] = "\x0a\x00\x22\x00"; /* tensor_type and sequence_type */
    assert_int_equal(gml_wire_strip(&onnx__type_proto__descriptor, both, 4, &f->out, &f->diags,
                                    (gml_loc){.file = "m"}),
                     GML_E_INVALID);
}

static void too_many_items_are_refused(void **state)
{
    fixture *f = *state;
    size_t n = GML_WIRE_MAX_ITEMS + 1;
    char *nodes = malloc(2 * n);
    for (size_t i = 0; i < n; i++) {
        nodes[2 * i] = 0x0a; /* an empty node */
        nodes[2 * i + 1] = 0;
    }
    assert_int_equal(gml_wire_strip(&onnx__graph_proto__descriptor, nodes, 2 * n, &f->out,
                                    &f->diags, (gml_loc){.file = "m"}),
                     GML_E_INVALID);
    free(nodes);
}

/* Every prefix of a sound message, and every single bit of it flipped, is read without a fault
 * or refused; the sanitizers watch. */
static void damage_does_no_harm(void **state)
{
    fixture *f = *state;
    static const char model[] = "\x08\x0a\x12\x01p\x3a\x2e"
                                "\x0a\x11\x0a\x01x\x0a\x01w\x12\x01y\x1a\x01n\x22\x03"
                                "Add"
                                "\x2a\x0f\x08\x02\x10\x01\x42\x01w\x4a\x06"
                                "abcdef"
                                "\x5a\x08\x0a\x01x\x12\x03\x0a\x01\x08\x42\x04\x0a\x00\x10\x12";
    size_t len = sizeof model - 1;
    for (size_t n = 0; n <= len; n++)
        (void)!strip_model(f, model, n);
    char damaged[sizeof model];
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(damaged, model, len);
        damaged[bit / 8] = (char)(damaged[bit / 8] ^ (1 << bit % 8));
        (void)!gml_wire_unpack(&onnx__model_proto__descriptor, damaged, len, &f->arena,
                               &f->diags, (gml_loc){.file = "m"});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(raw_data_is_a_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(depth_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_bytes_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_oneof_is_there_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_items_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_does_no_harm, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
