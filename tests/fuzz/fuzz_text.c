/* tests/fuzz/fuzz_text.c - any bytes as textual IR: what is read prints, and reads back the
 * same. */
#include "ir/text.h"
#include "ir/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is wrong, for whoever reads the log. */
static void stop(const gml_str *text, gml_diags *diags)
{
    fprintf(stderr, "%s\n%s", text->text, gml_diags_print(diags));
    abort();
}

static void print_and_read_back(const gml_module *module, gml_diags *diags)
{
    gml_module *again;
    gml_str first;
    gml_str second;
    gml_str_init(&first);
    gml_str_init(&second);
    gml_graph_print(module->main, &first);
    /* Elements that are not printed cannot be read back. */
    if (strstr(first.text, "{...") == NULL) {
        if (gml_text_parse(first.text, first.len, NULL, diags, &again) != GML_OK)
            stop(&first, diags);
        gml_graph_print(again->main, &second);
        if (strcmp(first.text, second.text) != 0)
            stop(&second, diags);
        gml_module_destroy(again);
    }
    gml_str_reset(&first);
    gml_str_reset(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    if (gml_text_parse((const char *)data, size, "fuzz", &diags, &module) == GML_OK) {
        if (gml_module_verify(module, &diags) == GML_OK)
            print_and_read_back(module, &diags);
        gml_module_destroy(module);
    }
    gml_arena_reset(&arena);
    return 0;
}
