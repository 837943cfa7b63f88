/* frontend/export.h - a module becomes an ONNX model.
 *
 * Written for the newest released operator sets (frontend/opset.h), or an older one of ai.onnx
 * whose words mean the same: then a node that it does not know is GML_E_UNSUPPORTED. The main
 * graph's inputs and outputs keep their names; every other name is made unique over the whole
 * model, as ONNX wants it. Constants are initialisers. Operators of gemel's own are written
 * under the domain "gemel", and only gemel reads those. Sizes that are expressions are written
 * as their text.
 *
 * Nothing is copied but what must be packed. Failures: GML_E_INVALID when a type that ONNX
 * demands is unknown, GML_E_UNSUPPORTED when the model exceeds protobuf's 2 GB or a graph
 * requires something of sizes (docs/ir.md), which passes make it do, GML_E_IO.
 */
#ifndef GML_FRONTEND_EXPORT_H
#define GML_FRONTEND_EXPORT_H

#include "base/str.h"
#include "ir/graph.h"

typedef struct gml_export_entry {
    const char *key;
    const char *value;
} gml_export_entry;

/* After a step of training the initialiser `state` holds the main graph's result `result`, one
 * of the algorithm's. */
typedef struct gml_export_update {
    const gml_value *state;
    uint32_t result;
} gml_export_update;

/* The main graph is a model and, behind it, the algorithm that trains it: written as
 * TrainingInfoProto.algorithm, with update_binding. */
typedef struct gml_export_training {
    const gml_node *first; /* of the algorithm; NULL: it has no nodes */
    uint32_t n_params;     /* of the model alone: the graph's others are the algorithm's */
    uint32_t n_results;
    const gml_export_update *updates;
    size_t n_updates;
} gml_export_training;

typedef struct gml_export_options {
    bool external_data; /* constants of a page or more go to PATH.data, at multiples of 4096 */
    int64_t opset;      /* of ai.onnx, from GML_OPSET_OLDEST_WRITTEN; 0: the newest */
    const gml_export_entry *metadata;
    size_t n_metadata;
    const gml_export_training *training; /* NULL: the model does not train */
    /* Told now and then how many bytes of the model's file are written; NULL: nobody looks. */
    void (*progress)(void *context, const char *stage, uint64_t done, uint64_t total);
    void *progress_context;
} gml_export_options;

/* Writes `path` (and PATH.data); they appear whole or not at all. `options` may be NULL. */
GML_MUST_CHECK gml_status gml_onnx_save(const gml_module *module, const char *path,
                                        const gml_export_options *options, gml_diags *diags);
/* Appends the bytes of the model to `out`; nothing on failure. Of the options, which may be
 * NULL, external data and progress do not count. */
GML_MUST_CHECK gml_status gml_onnx_write(const gml_module *module,
                                         const gml_export_options *options, gml_str *out,
                                         gml_diags *diags);

#endif
