/* cli/show.c - tensors on the terminal and in JSON. */
#include "cli/show.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define GML_MANY_ELEMENTS 200 /* from here on directions are shortened */
#define GML_EDGE          3

/* ---- text ---------------------------------------------------------------------------------
 */

static void show_string(const gml_string *string)
{
    putchar('"');
    for (size_t i = 0; i < string->len; i++) {
        unsigned char byte = (unsigned char)string->data[i];
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            printf("\\x%02x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

static void show_complex(const gml_tensor *tensor, int64_t i)
{
    double parts[2];
    if (tensor->dtype == GML_C64) {
        const float *at = (const float *)tensor->data + 2 * i;
        parts[0] = (double)at[0];
        parts[1] = (double)at[1];
    } else {
        memcpy(parts, (const double *)tensor->data + 2 * i, sizeof parts);
    }
    printf("%.6g%+.6gi", parts[0], parts[1]);
}

static void show_element(const gml_tensor *tensor, int64_t i)
{
    switch (gml_dtype_get_class(tensor->dtype)) {
    case GML_CLASS_STRING: show_string((const gml_string *)tensor->data + i); break;
    case GML_CLASS_COMPLEX: show_complex(tensor, i); break;
    case GML_CLASS_BOOL: fputs(gml_host_get_int(tensor, i) ? "true" : "false", stdout); break;
    case GML_CLASS_FLOAT: printf("%.6g", gml_host_get_float(tensor, i)); break;
    case GML_CLASS_UNSIGNED: printf("%" PRIu64, (uint64_t)gml_host_get_int(tensor, i)); break;
    case GML_CLASS_SIGNED: printf("%" PRId64, gml_host_get_int(tensor, i)); break;
    case GML_CLASS_NONE: break;
    }
}

/* Direction `d` from element `first` on; rows of the innermost one are lines. */
static void show_direction(const gml_tensor *tensor, int d, int64_t first, bool is_short)
{
    if (d == tensor->rank) {
        show_element(tensor, first);
        return;
    }
    int64_t stride = 1;
    for (int k = d + 1; k < tensor->rank; k++)
        stride *= tensor->dims[k];
    putchar('[');
    for (int64_t i = 0; i < tensor->dims[d]; i++) {
        if (i > 0 && d < tensor->rank - 1)
            printf(",\n%*s", d + 1, "");
        else if (i > 0)
            fputs(", ", stdout);
        if (is_short && i == GML_EDGE && tensor->dims[d] > (int64_t)2 * GML_EDGE) {
            fputs("…", stdout);
            i = tensor->dims[d] - GML_EDGE - 1;
            continue;
        }
        show_direction(tensor, d + 1, first + i * stride, is_short);
    }
    putchar(']');
}

static void show_tensor(const gml_tensor *tensor)
{
    int64_t n = gml_tensor_numel(tensor);
    gml_arena arena;
    gml_arena_init(&arena);
    printf("%s\n", gml_tensor_text(tensor, &arena));
    gml_arena_reset(&arena);
    if (n == 0)
        fputs("[]", stdout);
    else
        show_direction(tensor, 0, 0, n > GML_MANY_ELEMENTS);
    putchar('\n');
}

static void show_items(const char *what, const gml_rvalue *value)
{
    size_t n = value->n_items;
    printf("%s of %zu\n", what, n);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        if (i == GML_EDGE && n > (size_t)2 * GML_EDGE) {
            puts("…");
            i = n - GML_EDGE - 1;
            continue;
        }
        snprintf(name, sizeof name, "[%zu]", i);
        gml_show_value(name, &value->items[i]);
    }
}

void gml_show_value(const char *name, const gml_rvalue *value)
{
    printf("%s: ", name);
    switch (value->kind) {
    case GML_RVALUE_NONE: puts("nothing"); break;
    case GML_RVALUE_TENSOR: show_tensor(&value->tensor); break;
    case GML_RVALUE_SEQUENCE: show_items("sequence", value); break;
    case GML_RVALUE_MAP:
        puts("map");
        gml_show_value("keys", &value->items[0]);
        gml_show_value("values", &value->items[1]);
        break;
    }
}

/* ---- JSON ---------------------------------------------------------------------------------
 */

static json_t *json_float(double value)
{
    if (isnan(value))
        return json_string("nan");
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

/* What jansson's integers cannot hold is written as text. */
static json_t *json_unsigned(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value)
                              : json_sprintf("%" PRIu64, value);
}

static json_t *json_element(const gml_tensor *tensor, int64_t i)
{
    switch (gml_dtype_get_class(tensor->dtype)) {
    case GML_CLASS_STRING: {
        const gml_string *string = (const gml_string *)tensor->data + i;
        json_t *text = json_stringn(string->data ? string->data : "", string->len);
        return text ? text : json_null(); /* no UTF-8 */
    }
    case GML_CLASS_BOOL: return json_boolean(gml_host_get_int(tensor, i) != 0);
    case GML_CLASS_FLOAT: return json_float(gml_host_get_float(tensor, i));
    case GML_CLASS_UNSIGNED: return json_unsigned((uint64_t)gml_host_get_int(tensor, i));
    case GML_CLASS_SIGNED: return json_integer(gml_host_get_int(tensor, i));
    case GML_CLASS_COMPLEX:
    case GML_CLASS_NONE: break;
    }
    return json_null();
}

static json_t *json_tensor(const gml_tensor *tensor, int64_t n_shown)
{
    json_t *object = json_object();
    json_t *shape = json_array();
    int64_t n = gml_tensor_numel(tensor);
    for (int d = 0; d < tensor->rank; d++)
        json_array_append_new(shape, json_integer(tensor->dims[d]));
    json_object_set_new(object, "type", json_string(gml_dtype_name(tensor->dtype)));
    json_object_set_new(object, "shape", shape);
    if (n > n_shown)
        return object;
    json_t *data = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(data, json_element(tensor, i));
    json_object_set_new(object, "data", data);
    return object;
}

json_t *gml_show_json(const gml_rvalue *value, int64_t n_shown)
{
    if (value->kind == GML_RVALUE_NONE)
        return json_null();
    if (value->kind == GML_RVALUE_TENSOR)
        return json_tensor(&value->tensor, n_shown);
    json_t *object = json_object();
    json_t *items = json_array();
    for (size_t i = 0; i < value->n_items; i++)
        json_array_append_new(items, gml_show_json(&value->items[i], n_shown));
    json_object_set_new(object, "type",
                        json_string(value->kind == GML_RVALUE_MAP ? "map" : "sequence"));
    json_object_set_new(object, "items", items);
    return object;
}
