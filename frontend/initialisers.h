/* frontend/initialisers.h - the initialisers of an ONNX model, without its graph.
 *
 * Operators are not looked at, so that weights come out of models that gemel cannot run.
 * Elements are views of the mapped file (or of the files beside it) as in frontend/tensor.h.
 * Sparse initialisers are named and have no elements.
 */
#ifndef GML_FRONTEND_INITIALISERS_H
#define GML_FRONTEND_INITIALISERS_H

#include "ir/graph.h"

typedef struct gml_initialiser {
    const char *name;
    gml_tensor tensor; /* dtype GML_NONE: sparse */
} gml_initialiser;

/* An entry of the model's metadata. */
typedef struct gml_onnx_metadata {
    const char *key;
    const char *value;
} gml_onnx_metadata;

typedef struct gml_initialisers {
    gml_module *module; /* owns everything, mappings included; destroy it when done */
    gml_vec(gml_initialiser) list;
    gml_vec(gml_onnx_metadata) metadata;
} gml_initialisers;

/* `*out` is empty after a failure. */
GML_MUST_CHECK gml_status gml_onnx_initialisers(const char *path, gml_initialisers *out,
                                                gml_diags *diags);

#endif
