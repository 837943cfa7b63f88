/* frontend/tensor.c - TensorProto to tensor view and back. */
#include "frontend/tensor.h"

#include "frontend/wire.h"

#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#    error "raw_data is little-endian and is used in place"
#endif

gml_dtype gml_dtype_of_number(int64_t number)
{
    return number > 0 && number < GML_DTYPE_COUNT ? (gml_dtype)number : GML_NONE;
}

void *gml_alloc_elements(gml_arena *arena, size_t size)
{
    if (size > SIZE_MAX - 64)
        gml_out_of_memory(size);
    char *memory = gml_arena_alloc(arena, size + 63);
    return memory + (64 - (uintptr_t)memory % 64) % 64;
}

bool gml_count_elements(gml_dtype dtype, int rank, const int64_t *dims, size_t *out_count,
                        size_t *out_bytes)
{
    size_t count = 1;
    bool is_empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return false;
        if (dims[i] == 0)
            is_empty = true;
        else if (__builtin_mul_overflow(count, (size_t)dims[i], &count))
            return false;
    }
    size_t bytes;
    if (__builtin_mul_overflow(count, gml_dtype_size(dtype), &bytes) || bytes > PTRDIFF_MAX)
        return false;
    *out_count = is_empty ? 0 : count;
    *out_bytes = is_empty ? 0 : bytes;
    return true;
}

static gml_status read_shape(const gml_tensor_reader *reader, gml_loc loc, const int64_t *dims,
                             size_t rank, gml_tensor *tensor)
{
    if (rank > GML_MAX_RANK)
        return gml_fail(reader->diags, GML_E_UNSUPPORTED, loc,
                        "a tensor has %zu dimensions; %d are supported", rank, GML_MAX_RANK);
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return gml_fail(reader->diags, GML_E_INVALID, loc,
                            "dimension %zu of a tensor is %lld", i, (long long)dims[i]);
        tensor->dims[i] = dims[i];
    }
    tensor->rank = (int)rank;
    return GML_OK;
}

/* ---- elements that lie in bytes as files pack them ------------------------------------------
 */

static size_t packed_size(gml_dtype dtype, size_t count)
{
    unsigned bits = gml_dtype_bits(dtype);
    if (bits == 0) /* strings: they are not packed */
        return 0;
    return bits >= 8 ? count * (bits / 8) : count / (8 / bits) + (count % (8 / bits) != 0);
}

/* 8 / bits elements a byte, the first in the lowest bits. */
static void unpack_bits(gml_dtype dtype, const uint8_t *in, size_t count, uint8_t *out)
{
    unsigned bits = gml_dtype_bits(dtype);
    unsigned per_byte = 8 / bits;
    unsigned mask = (1u << bits) - 1;
    unsigned sign = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED ? 1u << (bits - 1) : 0;
    for (size_t i = 0; i < count; i++) {
        unsigned value = ((unsigned)in[i / per_byte] >> (i % per_byte * bits)) & mask;
        if ((value & sign) != 0)
            value |= ~mask;
        out[i] = (uint8_t)(value & 0xff);
    }
}

/* Elements packed as in a file become `tensor->data`: in place where memory looks the same. */
static void take_packed(gml_arena *arena, gml_tensor *tensor, const void *bytes, size_t count)
{
    union {
        const void *in;
        void *out;
    } view = {.in = bytes}; /* constants are never written through the view */
    const uint8_t *in = bytes;
    bool needs_copy = gml_dtype_bits(tensor->dtype) < 8;
    if (tensor->dtype == GML_BOOL) {
        for (size_t i = 0; i < count && !needs_copy; i++)
            needs_copy = in[i] > 1;
    }
    tensor->data = view.out;
    if (!needs_copy)
        return;
    uint8_t *out = gml_alloc_elements(arena, count);
    tensor->data = out;
    if (tensor->dtype != GML_BOOL) {
        unpack_bits(tensor->dtype, in, count, out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = in[i] != 0;
}

/* ---- elements in the typed fields -----------------------------------------------------------
 */

static gml_status check_count(const gml_tensor_reader *reader, gml_loc loc, const char *field,
                              size_t given, size_t needed)
{
    if (given == needed)
        return GML_OK;
    return gml_fail(reader->diags, GML_E_INVALID, loc,
                    "a tensor has %zu elements in %s where its shape needs %zu", given, field,
                    needed);
}

/* int32_data: one element each, or one byte of packed elements each. */
static void take_int32(gml_arena *arena, gml_tensor *tensor, const int32_t *in, size_t count)
{
    size_t size = gml_dtype_bits(tensor->dtype) < 8 ? 1 : gml_dtype_size(tensor->dtype);
    size_t n = gml_dtype_bits(tensor->dtype) < 8 ? packed_size(tensor->dtype, count) : count;
    uint8_t *out = gml_alloc_elements(arena, n * size);
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * size, &in[i], size); /* little-endian: the low bytes */
    take_packed(arena, tensor, out, count);
}

static void take_uint64(gml_arena *arena, gml_tensor *tensor, const uint64_t *in, size_t count)
{
    size_t size = gml_dtype_size(tensor->dtype);
    uint8_t *out = gml_alloc_elements(arena, count * size);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * size, &in[i], size);
    tensor->data = out;
}

