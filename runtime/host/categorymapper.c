#include "runtime/host/ml_util.h"

/* Pairs of a string and an integer, read in the direction that the operand asks for. */
static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    gml_tensor strings = {0};
    gml_tensor ints = {0};
    gml_lookup lookup = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    bool is_there = gml_host_attr_vector(call, "cats_strings", &strings) &&
                    gml_host_attr_vector(call, "cats_int64s", &ints);
    if (!is_there || strings.dims[0] != ints.dims[0])
        return gml_host_fail(call, GML_E_INVALID, "cats_strings and cats_int64s are no pairs");
    bool from_string = x->dtype == GML_STRING;
    GML_TRY(gml_lookup_init(&lookup, call, from_string ? &strings : &ints, scratch));
    gml_string fallback = gml_host_string(call, "default_string");
    if (fallback.data == NULL)
        fallback = (gml_string){"_Unused", 7};
    GML_TRY(gml_host_alloc(call, 0, from_string ? GML_I64 : GML_STRING, x->rank, x->dims, &y));
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        int64_t found = gml_lookup_find(&lookup, x, i);
        if (found >= 0)
            gml_host_copy(y, i, from_string ? &ints : &strings, found, 1);
        else if (from_string)
            gml_host_put_int(y, i, gml_host_int(call, "default_int64", -1));
        else
            ((gml_string *)y->data)[i] = fallback;
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}

gml_status gml_host_categorymapper(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
