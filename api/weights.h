/* api/weights.h - the inside of gml_weights, for the files that implement it. */
#ifndef GML_API_WEIGHTS_H
#define GML_API_WEIGHTS_H

#include "api/safetensors.h"
#include "frontend/initialisers.h"
#include "gemel/weights.h"
#include "weights/table.h"

struct gml_weights {
    gml_arena arena;
    gml_diags diags;
    gml_status status;
    const char *path;
    const char *format;
    gml_file file;               /* of PyTorch */
    gml_safetensors safetensors; /* open when `format` says so */
    gml_module *module;          /* of ONNX */
    gml_weight_table table;
};

#endif
