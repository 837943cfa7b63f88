/* runtime/states.h - what a model keeps from run to run: trained weights, averages, counters.
 *
 * The elements are in memory of their own, aligned to 64 bytes, and begin as the file has them.
 * States of what runs on a device lie there: a step that finds them there copies none.
 * What runs a part of the model (a step, the graph alone) says with a list of ports where the
 * states go in and come out; all parts of a model list the same states in the same order.
 *
 *     gml_states_bind(states, ports, params, results);
 *     status = ... run from `params` to `results` ...
 *     if (status == GML_OK)
 *         status = gml_states_store(states, ports, results, file, diags);
 *     gml_states_drop(states, ports, results);
 *
 * Refcounted. Those who share states run one at a time.
 */
#ifndef GML_RUNTIME_STATES_H
#define GML_RUNTIME_STATES_H

#include "base/diag.h"
#include "runtime/value.h"

typedef struct gml_states gml_states;

#define GML_NO_PORT UINT32_MAX /* as GML_NO_SLOT */

/* A state as a program or a graph speaks of it. */
typedef struct gml_state_port {
    const char *name;
    gml_tensor initial; /* type and shape, dtype NONE: not known here; data NULL: zeros */
    uint32_t input;     /* number of its value among the inputs; GML_NO_PORT: it is not read */
    uint32_t output;    /* number of what it becomes among the outputs; GML_NO_PORT: it stays */
} gml_state_port;

/* Copies names and initial elements; on `device`, which is retained, NULL: here.
 * GML_E_UNSUPPORTED when a state has no fixed size; `file` is for the message, and may be NULL.
 */
GML_MUST_CHECK gml_status gml_states_create(const gml_state_port *ports, size_t n,
                                            struct gml_device *device, const char *file,
                                            gml_states **out_states, gml_diags *diags);
gml_states *gml_states_retain(gml_states *states);
void gml_states_release(gml_states *states); /* accepts NULL */

size_t gml_states_count(const gml_states *states);
/* Valid while the states live. */
const char *gml_states_name(const gml_states *states, size_t index);
/* Where the elements lie; NULL: here. */
struct gml_device *gml_states_device(const gml_states *states);
/* Its type and shape, without elements. */
gml_tensor gml_states_type(const gml_states *states, size_t index);
/* A view of its elements, valid while the states live. Those of a device are copied from there
 * at each call; the view shows what the last call found. */
GML_MUST_CHECK gml_status gml_states_read(const gml_states *states, size_t index,
                                          gml_tensor *out_tensor, gml_diags *diags);
/* Replaces its elements. GML_E_TYPE, GML_E_SHAPE when `tensor` is another's, GML_E_USAGE when
 * it has no elements. */
GML_MUST_CHECK gml_status gml_states_set(gml_states *states, size_t index,
                                         const gml_tensor *tensor, gml_loc loc,
                                         gml_diags *diags);
/* True when `ports` speak of these states: the same names and types in the same order. */
bool gml_states_fit(const gml_states *states, const gml_state_port *ports, size_t n);

/* There is a port for each state. The inputs and the places of outputs are the states' own
 * memory: they change in place where the program can. */
void gml_states_bind(const gml_states *states, const gml_state_port *ports, gml_rvalue *params,
                     gml_rvalue *results);
/* What was computed elsewhere is put into the states. All results exist by now, so that one may
 * be another's old value. GML_E_SHAPE when one is of another type. */
GML_MUST_CHECK gml_status gml_states_store(const gml_states *states,
                                           const gml_state_port *ports,
                                           const gml_rvalue *results, const char *file,
                                           gml_diags *diags);
void gml_states_drop(const gml_states *states, const gml_state_port *ports,
                     gml_rvalue *results);

#endif
