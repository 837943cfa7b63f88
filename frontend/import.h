/* frontend/import.h - an ONNX model becomes a module.
 *
 * The whole file is checked: what comes out obeys every invariant of ir/graph.h, speaks the
 * newest operator sets, and has no functions (they are inlined). Constants point into the
 * mapped file, which the module owns. Initialisers are constants even where a graph input of
 * the same name says that they could be overridden.
 *
 * Every fault is one diagnostic at its node: GML_E_UNSUPPORTED for operators that gemel does
 * not know (all of them are reported at once), GML_E_INVALID, GML_E_TYPE, GML_E_SHAPE,
 * GML_E_RANGE for faults of the model, GML_E_IO for files. Nothing is left behind after a
 * failure.
 */
#ifndef GML_FRONTEND_IMPORT_H
#define GML_FRONTEND_IMPORT_H

#include "ir/graph.h"

/* Gives the symbolic dimension `name` a value. */
typedef struct gml_onnx_dim {
    const char *name;
    int64_t value;
} gml_onnx_dim;

/* Which part of the model becomes the main graph. States are the initialisers that some binding
 * of the training information names; they are parameters behind the graph's own, in the order
 * of the file, and results behind its own (module->states). All parts of a model have the same
 * states, with what they are at first; a part may neither read nor change one. */
typedef enum gml_onnx_entry {
    GML_ONNX_FIXED,      /* the model's graph; states are constants like other initialisers */
    GML_ONNX_RUN,        /* the model's graph */
    GML_ONNX_STEP,       /* the same, continued by a training algorithm */
    GML_ONNX_INITIALISE, /* a training's initialisation; states are results only */
} gml_onnx_entry;

/* All zero is the default. */
typedef struct gml_onnx_options {
    gml_onnx_entry entry;
    size_t training; /* STEP, INITIALISE: which training information; mostly there is one */
    uint64_t
        seed; /* INITIALISE: of random operators that have none; 0: they stay as they are */
    bool skip_infer;       /* leave types unknown but for what the file declares */
    bool allow_hard_links; /* external data may have several names */
    const char *file;      /* gml_onnx_parse: the name for messages */
    const char *folder;    /* gml_onnx_parse: of external data; NULL: there can be none */
    const gml_onnx_dim *dims;
    size_t n_dims;
} gml_onnx_options;

/* `options` may be NULL. `*out_module` is NULL after a failure. */
GML_MUST_CHECK gml_status gml_onnx_load(const char *path, const gml_onnx_options *options,
                                        gml_module **out_module, gml_diags *diags);
/* `bytes` must outlive the module. */
/* GML_E_USAGE when the model has no such training information. */
GML_MUST_CHECK gml_status gml_onnx_parse(const void *bytes, size_t len,
                                         const gml_onnx_options *options,
                                         gml_module **out_module, gml_diags *diags);

#endif
