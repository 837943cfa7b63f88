/* api/execute.h - one run of a module on a device, from values to values.
 *
 * For tools that run a model once (check, run, compare). `ref` interprets node by node; the
 * others compile the graph for exactly these inputs (shapes, and the elements that shapes
 * depend on) and run the program: on the CPU, on NVIDIA's GPUs, or on `emu`, which runs a GPU's
 * kernels here. What cannot be compiled is reported, never done another way in silence.
 */
#ifndef GML_API_EXECUTE_H
#define GML_API_EXECUTE_H

#include "codegen/codegen.h"
#include "ir/graph.h"
#include "runtime/value.h"

typedef enum gml_device_kind {
    GML_DEVICE_CPU,
    GML_DEVICE_REF,
    GML_DEVICE_CUDA,
    GML_DEVICE_EMU,
} gml_device_kind;

#define GML_DEVICE_NAMES "cpu (default), cuda (cuda:1: the second), emu or ref, the interpreter"

/* "cuda" and "cuda:1" differ in `*out_number`, which is 0 for all others. False, and nothing is
 * changed, when no device is called so. */
bool gml_device_parse(const char *name, gml_device_kind *out_device, int *out_number);
#define GML_PRECISION_NAMES                                                                    \
    "of f32 matrix products: highest (default), or medium, of operands in bf16 (cuda, emu)"

/* "highest" or "medium"; false, and nothing is changed, when no precision is called so. */
bool gml_precision_parse(const char *name, gml_precision *out_precision);
/* GML_E_UNSUPPORTED where the device has no such precision. */
GML_MUST_CHECK gml_status gml_precision_check(gml_device_kind device, gml_precision precision,
                                              gml_diags *diags);
/* Of those with memory of their own; `*out_device` is NULL for the others. */
GML_MUST_CHECK gml_status gml_device_open_kind(gml_device_kind kind, int number,
                                               struct gml_device **out_device,
                                               gml_diags *diags);

/* A value that has been computed. Strings and the value, a view, are good for the call. */
typedef struct gml_executed {
    const char *name;   /* of the ONNX value */
    const char *node;   /* that it comes from (of a kernel: its first), or "" */
    const char *kernel; /* "MatMul+Add"; on ref the operator */
    const gml_rvalue *value;
    bool channels_last; /* it is stored with dimension 1 behind all others */
} gml_executed;

/* A status other than GML_OK stops the run. */
typedef gml_status (*gml_execute_watch)(void *context, const gml_executed *executed);

typedef struct gml_execute_options {
    gml_device_kind device;
    int device_number;
    gml_precision precision;
    int n_threads;          /* 0: 1 */
    bool verify;            /* the graph after each pass */
    bool optimise;          /* as for a program that runs often; compiling takes longer */
    const char *const *off; /* optional passes to leave out, as in passes/pass.h */
    const char *pass_list;  /* as in api/pipeline.h; NULL: the standard one */
    uint64_t *changing;     /* as in passes/pass.h */
    /* Called for each value of the main graph that has a name, in the order of computing, if it
     * is stored at all. NULL: nobody looks. */
    gml_execute_watch watch;
    void *watch_context;
} gml_execute_options;

/* The module must have been imported without inference; its types are filled in for these
 * inputs. Takes the module, also on failure. `inputs` are borrowed; `outputs`
 * (graph->n_results) are the caller's to reset and own their memory. A tensor without a buffer
 * that comes in as an output may be written to, as by gml_instance_run. */
GML_MUST_CHECK gml_status gml_execute(gml_module *module, const gml_rvalue *inputs,
                                      gml_rvalue *outputs, const gml_execute_options *options,
                                      gml_diags *diags);

/* Does the graph take derivatives, so that gml_spell_out is needed before it is interpreted? */
bool gml_differentiates(const gml_graph *graph);
/* Binds the parameters' types to `inputs` and replaces every Gradient by the nodes that compute
 * it. `options` may be NULL. */
GML_MUST_CHECK gml_status gml_spell_out(gml_module *module, const gml_rvalue *inputs,
                                        const gml_execute_options *options, gml_diags *diags);

#endif
