#include "runtime/host/map_util.h"

gml_status gml_host_map(gml_host_call *call, const gml_tensor **out_keys,
                        const gml_tensor **out_values)
{
    const gml_rvalue *map = call->n_inputs > 0 ? &call->inputs[0] : NULL;
    if (map == NULL || map->kind != GML_RVALUE_MAP || map->n_items != 2 ||
        map->items[0].kind != GML_RVALUE_TENSOR || map->items[1].kind != GML_RVALUE_TENSOR)
        return gml_host_fail(call, GML_E_TYPE, "operand 0 is no map of numbers or strings");
    *out_keys = &map->items[0].tensor;
    *out_values = &map->items[1].tensor;
    if (gml_tensor_numel(*out_keys) != gml_tensor_numel(*out_values))
        return gml_host_fail(call, GML_E_SHAPE, "the map has not as many keys as values");
    return GML_OK;
}