static gml_status take_strings(const gml_tensor_reader *reader, const Onnx__TensorProto *proto,
                               gml_loc loc, gml_tensor *tensor, size_t count)
{
    GML_TRY(check_count(reader, loc, "string_data", proto->n_string_data, count));
    gml_string *out = gml_alloc_elements(reader->arena, count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCBinaryData *text = &proto->string_data[i];
        out[i].data =
            text->len != 0 ? gml_arena_copy(reader->arena, text->data, text->len) : "";
        out[i].len = text->len;
    }
    tensor->data = out;
    return GML_OK;
}

static gml_status read_typed(const gml_tensor_reader *reader, const Onnx__TensorProto *proto,
                             gml_loc loc, gml_tensor *tensor, size_t count)
{
    gml_arena *arena = reader->arena;
    size_t n = packed_size(tensor->dtype, count);
    switch ((int)tensor->dtype) {
    case GML_STRING: return take_strings(reader, proto, loc, tensor, count);
    case GML_F32:
    case GML_C64:
        GML_TRY(check_count(reader, loc, "float_data", proto->n_float_data, n / 4));
        tensor->data = gml_alloc_elements(arena, n);
        if (n != 0)
            memcpy(tensor->data, proto->float_data, n);
        return GML_OK;
    case GML_F64:
    case GML_C128:
        GML_TRY(check_count(reader, loc, "double_data", proto->n_double_data, n / 8));
        tensor->data = gml_alloc_elements(arena, n);
        if (n != 0)
            memcpy(tensor->data, proto->double_data, n);
        return GML_OK;
    case GML_I64:
        GML_TRY(check_count(reader, loc, "int64_data", proto->n_int64_data, count));
        tensor->data = gml_alloc_elements(arena, n);
        if (n != 0)
            memcpy(tensor->data, proto->int64_data, n);
        return GML_OK;
    case GML_U32:
    case GML_U64:
        GML_TRY(check_count(reader, loc, "uint64_data", proto->n_uint64_data, count));
        take_uint64(arena, tensor, proto->uint64_data, count);
        return GML_OK;
    default: break;
    }
    GML_TRY(check_count(reader, loc, "int32_data", proto->n_int32_data,
                        gml_dtype_bits(tensor->dtype) < 8 ? n : count));
    take_int32(arena, tensor, proto->int32_data, count);
    return GML_OK;
}

/* ---- a whole tensor -------------------------------------------------------------------------
 */

static gml_status read_external(const gml_tensor_reader *reader, const Onnx__TensorProto *proto,
                                gml_loc loc, gml_tensor *tensor, size_t count)
{
    if (tensor->dtype == GML_STRING)
        return gml_fail(reader->diags, GML_E_INVALID, loc,
                        "a tensor of strings cannot have external data");
    if (reader->externals == NULL)
        return gml_fail(reader->diags, GML_E_INVALID, loc, "external data is not allowed here");
    gml_external_entry *entries =
        gml_new_array(reader->arena, gml_external_entry, proto->n_external_data);
    for (size_t i = 0; i < proto->n_external_data; i++) {
        entries[i].key = proto->external_data[i]->key;
        entries[i].value = proto->external_data[i]->value;
    }
    const void *bytes;
    GML_TRY(gml_external_find(reader->externals, entries, proto->n_external_data,
                              packed_size(tensor->dtype, count), &bytes, loc));
    take_packed(reader->arena, tensor, bytes, count);
    return GML_OK;
}

