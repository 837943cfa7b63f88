/* api/build_number.c - constants of one number, made once each. */
#include "api/builder.h"

#include <stdio.h>
#include <stdlib.h>

/* The shortest text that reads as `value`. */
static void print_number(char *text, size_t size, double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

gml_value *gml_builder_number(gml_builder *builder, const char *prefix, gml_dtype dtype,
                              double value)
{
    for (size_t i = 0; i < builder->numbers.count; i++) {
        const builder_number *known = &builder->numbers.items[i];
        if (known->value == value && known->dtype == dtype &&
            strcmp(known->prefix, prefix) == 0)
            return known->made;
    }
    int64_t whole = (int64_t)value;
    float single = (float)value;
    void *data = &value;
    if (dtype == GML_I64)
        data = &whole;
    else if (dtype == GML_F32)
        data = &single;
    else if (dtype != GML_F64)
        gml_builder_fail(builder, GML_E_UNSUPPORTED, "no number of type %s is made",
                         gml_dtype_name(dtype));
    char digits[40];
    print_number(digits, sizeof digits, value);
    gml_arena *arena = &builder->module->arena;
    const char *name =
        gml_arena_printf(arena, "%s%s.%s", prefix, gml_dtype_name(dtype), digits);
    gml_tensor tensor = {.dtype = dtype, .data = data};
    builder_number number = {value, dtype, gml_builder_text(builder, prefix),
                             gml_builder_tensor(builder, name, &tensor, true)};
    gml_push(arena, &builder->numbers, number);
    return number.made;
}
