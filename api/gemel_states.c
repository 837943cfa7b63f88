/* api/gemel_states.c - the public API of gemel.h: training. */
#include "api/call.h"
#include "api/model.h"
#include "gemel/gemel.h"

size_t gml_model_n_trainings(const gml_model *model)
{
    return gml_model_module(model)->trainings.count;
}

gml_status gml_session_create_sharing(gml_model *model, const gml_session *other,
                                      gml_session **out_session)
{
    gml_call c;
    gml_diags *diags = gml_call_begin(&c);
    gml_states *states = gml_session_states(other);
    if (!states)
        return gml_call_end(
            &c, gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there are no states to share"));
    return gml_call_end(&c, gml_session_open(model, states, out_session, diags));
}

size_t gml_session_n_states(const gml_session *session)
{
    const gml_states *states = gml_session_states(session);
    return states ? gml_states_count(states) : 0;
}

const char *gml_session_state_name(const gml_session *session, size_t index)
{
    return index < gml_session_n_states(session)
               ? gml_states_name(gml_session_states(session), index)
               : NULL;
}

static gml_status find_state(const gml_session *session, const char *name, size_t *out_index,
                             gml_diags *diags)
{
    const gml_states *states = gml_session_states(session);
    if (!states)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "the model has no states");
    return gml_states_find(states, name, out_index, diags);
}

gml_status gml_session_get_state(const gml_session *session, const char *name,
                                 gml_tensor *out_tensor)
{
    gml_call c;
    size_t index = 0;
    gml_diags *diags = gml_call_begin(&c);
    gml_status status = find_state(session, name, &index, diags);
    if (status == GML_OK)
        status = gml_states_read(gml_session_states(session), index, out_tensor, diags);
    return gml_call_end(&c, status);
}

gml_status gml_session_set_state(gml_session *session, const char *name,
                                 const gml_tensor *tensor)
{
    gml_call c;
    size_t index = 0;
    gml_diags *diags = gml_call_begin(&c);
    gml_status status = find_state(session, name, &index, diags);
    gml_loc loc = {.node = name, .op = "state"};
    if (status == GML_OK && (tensor->rank < 0 || tensor->rank > GML_MAX_RANK))
        status = gml_fail(diags, GML_E_SHAPE, loc, "a tensor's rank is out of range");
    if (status == GML_OK && (tensor->dtype <= GML_NONE || tensor->dtype >= GML_DTYPE_COUNT))
        status = gml_fail(diags, GML_E_TYPE, loc, "a tensor has no element type");
    if (status == GML_OK)
        status = gml_states_set(gml_session_states(session), index, tensor, loc, diags);
    return gml_call_end(&c, status);
}
