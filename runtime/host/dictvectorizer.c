#include "runtime/host/map_util.h"

#include <string.h>

/* The values of the vocabulary's keys, in its order; 0 or "" for keys that the map lacks. */
static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *keys = NULL;
    const gml_tensor *values = NULL;
    const gml_tensor *y = NULL; /* (1, vocabulary) */
    gml_tensor vocabulary = {0};
    gml_lookup lookup = {0};
    GML_TRY(gml_host_map(call, &keys, &values));
    if (!gml_host_attr_vector(
            call, keys->dtype == GML_STRING ? "string_vocabulary" : "int64_vocabulary",
            &vocabulary))
        return gml_host_fail(call, GML_E_INVALID, "there is no vocabulary for these keys");
    GML_TRY(gml_lookup_init(&lookup, call, keys, scratch));
    int64_t count = vocabulary.dims[0];
    GML_TRY(gml_host_alloc(call, 0, values->dtype, 2, (const int64_t[]){1, count}, &y));
    memset(y->data, 0, (size_t)count * gml_dtype_size(y->dtype));
    for (int64_t i = 0; i < count; i++) {
        int64_t found = gml_lookup_find(&lookup, &vocabulary, i);
        if (found >= 0)
            gml_host_copy(y, i, values, found, 1);
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}

gml_status gml_host_dictvectorizer(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
