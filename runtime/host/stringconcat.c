#include "runtime/host/broadcast_util.h"

#include <string.h>

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    gml_tensor shape = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_require(call, 1, &y));
    GML_TRY(gml_host_broadcast(call, x, y, &shape));
    int64_t count = gml_tensor_numel(&shape);
    gml_string *joined = gml_scratch_array(scratch, gml_string, count);
    if (joined == NULL)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < count; i++) {
        gml_string a = gml_strings_of(x)[gml_broadcast_index(&shape, i, x)];
        gml_string b = gml_strings_of(y)[gml_broadcast_index(&shape, i, y)];
        char *text = a.len > SIZE_MAX / 4 || b.len > SIZE_MAX / 4
                         ? NULL
                         : gml_scratch_array(scratch, char, a.len + b.len);
        if (text == NULL)
            return gml_host_no_memory(call);
        if (a.len > 0)
            memcpy(text, a.data, a.len);
        if (b.len > 0)
            memcpy(text + a.len, b.data, b.len);
        joined[i] = (gml_string){.data = text, .len = a.len + b.len};
    }
    return gml_host_set_strings(call, 0, shape.rank, shape.dims, joined);
}

gml_status gml_host_stringconcat(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
