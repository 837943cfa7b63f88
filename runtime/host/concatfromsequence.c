#include "runtime/host/sequence_util.h"

gml_status gml_host_concatfromsequence(gml_host_call *call)
{
    const gml_rvalue *sequence = NULL;
    GML_TRY(gml_host_sequence(call, 0, &sequence));
    if (sequence->n_items == 0)
        return gml_host_fail(call, GML_E_RANGE, "the sequence is empty");
    gml_join join = {.axis = gml_host_int(call, "axis", 0),
                     .new_axis = gml_host_int(call, "new_axis", 0) != 0};
    return gml_host_join(call, 0, sequence->items, sequence->n_items, &join);
}
