/* api/weights.h - the inside of gml_weights, for the files that implement it. */
#ifndef GML_API_WEIGHTS_H
#define GML_API_WEIGHTS_H

#include "api/safetensors.h"
#include "frontend/initialisers.h"
#include "gemel/weights.h"
#include "weights/mapping.h"

/* One file, open by what it is. */
typedef struct gml_weights_source {
    const char *path;
    const char *format;
    gml_file file; /* of PyTorch */
    gml_safetensors safetensors;
    gml_module *module; /* of ONNX */
} gml_weights_source;

struct gml_weights {
    gml_arena arena;
    gml_diags diags;
    gml_status status;
    gml_vec(gml_weights_source *) sources;
    gml_weight_table table;
    gml_weight_mapping mapping;
    bool knows_turned; /* a file says which matrices are turned: biases need not tell */
};

/* The metadata entry of gemel's models and checkpoints that names, a line each, the matrices
 * that are stored (in, out). */
#define GML_TURNED_KEY "gemel.transposed"
/* Metadata with this beginning goes from a model into its checkpoints. */
#define GML_OWN_KEYS   "gemel."

/* The tensor that a network's weight called `name` begins with, marked as used; NULL when there
 * is none. */
const gml_weight *gml_weights_use(gml_weights *weights, const char *name);
/* GML_E_INVALID when something in the files has no place in the network: it is taken and was
 * not used, or no row of the map fits it. */
GML_MUST_CHECK gml_status gml_weights_check_used(gml_weights *weights, gml_diags *diags);

#endif
