/* gemel/types.h - the vocabulary every part of gemel shares: statuses, element types, tensor
 * views.
 *
 * A `gml_tensor` is a view: it owns nothing. Whoever hands one out says how long its memory
 * lives.
 */
#ifndef GEMEL_TYPES_H
#define GEMEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#    define GML_MUST_CHECK        __attribute__((warn_unused_result))
#    define GML_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#    define GML_MUST_CHECK
#    define GML_PRINTF(fmt, args)
#endif

/* code, exit status of the command line, what it says */
#define GML_STATUS_MAP(X)                                                                      \
    X(OK, 0, "ok")                                                                             \
    X(E_MISMATCH, 1, "the result is wrong")                                                    \
    X(E_USAGE, 2, "usage")                                                                     \
    X(E_INVALID, 3, "invalid input")                                                           \
    X(E_TYPE, 3, "element types do not fit")                                                   \
    X(E_SHAPE, 3, "shapes do not fit")                                                         \
    X(E_RANGE, 3, "a value is out of range")                                                   \
    X(E_UNSUPPORTED, 4, "not supported")                                                       \
    X(E_MEMORY, 5, "out of memory")                                                            \
    X(E_DEVICE, 5, "device failure")                                                           \
    X(E_IO, 5, "file system failure")                                                          \
    X(E_INTERNAL, 5, "internal error")

typedef enum gml_status {
#define X(code, exit_status, text) GML_##code,
    GML_STATUS_MAP(X)
#undef X
} gml_status;

/* The one-line text of `status`. Never NULL. */
const char *gml_status_text(gml_status status);
/* The exit status of the command line for `status`, 0 to 5. */
int gml_status_exit(gml_status status);

/* The class of an element type decides which arithmetic an element gets. */
typedef enum gml_dtype_class {
    GML_CLASS_NONE,
    GML_CLASS_FLOAT,
    GML_CLASS_SIGNED,
    GML_CLASS_UNSIGNED,
    GML_CLASS_BOOL,
    GML_CLASS_COMPLEX,
    GML_CLASS_STRING,
} gml_dtype_class;

/* Element types. The numbers are those of ONNX's TensorProto.DataType.
 * name, number, spelling in textual IR, bits in a file, bytes in memory, class.
 *
 * In gemel's memory every element has whole bytes: 4- and 2-bit types take one byte an element,
 * value in the low bits, sign-extended for signed integers. Files pack them; readers unpack. */
#define GML_DTYPE_MAP(X)                                                                       \
    X(NONE, 0, "none", 0, 0, NONE)                                                             \
    X(F32, 1, "f32", 32, 4, FLOAT)                                                             \
    X(U8, 2, "u8", 8, 1, UNSIGNED)                                                             \
    X(I8, 3, "i8", 8, 1, SIGNED)                                                               \
    X(U16, 4, "u16", 16, 2, UNSIGNED)                                                          \
    X(I16, 5, "i16", 16, 2, SIGNED)                                                            \
    X(I32, 6, "i32", 32, 4, SIGNED)                                                            \
    X(I64, 7, "i64", 64, 8, SIGNED)                                                            \
    X(STRING, 8, "string", 0, 16, STRING)                                                      \
    X(BOOL, 9, "bool", 8, 1, BOOL)                                                             \
    X(F16, 10, "f16", 16, 2, FLOAT)                                                            \
    X(F64, 11, "f64", 64, 8, FLOAT)                                                            \
    X(U32, 12, "u32", 32, 4, UNSIGNED)                                                         \
    X(U64, 13, "u64", 64, 8, UNSIGNED)                                                         \
    X(C64, 14, "c64", 64, 8, COMPLEX)                                                          \
    X(C128, 15, "c128", 128, 16, COMPLEX)                                                      \
    X(BF16, 16, "bf16", 16, 2, FLOAT)                                                          \
    X(F8E4M3FN, 17, "f8e4m3fn", 8, 1, FLOAT)                                                   \
    X(F8E4M3FNUZ, 18, "f8e4m3fnuz", 8, 1, FLOAT)                                               \
    X(F8E5M2, 19, "f8e5m2", 8, 1, FLOAT)                                                       \
    X(F8E5M2FNUZ, 20, "f8e5m2fnuz", 8, 1, FLOAT)                                               \
    X(U4, 21, "u4", 4, 1, UNSIGNED)                                                            \
    X(I4, 22, "i4", 4, 1, SIGNED)                                                              \
    X(F4E2M1, 23, "f4e2m1", 4, 1, FLOAT)                                                       \
    X(F8E8M0, 24, "f8e8m0", 8, 1, FLOAT)                                                       \
    X(U2, 25, "u2", 2, 1, UNSIGNED)                                                            \
    X(I2, 26, "i2", 2, 1, SIGNED)

typedef enum gml_dtype {
#define X(name, number, text, bits, bytes, class) GML_##name = number,
    GML_DTYPE_MAP(X)
#undef X
        GML_DTYPE_COUNT
} gml_dtype;

/* All of these accept any value of the enum and answer for GML_NONE too. */
const char *gml_dtype_name(gml_dtype dtype);
size_t gml_dtype_size(gml_dtype dtype);   /* bytes of one element in memory */
unsigned gml_dtype_bits(gml_dtype dtype); /* bits of one element in a file */
gml_dtype_class gml_dtype_get_class(gml_dtype dtype);
/* GML_NONE when no type has that spelling. */
gml_dtype gml_dtype_find(const char *text, size_t len);

#define GML_MAX_RANK 12

/* One element of a string tensor: bytes, not NUL-terminated. */
typedef struct gml_string {
    const char *data;
    size_t len;
} gml_string;

/* A dense row-major tensor somewhere in memory. `data` may have any alignment when it points
 * into a model file, and is aligned to 64 bytes when gemel allocated it. */
typedef struct gml_tensor {
    gml_dtype dtype;
    int rank; /* 0 to GML_MAX_RANK */
    int64_t dims[GML_MAX_RANK];
    void *data; /* may be NULL when there is no element */
} gml_tensor;

/* Elements of `tensor`: 1 for a scalar, 0 when a dimension is 0 or less, INT64_MAX when the
 * product does not fit. */
int64_t gml_tensor_numel(const gml_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
