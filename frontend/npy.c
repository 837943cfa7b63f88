/* frontend/npy.c - reads and writes .npy.
 *
 *     magic "\x93NUMPY", version (2 bytes), length of the header (2 bytes, from version 2 on 4)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      a Python literal
 *     the elements
 *
 * `descr` is a byte order (< > | =), a kind letter and the bytes of an element (U: the
 * characters, of four bytes each). Only the literals that NumPy writes are understood.
 */
#include "frontend/npy.h"

#include "base/file.h"
#include "base/half.h"
#include "frontend/tensor.h"

#include <string.h>

#define GML_MAGIC     "\x93NUMPY"
#define GML_MAGIC_LEN 6

typedef struct npy_header {
    char kind;       /* b i u f c S U */
    bool is_swapped; /* big-endian */
    bool is_fortran;
    size_t item_size; /* bytes of an element in the file */
    int rank;
    int64_t dims[GML_MAX_RANK];
} npy_header;

typedef struct text_span {
    const char *at, *end;
} text_span;

/* ---- the header's literal -------------------------------------------------------------------
 */

static void skip_space(text_span *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\t'))
        in->at++;
}

static bool take(text_span *in, char byte)
{
    skip_space(in);
    if (in->at == in->end || *in->at != byte)
        return false;
    in->at++;
    return true;
}

static bool take_quoted(text_span *in, text_span *out_text)
{
    skip_space(in);
    if (in->at == in->end || (*in->at != '\'' && *in->at != '"'))
        return false;
    char quote = *in->at++;
    const char *end = memchr(in->at, quote, (size_t)(in->end - in->at));
    if (end == NULL)
        return false;
    *out_text = (text_span){in->at, end};
    in->at = end + 1;
    return true;
}

static bool take_word(text_span *in, const char *word)
{
    size_t len = strlen(word);
    skip_space(in);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
        return false;
    in->at += len;
    return true;
}

static bool take_number(text_span *in, int64_t *out_value)
{
    int64_t value = 0;
    skip_space(in);
    const char *start = in->at;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *in->at - '0', &value))
            return false;
    }
    *out_value = value;
    return in->at > start;
}

static bool is_text(text_span text, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(text.end - text.at) == len && memcmp(text.at, word, len) == 0;
}

static bool take_shape(text_span *in, npy_header *header)
{
    if (!take(in, '('))
        return false;
    while (!take(in, ')')) {
        if (header->rank == GML_MAX_RANK || !take_number(in, &header->dims[header->rank]))
            return false;
        header->rank++;
        if (!take(in, ',')) {
            if (!take(in, ')'))
                return false;
            break;
        }
    }
    return true;
}

static bool take_descr(text_span *in, npy_header *header)
{
    text_span descr;
    int64_t size;
    if (!take_quoted(in, &descr) || descr.end - descr.at < 3)
        return false;
    char order = *descr.at++;
    if (order != '<' && order != '>' && order != '|' && order != '=')
        return false;
    header->is_swapped = order == '>';
    header->kind = *descr.at++;
    if (!take_number(&descr, &size) || descr.at != descr.end || size > 1 << 28)
        return false;
    header->item_size = (size_t)size * (header->kind == 'U' ? 4 : 1);
    return true;
}

static bool parse_header(text_span in, npy_header *header)
{
    unsigned seen = 0;
    if (!take(&in, '{'))
        return false;
    while (!take(&in, '}')) {
        text_span key;
        unsigned bit = 0;
        if (!take_quoted(&in, &key) || !take(&in, ':'))
            return false;
        if (is_text(key, "descr") && take_descr(&in, header)) {
            bit = 1;
        } else if (is_text(key, "fortran_order")) {
            header->is_fortran = take_word(&in, "True");
            bit = header->is_fortran || take_word(&in, "False") ? 2 : 0;
        } else if (is_text(key, "shape") && take_shape(&in, header)) {
            bit = 4;
        }
        if (bit == 0 || (seen & bit) != 0)
            return false;
        seen |= bit;
        (void)take(&in, ',');
    }
    return seen == 7;
}

/* ---- elements -------------------------------------------------------------------------------
 */

