/* api/states.c - the states of a module, and states by name. */
#include "api/states.h"

#include "api/names.h"

#include <string.h>

_Static_assert(GML_NO_PORT == GML_NO_INDEX, "a state that is not there has one number");

/* Type and shape where the file has no elements: the result's. */
static gml_tensor result_shape(const gml_module *module, const gml_state *state)
{
    gml_tensor shape = {.dtype = GML_NONE};
    if (state->result == GML_NO_INDEX)
        return shape;
    const gml_type *type = &module->main->results[state->result]->type;
    if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN)
        return shape;
    for (int d = 0; d < type->rank; d++) {
        if (!gml_dim_is_const(type->dims[d]))
            return shape;
        shape.dims[d] = type->dims[d];
    }
    shape.dtype = type->dtype;
    shape.rank = type->rank;
    return shape;
}

gml_state_port *gml_state_ports(const gml_module *module, gml_arena *arena)
{
    size_t n = module->states.count;
    gml_state_port *ports = gml_new_array(arena, gml_state_port, n + 1);
    for (size_t i = 0; i < n; i++) {
        const gml_state *state = &module->states.items[i];
        ports[i] = (gml_state_port){.name = state->name,
                                    .initial = state->initial,
                                    .input = state->param,
                                    .output = state->result};
        if (state->initial.dtype == GML_NONE)
            ports[i].initial = result_shape(module, state);
    }
    return ports;
}

gml_status gml_states_find(const gml_states *states, const char *name, size_t *out_index,
                           gml_diags *diags)
{
    size_t n = gml_states_count(states);
    gml_arena arena;
    gml_arena_init(&arena);
    const char **names = gml_new_array(&arena, const char *, n + 1);
    gml_status status = GML_E_USAGE;
    for (size_t i = 0; i < n; i++) {
        names[i] = gml_states_name(states, i);
        if (strcmp(names[i], name) != 0)
            continue;
        *out_index = i;
        status = GML_OK;
        break;
    }
    if (status != GML_OK)
        status = gml_name_fail(diags, (gml_loc){0}, "state", name, names, n);
    gml_arena_reset(&arena);
    return status;
}
