/* api/execute.h - one run of a module on a device, from values to values.
 *
 * For tools that run a model once (check, run, compare). `ref` interprets node by node; `cpu`
 * compiles the graph for exactly these inputs (shapes, and the elements that shapes depend on)
 * and runs the program. What `cpu` cannot compile is reported, never done another way in
 * silence.
 */
#ifndef GML_API_EXECUTE_H
#define GML_API_EXECUTE_H

#include "ir/graph.h"
#include "runtime/value.h"

typedef enum gml_device_kind { GML_DEVICE_CPU, GML_DEVICE_REF } gml_device_kind;

/* False when no device is called so. */
bool gml_device_find(const char *name, gml_device_kind *out_device);

typedef struct gml_execute_options {
    gml_device_kind device;
    int n_threads; /* 0: 1 */
    bool verify;   /* the graph after each pass */
} gml_execute_options;

/* The module must have been imported without inference; its types are filled in for these
 * inputs. Takes the module, also on failure. `inputs` are borrowed; `outputs`
 * (graph->n_results) are the caller's to reset and own their memory. */
GML_MUST_CHECK gml_status gml_execute(gml_module *module, const gml_rvalue *inputs,
                                      gml_rvalue *outputs, const gml_execute_options *options,
                                      gml_diags *diags);

#endif