static gml_dtype dtype_of(const npy_header *header)
{
    static const struct {
        size_t size;
        gml_dtype dtype;
        char kind;
    } types[] = {
        {1, GML_BOOL, 'b'}, {1, GML_I8, 'i'},    {2, GML_I16, 'i'}, {4, GML_I32, 'i'},
        {8, GML_I64, 'i'},  {1, GML_U8, 'u'},    {2, GML_U16, 'u'}, {4, GML_U32, 'u'},
        {8, GML_U64, 'u'},  {2, GML_F16, 'f'},   {4, GML_F32, 'f'}, {8, GML_F64, 'f'},
        {8, GML_C64, 'c'},  {16, GML_C128, 'c'},
    };
    if (header->kind == 'S' || header->kind == 'U')
        return GML_STRING;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].kind == header->kind && types[i].size == header->item_size)
            return types[i].dtype;
    }
    return GML_NONE;
}

static void swap_bytes(uint8_t *bytes, size_t n_words, size_t word)
{
    for (size_t i = 0; i < n_words; i++, bytes += word) {
        for (size_t k = 0; k < word / 2; k++) {
            uint8_t byte = bytes[k];
            bytes[k] = bytes[word - 1 - k];
            bytes[word - 1 - k] = byte;
        }
    }
}

static size_t put_utf8(uint32_t code, char *out)
{
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        code = 0xfffd; /* no character */
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(uint8_t)(0x80 | (code & 0x3f));
    out[0] = (char)(uint8_t)(leads[n] | code);
    return n;
}

/* Text is padded with NULs, which do not belong to it. */
static gml_string read_string(const npy_header *header, const uint8_t *item, gml_arena *arena)
{
    size_t width = header->kind == 'U' ? 4 : 1;
    size_t n = header->item_size / width;
    static const uint8_t zeros[4] = {0};
    while (n > 0 && memcmp(item + (n - 1) * width, zeros, width) == 0)
        n--;
    char *out = gml_arena_alloc(arena, n * width + 1);
    if (width == 1) {
        memcpy(out, item, n);
        return (gml_string){out, n};
    }
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t word[4];
        uint32_t code;
        memcpy(word, item + i * 4, 4);
        if (header->is_swapped)
            swap_bytes(word, 1, 4);
        memcpy(&code, word, 4);
        len += put_utf8(code, out + len);
    }
    return (gml_string){out, len};
}

static void read_elements(const npy_header *header, gml_tensor *tensor, const uint8_t *in,
                          size_t count, gml_arena *arena)
{
    if (tensor->dtype == GML_STRING) {
        gml_string *strings = tensor->data;
        for (size_t i = 0; i < count; i++)
            strings[i] = read_string(header, in + i * header->item_size, arena);
        return;
    }
    size_t size = header->item_size;
    uint8_t *out = tensor->data;
    if (count != 0)
        memcpy(out, in, count * size);
    size_t word = header->kind == 'c' ? size / 2 : size;
    if (header->is_swapped)
        swap_bytes(out, count * size / word, word);
    for (size_t i = 0; header->kind == 'b' && i < count; i++)
        out[i] = out[i] != 0;
}

/* Column-major becomes row-major: the last index runs fastest in `out`, the first in `in`. */
static void *transpose(const gml_tensor *tensor, size_t count, size_t size, gml_arena *arena)
{
    const char *in = tensor->data;
    char *out = gml_alloc_elements(arena, count * size);
    size_t strides[GML_MAX_RANK] = {0};
    int64_t index[GML_MAX_RANK] = {0};
    size_t stride = 1;
    for (int i = 0; i < tensor->rank; i++) {
        strides[i] = stride;
        stride *= (size_t)tensor->dims[i];
    }
    size_t at = 0;
    for (size_t n = 0; n < count; n++) {
        memcpy(out + n * size, in + at * size, size);
        for (int i = tensor->rank - 1; i >= 0; i--) {
            at += strides[i];
            if (++index[i] < tensor->dims[i])
                break;
            at -= strides[i] * (size_t)tensor->dims[i];
            index[i] = 0;
        }
    }
    return out;
}

