/* cli/state_file.c - a model's states from a file of safetensors. */
#include "cli/state_file.h"

#include "api/safetensors.h"
#include "api/source.h"

#include <string.h>

static gml_status load_state(const gml_safetensor *item, const gml_tensor *place, gml_loc loc,
                             gml_diags *diags)
{
    const gml_tensor *tensor = &item->tensor;
    if (tensor->dtype != place->dtype || tensor->rank != place->rank ||
        (place->rank != 0 &&
         memcmp(tensor->dims, place->dims, (size_t)place->rank * sizeof *place->dims) != 0))
        return gml_fail(diags, GML_E_SHAPE, loc, "the file has %s where the model has %s",
                        gml_tensor_text(tensor, diags->arena),
                        gml_tensor_text(place, diags->arena));
    if (item->size != 0)
        memcpy(place->data, tensor->data, (size_t)item->size);
    return GML_OK;
}

gml_status gml_cli_load_states(const char *path, gml_states *states, gml_diags *diags)
{
    gml_safetensors file;
    GML_TRY(gml_safetensors_open(path, &file, diags));
    gml_status status = GML_OK;
    for (size_t i = 0; i < gml_states_count(states) && status == GML_OK; i++) {
        const char *name = gml_states_name(states, i);
        const gml_safetensor *item = gml_safetensors_find(&file, name);
        gml_tensor place = gml_states_tensor(states, i);
        gml_loc loc = {.file = path, .node = name};
        status = item ? load_state(item, &place, loc, diags)
                      : gml_fail(diags, GML_E_INVALID, loc, "is not in the file");
    }
    gml_safetensors_close(&file);
    return status;
}
