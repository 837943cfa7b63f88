/* runtime/value.h - values while a program runs: tensors, sequences, optionals.
 *
 * A gml_buffer is refcounted memory. A gml_rvalue is one value and owns what it holds: reset it
 * when done. Copying shares buffers and never copies elements.
 *
 * Elements of string tensors are gml_string whose bytes belong to the value's buffer (or one it
 * keeps alive through `owner`).
 *
 * A buffer may lie on a device (runtime/device.h). Its data, and that of tensors in it, is then
 * an address there: nothing here may follow it. gml_rvalue_to_host gives what can be read.
 *
 * Reference counts are atomic; everything else is one thread's at a time.
 */
#ifndef GML_RUNTIME_VALUE_H
#define GML_RUNTIME_VALUE_H

#include "base/diag.h"
#include "gemel/types.h"

typedef struct gml_buffer gml_buffer;
struct gml_device;

/* `size` bytes aligned to 64, zeroed when `zero`. NULL when there is no memory. */
gml_buffer *gml_buffer_create(size_t size, bool zero);
/* A buffer around the caller's memory; `release` (may be NULL) runs when the last reference
 * goes. */
gml_buffer *gml_buffer_wrap(void *data, size_t size, void (*release)(void *context),
                            void *context);
/* `size` bytes of a device's memory, which is retained; contents undefined. With size 0 it only
 * names the device, and its data is NULL. NULL when there is no memory. */
gml_buffer *gml_buffer_create_on(struct gml_device *device, size_t size);
/* The device that it lies on; NULL: this machine's memory, or `buffer` is NULL. */
struct gml_device *gml_buffer_device(const gml_buffer *buffer);
gml_buffer *gml_buffer_retain(gml_buffer *buffer); /* accepts NULL */
void gml_buffer_release(gml_buffer *buffer);       /* accepts NULL */
void *gml_buffer_data(const gml_buffer *buffer);
size_t gml_buffer_size(const gml_buffer *buffer);
/* Tests: the n-th allocation from now fails (0: none does). */
void gml_buffer_fail_at(unsigned n);

typedef enum gml_rvalue_kind {
    GML_RVALUE_NONE, /* absent operand, or an optional without element */
    GML_RVALUE_TENSOR,
    GML_RVALUE_SEQUENCE,
    GML_RVALUE_MAP, /* items: keys tensor, values tensor */
} gml_rvalue_kind;

typedef struct gml_rvalue {
    gml_rvalue_kind kind;
    bool is_optional;   /* an optional: NONE or its element's kind */
    gml_tensor tensor;  /* view into `buffer` */
    gml_buffer *buffer; /* keeps the elements (and string bytes) alive; NULL: static memory */
    struct gml_rvalue *items; /* of a sequence, malloc'ed */
    size_t n_items;
} gml_rvalue;

void gml_rvalue_reset(gml_rvalue *value); /* gives up what it holds */
gml_status gml_rvalue_copy(gml_rvalue *out_value, const gml_rvalue *value); /* shares buffers */
/* A tensor with fresh memory. `out_value` is overwritten, not reset. GML_E_MEMORY, or
 * GML_E_SHAPE when a dimension is negative or the size overflows. */
gml_status gml_rvalue_alloc(gml_rvalue *out_value, gml_dtype dtype, int rank,
                            const int64_t *dims);
/* A string tensor; copies the bytes of all `strings` (numel of them) into its buffer. */
gml_status gml_rvalue_strings(gml_rvalue *out_value, int rank, const int64_t *dims,
                              const gml_string *strings);
/* A sequence of `n_items` values, all NONE, for the caller to set. Overwrites `out_value`. */
gml_status gml_rvalue_sequence(gml_rvalue *out_value, size_t n_items);

/* Replaces every tensor in `value` that lies on a device by a copy here. */
GML_MUST_CHECK gml_status gml_rvalue_to_host(gml_rvalue *value, gml_diags *diags);

/* Bytes of a tensor's elements; false on overflow or a negative dimension. */
bool gml_tensor_bytes(const gml_tensor *tensor, size_t *out_bytes);

#endif
