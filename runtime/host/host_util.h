/* runtime/host/host_util.h - what every host operator needs: temporaries, operands, results,
 * indices.
 *
 * Temporaries come from a gml_scratch and die together when the operator returns.
 *
 *     static gml_status run(gml_host_call *call, gml_scratch *scratch) { ... }
 *     gml_status gml_host_topk(gml_host_call *call) { return gml_host_with_scratch(call, run);
 * }
 *
 * Results that were set before a failure are the caller's to reset. No global state.
 */
#ifndef GML_RUNTIME_HOST_HOST_UTIL_H
#define GML_RUNTIME_HOST_HOST_UTIL_H

#include "base/diag.h"
#include "runtime/host.h"
#include "runtime/scratch.h"

/* Runs `body` with a scratch of its own. */
gml_status gml_host_with_scratch(gml_host_call *call,
                                 gml_status (*body)(gml_host_call *call, gml_scratch *scratch));
gml_status gml_host_no_memory(gml_host_call *call);

/* Operand `k` when it is a tensor, else NULL. */
const gml_tensor *gml_host_tensor(const gml_host_call *call, unsigned k);
/* The same, failing when there is none. */
gml_status gml_host_require(gml_host_call *call, unsigned k, const gml_tensor **out_tensor);
/* The first element of integer operand `k`; `fallback` when absent, a failure when empty. */
gml_status gml_host_scalar_int(gml_host_call *call, unsigned k, int64_t fallback,
                               int64_t *out_value);
/* Strings of a string tensor. */
static inline const gml_string *gml_strings_of(const gml_tensor *tensor)
{
    return (const gml_string *)tensor->data;
}
/* The values of an attribute of that kind; NULL and a count of 0 when absent. */
const int64_t *gml_host_ints(const gml_host_call *call, const char *name, size_t *out_count);
const float *gml_host_floats(const gml_host_call *call, const char *name, size_t *out_count);
const gml_string *gml_host_attr_strings(const gml_host_call *call, const char *name,
                                        size_t *out_count);
const gml_tensor *gml_host_attr_tensor(const gml_host_call *call, const char *name);

/* Result `i` (there must be one) as a fresh tensor; fails with a message. */
gml_status gml_host_alloc(gml_host_call *call, unsigned i, gml_dtype dtype, int rank,
                          const int64_t *dims, const gml_tensor **out_tensor);
/* Result `i` as a string tensor with copies of `strings`. */
gml_status gml_host_set_strings(gml_host_call *call, unsigned i, int rank, const int64_t *dims,
                                const gml_string *strings);
/* Result `i` shares what `value` holds. */
gml_status gml_host_set_copy(gml_host_call *call, unsigned i, const gml_rvalue *value);
/* `value` was filled with elements copied one by one; when they are strings, their bytes still
 * belong to operands: copies them. Nothing happens to other types. */
gml_status gml_host_own_strings(gml_host_call *call, gml_rvalue *value);

/* Normalises `axis` into 0..rank-1; fails when outside -rank..rank-1. */
gml_status gml_host_axis(gml_host_call *call, int64_t axis, int rank, int *out_axis);
/* Normalises `index` into 0..size-1, counting negative ones from the end; fails when outside.
 */
gml_status gml_host_index(gml_host_call *call, int64_t index, int64_t size, int64_t *out_index);
/* Product of dims[from..to-1], INT64_MAX when it does not fit. */
int64_t gml_dims_product(const gml_tensor *tensor, int from, int to);
/* Copies `count` elements; the element types have one size. */
void gml_host_copy(const gml_tensor *to, int64_t to_index, const gml_tensor *from,
                   int64_t from_index, int64_t count);

bool gml_string_equal(gml_string a, gml_string b);
int gml_string_compare(gml_string a, gml_string b); /* by bytes */

#endif
