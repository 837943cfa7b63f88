/* api/states.c - what a model keeps from run to run. */
#include "api/states.h"

#include "api/names.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct gml_states {
    atomic_int refs;
    gml_arena arena;
    const char **names;
    gml_rvalue *values;
    size_t count;
};

/* Type and shape of a state; false when they are not known. */
static bool find_shape(const gml_module *module, const gml_state *state, gml_tensor *out)
{
    if (state->initial.dtype != GML_NONE) {
        *out = state->initial;
        return true;
    }
    const gml_type *type = &module->main->results[state->result]->type;
    if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN)
        return false;
    *out = (gml_tensor){.dtype = type->dtype, .rank = type->rank};
    for (int d = 0; d < type->rank; d++) {
        if (!gml_dim_is_const(type->dims[d]))
            return false;
        out->dims[d] = type->dims[d];
    }
    return true;
}

static gml_status create_value(const gml_module *module, const gml_state *state,
                               gml_rvalue *out_value, gml_diags *diags)
{
    gml_tensor shape;
    size_t bytes = 0;
    gml_loc loc = {.file = module->file, .node = state->name, .op = "state"};
    if (!find_shape(module, state, &shape) || shape.dtype == GML_STRING ||
        !gml_tensor_bytes(&shape, &bytes))
        return gml_fail(diags, GML_E_UNSUPPORTED, loc, "has no fixed size");
    if (gml_rvalue_alloc(out_value, shape.dtype, shape.rank, shape.dims) != GML_OK)
        return gml_fail(diags, GML_E_MEMORY, loc, "no memory for %zu bytes", bytes);
    if (bytes != 0 && shape.data != NULL)
        memcpy(out_value->tensor.data, shape.data, bytes);
    else if (bytes != 0)
        memset(out_value->tensor.data, 0, bytes);
    return GML_OK;
}

gml_status gml_states_create(const gml_module *module, gml_states **out_states,
                             gml_diags *diags)
{
    gml_states *states = calloc(1, sizeof *states);
    if (states == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a model's states");
    atomic_init(&states->refs, 1);
    gml_arena_init(&states->arena);
    states->names = gml_new_array(&states->arena, const char *, module->states.count + 1);
    states->values = gml_new_array(&states->arena, gml_rvalue, module->states.count + 1);
    for (size_t i = 0; i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        states->names[i] = gml_arena_text(&states->arena, state->name, strlen(state->name));
        states->count = i + 1;
        gml_status status = create_value(module, state, &states->values[i], diags);
        if (status != GML_OK) {
            gml_states_release(states);
            return status;
        }
    }
    *out_states = states;
    return GML_OK;
}

gml_states *gml_states_retain(gml_states *states)
{
    atomic_fetch_add_explicit(&states->refs, 1, memory_order_relaxed);
    return states;
}

void gml_states_release(gml_states *states)
{
    if (states == NULL ||
        atomic_fetch_sub_explicit(&states->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < states->count; i++)
        gml_rvalue_reset(&states->values[i]);
    gml_arena_reset(&states->arena);
    free(states);
}

size_t gml_states_count(const gml_states *states)
{
    return states->count;
}

const char *gml_states_name(const gml_states *states, size_t index)
{
    return states->names[index];
}

gml_tensor gml_states_tensor(const gml_states *states, size_t index)
{
    return states->values[index].tensor;
}

gml_status gml_states_find(const gml_states *states, const char *name, size_t *out_index,
                           gml_diags *diags)
{
    for (size_t i = 0; i < states->count; i++) {
        if (strcmp(states->names[i], name) == 0) {
            *out_index = i;
            return GML_OK;
        }
    }
    return gml_name_fail(diags, (gml_loc){0}, "state", name, states->names, states->count);
}

bool gml_states_fit(const gml_states *states, const gml_module *module)
{
    if (states->count != module->states.count)
        return false;
    for (size_t i = 0; i < states->count; i++) {
        const gml_state *state = &module->states.items[i];
        const gml_tensor *tensor = &states->values[i].tensor;
        gml_tensor shape;
        if (strcmp(states->names[i], state->name) != 0)
            return false;
        if (!find_shape(module, state, &shape))
            continue; /* it becomes known when it is computed, and is checked then */
        if (shape.dtype != tensor->dtype || shape.rank != tensor->rank ||
            (shape.rank != 0 &&
             memcmp(shape.dims, tensor->dims, (size_t)shape.rank * sizeof *shape.dims) != 0))
            return false;
    }
    return true;
}
