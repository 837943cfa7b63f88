/* tests/e2e/gir_to_onnx.c - a graph as text to an ONNX model: gir_to_onnx IN.gir OUT.onnx */
#include "base/file.h"
#include "frontend/export.h"
#include "ir/text.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    gml_arena arena;
    gml_diags diags;
    gml_file file;
    gml_module *module = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: gir_to_onnx IN.gir OUT.onnx\n");
        return 2;
    }
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_status status = gml_file_map(argv[1], &file, &diags);
    if (status == GML_OK) {
        status = gml_text_parse(file.data, file.size, argv[1], &diags, &module);
        gml_file_unmap(&file);
    }
    if (status == GML_OK) {
        status = gml_onnx_save(module, argv[2], NULL, &diags);
        gml_module_destroy(module);
    }
    if (status != GML_OK)
        fprintf(stderr, "%s\n", gml_diags_print(&diags));
    gml_arena_reset(&arena);
    return status != GML_OK;
}
