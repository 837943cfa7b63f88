/* runtime/host/labelencoder.c - replaces keys by values; what is no key becomes the default. */
#include "runtime/host/ml_util.h"

static bool find_vector(const gml_host_call *call, const char *const names[4],
                        gml_tensor *out_vector)
{
    for (int i = 0; i < 4; i++) {
        if (gml_host_attr_vector(call, names[i], out_vector) && out_vector->dims[0] > 0)
            return true;
    }
    return false;
}

/* The default of values of `dtype`, in the caller's storage `at`. */
typedef union default_value {
    gml_string s;
    int64_t i;
    float f;
} default_value;

static gml_tensor default_of(const gml_host_call *call, gml_dtype dtype, default_value *at)
{
    gml_tensor value = {0};
    if (gml_host_attr_vector(call, "default_tensor", &value) && value.dims[0] > 0 &&
        value.dtype == dtype)
        return value;
    if (dtype == GML_STRING) {
        at->s = gml_host_string(call, "default_string");
        if (at->s.data == NULL)
            at->s = (gml_string){"_Unused", 7};
        return (gml_tensor){.dtype = GML_STRING, .data = at};
    }
    if (gml_dtype_get_class(dtype) == GML_CLASS_FLOAT) {
        at->f = gml_host_float(call, "default_float", -0.0f);
        return (gml_tensor){.dtype = GML_F32, .data = at};
    }
    at->i = gml_host_int(call, "default_int64", -1);
    return (gml_tensor){.dtype = GML_I64, .data = at};
}

static void put_value(const gml_tensor *y, int64_t i, const gml_tensor *values, int64_t j)
{
    if (y->dtype == values->dtype)
        gml_host_copy(y, i, values, j, 1);
    else if (gml_dtype_get_class(y->dtype) == GML_CLASS_FLOAT)
        gml_host_put(y, i, gml_host_get_float(values, j));
    else
        gml_host_put_int(y, i, gml_host_get_int(values, j));
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    static const char *const key_names[] = {"keys_tensor", "keys_strings", "keys_int64s",
                                            "keys_floats"};
    static const char *const value_names[] = {"values_tensor", "values_strings",
                                              "values_int64s", "values_floats"};
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    gml_tensor keys = {0};
    gml_tensor values = {0};
    gml_lookup lookup = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    if (!find_vector(call, key_names, &keys) || !find_vector(call, value_names, &values) ||
        keys.dims[0] != values.dims[0])
        return gml_host_fail(call, GML_E_INVALID, "there are not as many values as keys");
    GML_TRY(gml_lookup_init(&lookup, call, &keys, scratch));
    default_value at;
    gml_tensor fallback = default_of(call, values.dtype, &at);
    GML_TRY(gml_host_alloc(call, 0, values.dtype, x->rank, x->dims, &y));
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        int64_t found = gml_lookup_find(&lookup, x, i);
        put_value(y, i, found >= 0 ? &values : &fallback, found >= 0 ? found : 0);
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}

gml_status gml_host_labelencoder(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