static bool find_header(const uint8_t *in, size_t len, text_span *out_header)
{
    if (len < 10 || memcmp(in, GML_MAGIC, GML_MAGIC_LEN) != 0 || in[6] < 1 || in[6] > 3)
        return false;
    size_t start = in[6] == 1 ? 10 : 12;
    if (len < start)
        return false;
    size_t n = (size_t)in[8] | (size_t)in[9] << 8;
    if (in[6] > 1)
        n |= (size_t)in[10] << 16 | (size_t)in[11] << 24;
    if (n > len - start)
        return false;
    *out_header = (text_span){(const char *)in + start, (const char *)in + start + n};
    return true;
}

gml_status gml_npy_parse(const void *bytes, size_t len, gml_arena *arena,
                         gml_tensor *out_tensor, gml_diags *diags, gml_loc loc)
{
    text_span text;
    npy_header header = {.rank = 0};
    if (!find_header(bytes, len, &text))
        return gml_fail(diags, GML_E_INVALID, loc, "is no .npy file");
    if (!parse_header(text, &header))
        return gml_fail(
            diags, GML_E_INVALID, loc,
            "the header of the .npy file is malformed, or describes records or more "
            "than %d dimensions",
            GML_MAX_RANK);
    gml_tensor tensor = {.dtype = dtype_of(&header), .rank = header.rank};
    memcpy(tensor.dims, header.dims, sizeof tensor.dims);
    if (tensor.dtype == GML_NONE)
        return gml_fail(diags, GML_E_UNSUPPORTED, loc, "elements of kind '%c' with %zu bytes",
                        header.kind >= ' ' && header.kind < 0x7f ? header.kind : '?',
                        header.item_size);
    size_t count;
    size_t size;
    size_t needed;
    size_t given = (size_t)((const char *)bytes + len - text.end);
    if (!gml_count_elements(tensor.dtype, tensor.rank, tensor.dims, &count, &size) ||
        __builtin_mul_overflow(count, header.item_size, &needed))
        return gml_fail(diags, GML_E_INVALID, loc, "the size of the array overflows");
    if (needed != given || (header.item_size == 0 && count > len))
        return gml_fail(diags, GML_E_INVALID, loc,
                        "the array has %zu bytes of elements where its shape needs %zu", given,
                        needed);
    tensor.data = gml_alloc_elements(arena, size);
    read_elements(&header, &tensor, (const uint8_t *)text.end, count, arena);
    if (header.is_fortran && tensor.rank > 1)
        tensor.data = transpose(&tensor, count, gml_dtype_size(tensor.dtype), arena);
    *out_tensor = tensor;
    return GML_OK;
}

gml_status gml_npy_read(const char *path, gml_arena *arena, gml_tensor *out_tensor,
                        gml_diags *diags)
{
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    gml_status status = gml_npy_parse(file.data, file.size, arena, out_tensor, diags, loc);
    gml_file_unmap(&file);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------
 */

/* One character of UTF-8; a byte that begins none is U+FFFD. */
static uint32_t take_utf8(const char **at, const char *end)
{
    const uint8_t *in = (const uint8_t *)*at;
    size_t left = (size_t)(end - *at);
    size_t n = in[0] < 0x80 ? 1 : in[0] >= 0xf0 ? 4 : in[0] >= 0xe0 ? 3 : 2;
    bool is_sound = in[0] < 0x80 || (in[0] >= 0xc2 && in[0] < 0xf5 && n <= left);
    uint32_t code = n == 1 ? in[0] : in[0] & (0x7fu >> n);
    for (size_t i = 1; i < n && is_sound; i++) {
        is_sound = (in[i] & 0xc0) == 0x80;
        code = code << 6 | (in[i] & 0x3f);
    }
    *at += is_sound ? n : 1;
    return is_sound ? code : 0xfffd;
}

static void put_strings(const gml_tensor *tensor, size_t count, size_t width, gml_str *out)
{
    const gml_string *strings = tensor->data;
    for (size_t i = 0; i < count; i++) {
        const char *at = strings[i].data;
        const char *end = at + strings[i].len;
        for (size_t k = 0; k < width; k++) {
            uint32_t code = at < end ? take_utf8(&at, end) : 0;
            gml_str_append(out, &code, sizeof code);
        }
    }
}

/* Characters of the longest string, at least 1. */
static size_t string_width(const gml_tensor *tensor, size_t count)
{
    const gml_string *strings = tensor->data;
    size_t width = 1;
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        const char *at = strings[i].data;
        const char *end = at + strings[i].len;
        while (at < end) {
            (void)take_utf8(&at, end);
            n++;
        }
        width = n > width ? n : width;
    }
    return width;
}