static gml_status read_raw(const gml_tensor_reader *reader, const Onnx__TensorProto *proto,
                           gml_loc loc, gml_tensor *tensor, size_t count)
{
    const void *bytes;
    size_t len;
    gml_wire_raw(&proto->raw_data, &bytes, &len);
    if (tensor->dtype == GML_STRING)
        return gml_fail(reader->diags, GML_E_INVALID, loc,
                        "a tensor of strings cannot have raw_data");
    size_t needed = packed_size(tensor->dtype, count);
    if (len != needed)
        return gml_fail(reader->diags, GML_E_INVALID, loc,
                        "a tensor has %zu bytes of raw_data where its shape needs %zu", len,
                        needed);
    take_packed(reader->arena, tensor, bytes, count);
    return GML_OK;
}

gml_status gml_tensor_read(const gml_tensor_reader *reader, const Onnx__TensorProto *proto,
                           gml_loc loc, gml_tensor *out_tensor)
{
    gml_tensor tensor = {.dtype = gml_dtype_of_number(proto->data_type)};
    if (tensor.dtype == GML_NONE)
        return gml_fail(reader->diags, GML_E_INVALID, loc,
                        "a tensor has unknown element type %d", (int)proto->data_type);
    if (proto->segment != NULL)
        return gml_fail(reader->diags, GML_E_UNSUPPORTED, loc,
                        "a tensor is stored in segments");
    GML_TRY(read_shape(reader, loc, proto->dims, proto->n_dims, &tensor));
    size_t count;
    size_t bytes;
    if (!gml_count_elements(tensor.dtype, tensor.rank, tensor.dims, &count, &bytes))
        return gml_fail(reader->diags, GML_E_INVALID, loc, "the size of a tensor overflows");
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        GML_TRY(read_external(reader, proto, loc, &tensor, count));
    else if (proto->has_raw_data)
        GML_TRY(read_raw(reader, proto, loc, &tensor, count));
    else
        GML_TRY(read_typed(reader, proto, loc, &tensor, count));
    *out_tensor = tensor;
    return GML_OK;
}

#define GML_MANY_ZEROS 65536 /* bytes */

/* The flat position of sparse element `i`; false when it is outside. */
static bool sparse_position(const gml_tensor *indices, size_t i, const gml_tensor *dense,
                            size_t count, size_t *out_position)
{
    const char *data = indices->data;
    size_t width = indices->rank == 1 ? 1 : (size_t)dense->rank;
    size_t position = 0;
    for (size_t k = 0; k < width; k++) {
        int64_t index;
        memcpy(&index, data + (i * width + k) * sizeof index, sizeof index);
        int64_t size = indices->rank == 1 ? (int64_t)count : dense->dims[k];
        if (index < 0 || index >= size)
            return false;
        position = indices->rank == 1 ? (size_t)index : position * (size_t)size + (size_t)index;
    }
    *out_position = position;
    return true;
}

/* Many zeros: a moment of an optimizer before its first step. */
static gml_status map_zeros(const gml_tensor_reader *reader, size_t bytes, gml_tensor *dense)
{
    gml_file zeros;
    GML_TRY(gml_file_zeros(bytes, &zeros, reader->diags));
    union {
        const void *from;
        void *to;
    } data = {gml_module_own_file(reader->externals->module, &zeros)->data};
    dense->data = data.to;
    return GML_OK;
}

