/* tests/fuzz/fuzz_wire.c - any bytes as every message that gemel reads: what the scan lets
 * through, protobuf-c parses. The first byte chooses the message. */
#include "frontend/tensor_file.h"
#include "frontend/wire.h"
#include "onnx.pb-c.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_value(const uint8_t *data, size_t size, gml_arena *arena, gml_diags *diags)
{
    static const gml_type_kind kinds[] = {GML_TYPE_TENSOR, GML_TYPE_SEQUENCE, GML_TYPE_OPTIONAL,
                                          GML_TYPE_MAP};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        gml_type type = {.kind = kinds[i]};
        gml_file file = {data, size};
        gml_file_value value;
        (void)!gml_tensor_file_parse(&file, &type, arena, &value, diags,
                                     (gml_loc){.file = "fuzz"});
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const messages[] = {
        &onnx__model_proto__descriptor, &onnx__graph_proto__descriptor,
        &onnx__attribute_proto__descriptor, &onnx__type_proto__descriptor,
        &onnx__function_proto__descriptor};
    if (size == 0)
        return 0;
    gml_arena arena;
    gml_diags diags;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    unsigned choice = data[0] % 6;
    if (choice == 5) {
        parse_value(data + 1, size - 1, &arena, &diags);
    } else {
        gml_str stripped;
        gml_str_init(&stripped);
        gml_loc loc = {.file = "fuzz"};
        bool is_sound = gml_wire_strip(messages[choice], data + 1, size - 1, &stripped, &diags,
                                       loc) == GML_OK;
        bool is_parsed =
            gml_wire_unpack(messages[choice], data + 1, size - 1, &arena, &diags, loc) != NULL;
        if (is_sound != is_parsed)
            abort();
        gml_str_reset(&stripped);
    }
    gml_arena_reset(&arena);
    return 0;
}