static void put_small_floats(const gml_tensor *tensor, size_t count, gml_str *out)
{
    const char *in = tensor->data;
    size_t size = gml_dtype_size(tensor->dtype);
    for (size_t i = 0; i < count; i++) {
        uint16_t bits = 0;
        memcpy(&bits, in + i * size, size);
        float value = gml_small_to_float(tensor->dtype, bits);
        gml_str_append(out, &value, sizeof value);
    }
}

/* "<f4": what the elements are written as. */
static void describe(const gml_tensor *tensor, size_t width, char out_descr[32])
{
    gml_dtype dtype = tensor->dtype;
    size_t size = gml_dtype_size(dtype);
    gml_dtype_class class = gml_dtype_get_class(dtype);
    static const char kinds[] = {
        [GML_CLASS_NONE] = 'V',     [GML_CLASS_FLOAT] = 'f', [GML_CLASS_SIGNED] = 'i',
        [GML_CLASS_UNSIGNED] = 'u', [GML_CLASS_BOOL] = 'b',  [GML_CLASS_COMPLEX] = 'c',
        [GML_CLASS_STRING] = 'U',
    };
    if (class == GML_CLASS_FLOAT && size < 4 && dtype != GML_F16)
        size = 4;
    if (class == GML_CLASS_STRING)
        size = width;
    gml_str text;
    gml_str_init(&text);
    bool has_order = size > 1 || class == GML_CLASS_STRING;
    gml_str_printf(&text, "%c%c%zu", has_order ? '<' : '|', kinds[class], size);
    memcpy(out_descr, text.text, text.len < 31 ? text.len + 1 : 31);
    out_descr[31] = '\0';
    gml_str_reset(&text);
}

static void put_header(const gml_tensor *tensor, size_t width, gml_str *out)
{
    char descr[32];
    describe(tensor, width, descr);
    gml_str text;
    gml_str_init(&text);
    gml_str_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < tensor->rank; i++)
        gml_str_printf(&text, "%lld%s", (long long)tensor->dims[i],
                       tensor->rank == 1 || i + 1 < tensor->rank ? "," : "");
    gml_str_puts(&text, "), }");
    while ((GML_MAGIC_LEN + 4 + text.len + 1) % 64 !=
           0) /* elements begin at a multiple of 64 */
        gml_str_putc(&text, ' ');
    gml_str_putc(&text, '\n');
    const char fixed[4] = {1, 0, (char)(uint8_t)(text.len & 0xff),
                           (char)(uint8_t)(text.len >> 8)};
    gml_str_append(out, GML_MAGIC, GML_MAGIC_LEN);
    gml_str_append(out, fixed, sizeof fixed);
    gml_str_append(out, text.text, text.len);
    gml_str_reset(&text);
}

gml_status gml_npy_write(const char *path, const gml_tensor *tensor, gml_diags *diags)
{
    gml_str bytes;
    gml_str_init(&bytes);
    gml_npy_format(tensor, &bytes);
    gml_status status = gml_file_write(path, bytes.text, bytes.len, diags);
    gml_str_reset(&bytes);
    return status;
}

void gml_npy_format(const gml_tensor *tensor, gml_str *out)
{
    size_t count = (size_t)gml_tensor_numel(tensor);
    bool is_string = tensor->dtype == GML_STRING;
    size_t width = is_string ? string_width(tensor, count) : 0;
    put_header(tensor, width, out);
    size_t size = gml_dtype_size(tensor->dtype);
    bool is_small = gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT && size < 4 &&
                    tensor->dtype != GML_F16;
    if (is_string)
        put_strings(tensor, count, width, out);
    else if (is_small)
        put_small_floats(tensor, count, out);
    else if (count != 0)
        gml_str_append(out, tensor->data, count * size);
}
