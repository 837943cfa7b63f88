#include "runtime/host/sequence_util.h"

gml_status gml_host_sequencelength(gml_host_call *call)
{
    const gml_rvalue *sequence = NULL;
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_sequence(call, 0, &sequence));
    GML_TRY(gml_host_alloc(call, 0, GML_I64, 0, NULL, &y));
    gml_host_put_int(y, 0, (int64_t)sequence->n_items);
    return GML_OK;
}
