/* tests/fuzz/fuzz_import.c - any bytes as a model: what is imported obeys the graph's
 * invariants, and what is written can be read again. */
#include "frontend/export.h"
#include "frontend/import.h"
#include "ir/verify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read_back(const gml_module *module, gml_diags *diags)
{
    gml_str bytes;
    gml_module *again;
    gml_str_init(&bytes);
    if (gml_onnx_write(module, NULL, &bytes, diags) == GML_OK) {
        if (gml_onnx_parse(bytes.text, bytes.len, NULL, &again, diags) != GML_OK)
            abort();
        gml_module_destroy(again);
    }
    gml_str_reset(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_onnx_options untyped = {.skip_infer = true};
    if (gml_onnx_parse(data, size, &untyped, &module, &diags) == GML_OK)
        gml_module_destroy(module);
    if (gml_onnx_parse(data, size, NULL, &module, &diags) == GML_OK) {
        if (gml_module_verify(module, &diags) != GML_OK)
            abort();
        write_and_read_back(module, &diags);
        gml_module_destroy(module);
    }
    gml_arena_reset(&arena);
    return 0;
}