/* Puts every value in its place among zeros. */
static gml_status scatter(const gml_tensor_reader *reader, const gml_tensor *values,
                          const gml_tensor *indices, gml_tensor *dense, gml_loc loc)
{
    size_t count = 0;
    size_t bytes = 0;
    if (!gml_count_elements(dense->dtype, dense->rank, dense->dims, &count, &bytes))
        return gml_fail(reader->diags, GML_E_INVALID, loc, "the size of a tensor overflows");
    if (bytes > (size_t)1 << 32) /* a few bytes of file must not become all of memory */
        return gml_fail(reader->diags, GML_E_UNSUPPORTED, loc,
                        "a sparse tensor of %zu bytes would be made dense", bytes);
    if (values->dims[0] == 0 && bytes >= GML_MANY_ZEROS && reader->externals != NULL)
        return map_zeros(reader, bytes, dense);
    size_t size = gml_dtype_size(dense->dtype);
    char *out = gml_alloc_elements(reader->arena, bytes);
    const char *in = values->data;
    for (size_t i = 0; i < (size_t)values->dims[0]; i++) {
        size_t position = 0;
        if (!sparse_position(indices, i, dense, count, &position))
            return gml_fail(reader->diags, GML_E_INVALID, loc,
                            "index %zu of a sparse tensor is outside its shape", i);
        memcpy(out + position * size, in + i * size, size);
    }
    dense->data = out;
    return GML_OK;
}

gml_status gml_tensor_read_sparse(const gml_tensor_reader *reader,
                                  const Onnx__SparseTensorProto *proto, gml_loc loc,
                                  gml_tensor *out_tensor)
{
    gml_diags *diags = reader->diags;
    if (proto->values == NULL || proto->indices == NULL)
        return gml_fail(diags, GML_E_INVALID, loc, "a sparse tensor lacks values or indices");
    gml_tensor values = {.dtype = GML_NONE};
    gml_tensor indices = {.dtype = GML_NONE};
    GML_TRY(gml_tensor_read(reader, proto->values, loc, &values));
    GML_TRY(gml_tensor_read(reader, proto->indices, loc, &indices));
    gml_tensor dense = {.dtype = values.dtype};
    GML_TRY(read_shape(reader, loc, proto->dims, proto->n_dims, &dense));
    bool fits = values.rank == 1 && indices.dtype == GML_I64 &&
                (indices.rank == 1 || indices.rank == 2) && indices.dims[0] == values.dims[0] &&
                (indices.rank == 1 || indices.dims[1] == dense.rank);
    if (!fits || values.dtype == GML_STRING)
        return gml_fail(diags, GML_E_INVALID, loc,
                        "the values and indices of a sparse tensor do not fit together");
    GML_TRY(scatter(reader, &values, &indices, &dense, loc));
    *out_tensor = dense;
    return GML_OK;
}

/* ---- writing --------------------------------------------------------------------------------
 */

static void write_strings(const gml_tensor *tensor, size_t count, gml_arena *arena,
                          Onnx__TensorProto *proto)
{
    const gml_string *in = tensor->data;
    proto->n_string_data = count;
    proto->string_data = gml_new_array(arena, ProtobufCBinaryData, count);
    for (size_t i = 0; i < count; i++) {
        proto->string_data[i].len = in[i].len;
        proto->string_data[i].data = gml_arena_copy(arena, in[i].data, in[i].len);
    }
}

void gml_tensor_write(const gml_tensor *tensor, gml_arena *arena, Onnx__TensorProto *proto)
{
    size_t count = (size_t)gml_tensor_numel(tensor);
    onnx__tensor_proto__init(proto);
    proto->has_data_type = 1;
    proto->data_type = (int32_t)tensor->dtype;
    proto->n_dims = (size_t)tensor->rank;
    proto->dims = gml_arena_copy(arena, tensor->dims, (size_t)tensor->rank * sizeof(int64_t));
    if (tensor->dtype == GML_STRING) {
        write_strings(tensor, count, arena, proto);
        return;
    }
    proto->has_raw_data = 1;
    proto->raw_data.len = packed_size(tensor->dtype, count);
    proto->raw_data.data = tensor->data;
    unsigned bits = gml_dtype_bits(tensor->dtype);
    if (bits >= 8)
        return;
    const uint8_t *in = tensor->data;
    uint8_t *out = gml_arena_alloc(arena, proto->raw_data.len);
    unsigned per_byte = 8 / bits;
    unsigned mask = (1u << bits) - 1;
    for (size_t i = 0; i < count; i++)
        out[i / per_byte] |= (uint8_t)((in[i] & mask) << (i % per_byte * bits));
    proto->raw_data.data = out;
}
