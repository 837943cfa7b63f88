/* api/session.h - a model that runs more than once: what is behind the handles of gemel.h.
 *
 * The seam between the public API (api/gemel.c), the command line and the compiler: values go
 * in, values come out; when and for what to compile is decided here. On the cpu a program is
 * compiled for the inputs' exact shapes, and for the elements that shapes depend on; programs
 * are kept by that signature. On ref the graph is interpreted.
 *
 * A model may be used by several threads, a session by one at a time.
 */
#ifndef GML_API_SESSION_H
#define GML_API_SESSION_H

#include "api/execute.h"
#include "api/source.h"
#include "api/states.h"
#include "gemel/gemel.h"
#include "runtime/program.h"

typedef struct gml_open_options {
    gml_onnx_entry entry;       /* RUN is as FIXED where the model has no training part */
    size_t training;            /* of a STEP or INITIALISE */
    uint64_t seed;              /* of an INITIALISE (gml_onnx_options) */
    const gml_train_form *form; /* the model's training form instead of it: entry FIXED.
                                   Outlives the model */
    gml_device_kind device;
    int device_number;
    gml_precision precision;
    int n_threads; /* 0: one a processor */
    bool fast_compile;
    uint64_t memory;        /* gml_passes_options */
    gml_str *memory_report; /* grows with each program that is compiled; or NULL */
    const gml_onnx_dim *dims;
    size_t n_dims;
} gml_open_options;

/* The model has one reference. `*out_model` is untouched on failure. */
GML_MUST_CHECK gml_status gml_model_open(const char *path, const gml_open_options *options,
                                         gml_model **out_model, gml_diags *diags);
/* The same for borrowed bytes, which outlive the model. */
GML_MUST_CHECK gml_status gml_model_open_bytes(const void *bytes, size_t len,
                                               const char *folder,
                                               const gml_open_options *options,
                                               gml_model **out_model, gml_diags *diags);
const gml_module *gml_model_module(const gml_model *model);
const gml_source *gml_model_source(const gml_model *model);
/* The graph's interface, in its order; states are not among them. */
const gml_port *gml_model_inputs(const gml_model *model);
const gml_port *gml_model_outputs(const gml_model *model);

/* Does `value` fit input `index`? Reports GML_E_TYPE, GML_E_SHAPE, or GML_E_USAGE when it is
 * missing. */
GML_MUST_CHECK gml_status gml_model_check_input(const gml_model *model, size_t index,
                                                const gml_rvalue *value, gml_diags *diags);

/* With `states`, which must fit the model, it works on them; else on its own, at their initial
 * values. NULL for a model without. */
GML_MUST_CHECK gml_status gml_session_open(gml_model *model, gml_states *states,
                                           gml_session **out_session, gml_diags *diags);
/* NULL: the model has none. */
gml_states *gml_session_states(const gml_session *session);
/* Runs on borrowed inputs, one for each of the graph's, all of them checked. `outputs` have
 * been initialised: what comes in as a tensor of the right type and shape is written in place,
 * all others are set to values that are valid until the session's next run. States change in
 * place: after a failure while running, those of a step are lost. */
GML_MUST_CHECK gml_status gml_session_execute(gml_session *session, const gml_rvalue *inputs,
                                              gml_rvalue *outputs, gml_diags *diags);

/* The public functions' share of a session: its inputs and outputs. gml_session_destroy
 * (gemel.h) frees it. */
typedef struct gml_session_ports {
    gml_rvalue *inputs;
    gml_rvalue *outputs;
    gml_tensor *targets; /* memory bound to outputs */
    bool *is_bound;      /* outputs with a target */
    bool has_run;        /* the outputs are those of a run that went well */
} gml_session_ports;

gml_session_ports *gml_session_get_ports(gml_session *session);
gml_model *gml_session_model(const gml_session *session);

#endif
