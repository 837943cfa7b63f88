/* frontend/tensor.h - a TensorProto as a tensor view, and back.
 *
 * Elements in raw_data or in an external file are not copied when they lie there as they lie in
 * gemel's memory; then the view lives as long as the mapped file. Everything else (packed 4-
 * and 2-bit types, booleans that are neither 0 nor 1, the typed fields, strings, sparse
 * tensors) is unpacked into `arena`, aligned to 64 bytes.
 *
 * Refused: unknown element types, more than GML_MAX_RANK dimensions, negative ones, sizes that
 * overflow, a number of bytes or elements that is not exactly what the shape needs, segments.
 */
#ifndef GML_FRONTEND_TENSOR_H
#define GML_FRONTEND_TENSOR_H

#include "frontend/external.h"
#include "onnx.pb-c.h"

typedef struct gml_tensor_reader {
    gml_arena *arena;
    gml_externals *externals; /* NULL: external data is refused */
    gml_diags *diags;
} gml_tensor_reader;

/* `proto` comes from gml_wire_unpack. `*out_tensor` is untouched on failure. */
GML_MUST_CHECK gml_status gml_tensor_read(const gml_tensor_reader *reader,
                                          const Onnx__TensorProto *proto, gml_loc loc,
                                          gml_tensor *out_tensor);
/* The dense tensor that a sparse one stands for. */
GML_MUST_CHECK gml_status gml_tensor_read_sparse(const gml_tensor_reader *reader,
                                                 const Onnx__SparseTensorProto *proto,
                                                 gml_loc loc, gml_tensor *out_tensor);

/* Fills `proto` with `tensor`: raw_data, or string_data for strings. Its memory is `arena`'s,
 * but elements that need no packing are referred to, not copied. */
void gml_tensor_write(const gml_tensor *tensor, gml_arena *arena, Onnx__TensorProto *proto);

/* The element type with number `number` in files, or GML_NONE. */
gml_dtype gml_dtype_of_number(int64_t number);
/* `size` zeroed bytes aligned to 64. */
void *gml_alloc_elements(gml_arena *arena, size_t size);
/* Elements and bytes in memory of a tensor with these dimensions; false when one is negative or
 * the size does not fit. */
bool gml_count_elements(gml_dtype dtype, int rank, const int64_t *dims, size_t *out_count,
                        size_t *out_bytes);

#endif
