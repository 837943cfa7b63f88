#include "runtime/host/sequence_util.h"

gml_status gml_host_sequenceat(gml_host_call *call)
{
    const gml_rvalue *sequence = NULL;
    int64_t position = 0;
    GML_TRY(gml_host_sequence(call, 0, &sequence));
    GML_TRY(gml_host_position(call, 1, 0, (int64_t)sequence->n_items, &position));
    return gml_host_set_copy(call, 0, &sequence->items[position]);
}
