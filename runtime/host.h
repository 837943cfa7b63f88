/* runtime/host.h - host operators: C functions for strings, sequences, sorting, data-dependent
 * shapes and regions.
 *
 * The rows are runtime/host.def, X(name); the function of a row is gml_host_<name> in
 * runtime/host/<name>.c. It reads call->inputs, allocates and sets call->outputs (all
 * GML_RVALUE_NONE before), and reports faults with gml_host_fail. Outputs nobody wants may be
 * left NONE. The types were checked when compiling; values (indices, counts) must be checked
 * here.
 *
 * The runtime links neither LLVM nor protobuf: nothing here may need them. Functions may run on
 * several threads at once and keep no state.
 */
#ifndef GML_RUNTIME_HOST_H
#define GML_RUNTIME_HOST_H

#include "base/attr.h"
#include "runtime/value.h"

typedef struct gml_host_call gml_host_call;

struct gml_host_call {
    const char *node; /* the ONNX node's name */
    const char *op;
    const gml_attr *attrs;
    size_t n_attrs;
    const gml_rvalue *inputs; /* NONE: absent */
    size_t n_inputs;
    gml_rvalue *outputs;
    size_t n_outputs;
    const gml_dtype
        *output_dtypes; /* element type of each output as inferred; NONE if no tensor */
    /* Runs region number `region` (in the order of the node's graph attributes). Outputs are
     * the caller's to reset. NULL context-free operators never call it. */
    gml_status (*run_region)(gml_host_call *call, unsigned region, const gml_rvalue *inputs,
                             size_t n_inputs, gml_rvalue *outputs, size_t n_outputs);
    /* Parameters and results of a region. */
    void (*region_arity)(const gml_host_call *call, unsigned region, size_t *out_params,
                         size_t *out_results);
    /* The inferred shape of each output: rank -1 and dimensions -1 where not known. NULL:
     * nothing is known. Only the shape of what no iteration of a Loop made is read from it. */
    const gml_tensor *output_shapes;
    void *context;   /* the executor's */
    char error[256]; /* set by gml_host_fail */
};

typedef gml_status (*gml_host_fn)(gml_host_call *call);

/* The function of a row, or NULL. */
gml_host_fn gml_host_find(const char *name);

gml_status gml_host_fail(gml_host_call *call, gml_status status, const char *format, ...)
    GML_PRINTF(3, 4);
const gml_attr *gml_host_attr(const gml_host_call *call, const char *name);
int64_t gml_host_int(const gml_host_call *call, const char *name, int64_t fallback);
float gml_host_float(const gml_host_call *call, const char *name, float fallback);
/* An empty string (data NULL) when absent. */
gml_string gml_host_string(const gml_host_call *call, const char *name);
bool gml_host_string_is(const gml_host_call *call, const char *name, const char *text);
bool gml_host_has(const gml_host_call *call, unsigned input);
/* Element `i` of an integer, bool or float tensor. */
int64_t gml_host_get_int(const gml_tensor *tensor, int64_t i);
double gml_host_get_float(const gml_tensor *tensor, int64_t i);
/* Stores a number with the tensor's element type (rounding, wrapping as Cast without
 * saturation). */
void gml_host_put(const gml_tensor *tensor, int64_t i, double number);
/* The same from an integer, exact for 64-bit types (u64 by its bits). */
void gml_host_put_int(const gml_tensor *tensor, int64_t i, int64_t number);

#define X(name) gml_status gml_host_##name(gml_host_call *call);
#include "runtime/host.def"
#undef X

#endif
