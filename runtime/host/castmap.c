/* runtime/host/castmap.c - the values of a map from integers as a row: DENSE puts them in the
 * order of their keys, SPARSE at the positions that the keys say, up to max_map. */
#include "runtime/host/map_util.h"
#include "runtime/host/text_util.h"

#include <inttypes.h>
#include <string.h>

typedef struct caster {
    const gml_tensor *values;
    const gml_tensor *y;
    gml_scratch *scratch;
} caster;

static gml_status cast_to_text(gml_host_call *call, const caster *c, int64_t to, int64_t from)
{
    char *text = gml_scratch_array(c->scratch, char, GML_NUMBER_TEXT);
    if (text == NULL)
        return gml_host_no_memory(call);
    size_t len = gml_number_print(c->values, from, text);
    ((gml_string *)c->y->data)[to] = (gml_string){.data = text, .len = len};
    return GML_OK;
}

static gml_status cast_element(gml_host_call *call, const caster *c, int64_t to, int64_t from)
{
    gml_number number = {0};
    if (c->y->dtype == c->values->dtype) {
        gml_host_copy(c->y, to, c->values, from, 1);
        return GML_OK;
    }
    if (c->y->dtype == GML_STRING)
        return cast_to_text(call, c, to, from);
    if (c->values->dtype != GML_STRING)
        gml_host_put(c->y, to, gml_host_get_float(c->values, from));
    else if (!gml_number_parse(gml_strings_of(c->values)[from], &number))
        return gml_host_fail(call, GML_E_INVALID, "value %" PRId64 " is no number", from);
    else if (number.is_int && c->y->dtype == GML_I64)
        gml_host_put_int(c->y, to, number.i);
    else
        gml_host_put(c->y, to, number.f);
    return GML_OK;
}

static int by_key(const void *context, int64_t a, int64_t b)
{
    int64_t x = gml_host_get_int(context, a);
    int64_t y = gml_host_get_int(context, b);
    return (x > y) - (x < y);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *keys = NULL;
    caster c = {.scratch = scratch};
    GML_TRY(gml_host_map(call, &keys, &c.values));
    int64_t n = gml_tensor_numel(keys);
    bool is_sparse = gml_host_string_is(call, "map_form", "SPARSE");
    int64_t width = is_sparse ? gml_host_int(call, "max_map", 1) : n;
    gml_dtype dtype = gml_host_string_is(call, "cast_to", "TO_STRING")  ? GML_STRING
                      : gml_host_string_is(call, "cast_to", "TO_INT64") ? GML_I64
                                                                        : GML_F32;
    GML_TRY(gml_host_alloc(call, 0, dtype, 2, (const int64_t[]){1, width}, &c.y));
    memset(c.y->data, 0, (size_t)width * gml_dtype_size(dtype));
    int64_t *order = gml_scratch_array(scratch, int64_t, n);
    int64_t *spare = gml_scratch_array(scratch, int64_t, n);
    if (order == NULL || spare == NULL)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    gml_sort(order, spare, n, by_key, keys);
    for (int64_t i = 0; i < n; i++) {
        int64_t to = is_sparse ? gml_host_get_int(keys, order[i]) : i;
        if (to < 0 || to >= width)
            return gml_host_fail(call, GML_E_RANGE,
                                 "key %" PRId64 " is outside max_map %" PRId64, to, width);
        GML_TRY(cast_element(call, &c, to, order[i]));
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}

gml_status gml_host_castmap(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
