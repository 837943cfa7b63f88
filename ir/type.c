#include "ir/type.h"

#include "base/quote.h"

#include <string.h>

#define GML_MAX_NESTING 32 /* of sequences, optionals and maps in a type that is parsed */

#define GML_MAX_BYTES (INT64_C(1) << 46)

gml_type gml_type_tensor(gml_arena *arena, gml_dtype dtype, int rank, const gml_dim *dims)
{
    gml_type type = {.kind = GML_TYPE_TENSOR, .dtype = dtype, .rank = rank};
    if (rank > 0)
        type.dims = gml_arena_copy(arena, dims, (size_t)rank * sizeof(gml_dim));
    return type;
}

gml_type gml_type_scalar(gml_dtype dtype)
{
    return (gml_type){.kind = GML_TYPE_TENSOR, .dtype = dtype, .rank = 0};
}

gml_type gml_type_unranked(gml_dtype dtype)
{
    return (gml_type){.kind = GML_TYPE_TENSOR, .dtype = dtype, .rank = GML_RANK_UNKNOWN};
}

static gml_type wrap(gml_arena *arena, gml_type_kind kind, gml_dtype dtype, gml_type element)
{
    gml_type *copy = gml_arena_copy(arena, &element, sizeof(element));
    return (gml_type){.kind = kind, .dtype = dtype, .element = copy};
}

gml_type gml_type_sequence(gml_arena *arena, gml_type element)
{
    return wrap(arena, GML_TYPE_SEQUENCE, GML_NONE, element);
}

gml_type gml_type_optional(gml_arena *arena, gml_type element)
{
    return wrap(arena, GML_TYPE_OPTIONAL, GML_NONE, element);
}

gml_type gml_type_map(gml_arena *arena, gml_dtype key, gml_type element)
{
    return wrap(arena, GML_TYPE_MAP, key, element);
}

/* Compares what the kinds have in common; a tensor's dimensions are left to the caller. */
typedef bool compare_dims_fn(const gml_type *a, const gml_type *b);

static bool compare(const gml_type *a, const gml_type *b, compare_dims_fn *compare_dims)
{
    for (;; a = a->element, b = b->element) {
        if (a->kind != b->kind)
            return false;
        switch (a->kind) {
        case GML_TYPE_UNKNOWN: return true;
        case GML_TYPE_TENSOR: return a->dtype == b->dtype && compare_dims(a, b);
        case GML_TYPE_MAP:
            if (a->dtype != b->dtype)
                return false;
            break;
        case GML_TYPE_SEQUENCE:
        case GML_TYPE_OPTIONAL: break;
        }
        if (a->element == NULL || b->element == NULL)
            return a->element == b->element;
    }
}

static bool same_dims(const gml_type *a, const gml_type *b)
{
    return a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(gml_dim)) == 0);
}

bool gml_type_equal(const gml_type *a, const gml_type *b)
{
    return compare(a, b, same_dims);
}

static bool dims_accept(const gml_type *declared, const gml_type *actual)
{
    if (declared->rank == GML_RANK_UNKNOWN)
        return true;
    if (declared->rank != actual->rank)
        return false;
    for (int i = 0; i < declared->rank; i++) {
        if (gml_dim_is_const(declared->dims[i]) && declared->dims[i] != actual->dims[i])
            return false;
    }
    return true;
}

bool gml_type_accepts(const gml_type *declared, const gml_type *actual)
{
    return compare(declared, actual, dims_accept);
}

bool gml_type_is_static(const gml_type *type)
{
    if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN)
        return false;
    for (int i = 0; i < type->rank; i++) {
        if (!gml_dim_is_const(type->dims[i]))
            return false;
    }
    return true;
}

gml_dim gml_type_numel(gml_dim_pool *pool, const gml_type *type)
{
    gml_dim count = 1;
    for (int i = 0; i < type->rank; i++) {
        if (type->dims[i] == 0)
            return 0; /* also where the product of the others has no exact form */
    }
    for (int i = 0; i < type->rank; i++)
        count = gml_dim_mul(pool, count, type->dims[i]);
    return count;
}

static gml_status check_tensor(const gml_type *type, gml_diags *diags, gml_loc loc)
{
    if (type->rank < GML_RANK_UNKNOWN || type->rank > GML_MAX_RANK)
        return gml_fail(diags, GML_E_SHAPE, loc, "rank %d is outside 0 to %d", type->rank,
                        GML_MAX_RANK);
    /* Symbols count as 1: what is known to be too large is refused, the rest when they are
     * bound. */
    int64_t bytes = (int64_t)gml_dtype_size(type->dtype);
    bool is_empty = false;
    bool overflows = false;
    for (int i = 0; i < type->rank; i++) {
        gml_dim dim = type->dims[i];
        if (!gml_dim_is_const(dim))
            continue;
        if (dim < 0)
            return gml_fail(diags, GML_E_SHAPE, loc, "dimension %d is negative: %lld", i,
                            (long long)dim);
        is_empty = is_empty || dim == 0;
        overflows = overflows || (dim > 0 && __builtin_mul_overflow(bytes, dim, &bytes));
    }
    if (!is_empty && (overflows || bytes > GML_MAX_BYTES))
        return gml_fail(diags, GML_E_SHAPE, loc, "a tensor of more than 2^46 bytes");
    return GML_OK;
}

gml_status gml_type_check(const gml_type *type, gml_diags *diags, gml_loc loc)
{
    while (type->kind != GML_TYPE_TENSOR && type->element != NULL)
        type = type->element;
    return type->kind == GML_TYPE_TENSOR ? check_tensor(type, diags, loc) : GML_OK;
}

static void print_dims(const gml_dim_pool *pool, const gml_type *type, gml_str *out)
{
    if (type->rank == GML_RANK_UNKNOWN) {
        gml_str_puts(out, "[*]");
        return;
    }
    gml_str_putc(out, '[');
    for (int i = 0; i < type->rank; i++) {
        if (i != 0)
            gml_str_putc(out, ',');
        gml_dim_print(pool, type->dims[i], out);
    }
    gml_str_putc(out, ']');
}

void gml_type_print(const gml_dim_pool *pool, const gml_type *type, gml_str *out)
{
    size_t n_open = 0;
    for (; type != NULL; type = type->element) {
        switch (type->kind) {
        case GML_TYPE_UNKNOWN: gml_str_putc(out, '?'); break;
        case GML_TYPE_TENSOR:
            gml_str_puts(out, gml_dtype_name(type->dtype));
            print_dims(pool, type, out);
            break;
        case GML_TYPE_SEQUENCE: gml_str_puts(out, "seq("); break;
        case GML_TYPE_OPTIONAL: gml_str_puts(out, "opt("); break;
        case GML_TYPE_MAP: gml_str_printf(out, "map(%s,", gml_dtype_name(type->dtype)); break;
        }
        if (type->kind == GML_TYPE_UNKNOWN || type->kind == GML_TYPE_TENSOR)
            break;
        n_open++;
    }
    if (type == NULL)
        gml_str_putc(out, '?'); /* of an unknown element */
    for (; n_open > 0; n_open--)
        gml_str_putc(out, ')');
}

static void skip_blanks(const char **text)
{
    while (**text == ' ' || **text == '\t')
        (*text)++;
}

static bool accept(const char **text, char byte)
{
    skip_blanks(text);
    if (**text != byte)
        return false;
    (*text)++;
    return true;
}

/* The part of a tensor type from its bracket on. */
static bool parse_dims(gml_dim_pool *pool, gml_arena *arena, const char **text, gml_type *out)
{
    gml_dim dims[GML_MAX_RANK];
    int rank = 0;
    if (!accept(text, '['))
        return false;
    if (accept(text, '*')) {
        *out = gml_type_unranked(out->dtype);
        return accept(text, ']');
    }
    while (!accept(text, ']')) {
        if (rank == GML_MAX_RANK || (rank != 0 && !accept(text, ',')) ||
            !gml_dim_parse(pool, text, &dims[rank]))
            return false;
        rank++;
    }
    *out = gml_type_tensor(arena, out->dtype, rank, dims);
    return true;
}

/* What stands around the innermost type, outermost first. */
typedef struct wrapper {
    gml_type_kind kind;
    gml_dtype key;
} wrapper;

/* Reads "seq(", "opt(" or "map(KEY,"; false, with nothing read, when none of them is there. */
static bool parse_wrapper(const char **text, wrapper *out)
{
    const char *at = *text;
    *out = (wrapper){.kind = GML_TYPE_UNKNOWN};
    if (strncmp(at, "seq(", 4) == 0)
        out->kind = GML_TYPE_SEQUENCE;
    else if (strncmp(at, "opt(", 4) == 0)
        out->kind = GML_TYPE_OPTIONAL;
    else if (strncmp(at, "map(", 4) != 0)
        return false;
    at += 4;
    if (out->kind == GML_TYPE_UNKNOWN) {
        skip_blanks(&at);
        size_t len = gml_plain_name_len(at);
        out->kind = GML_TYPE_MAP;
        out->key = gml_dtype_find(at, len);
        at += len;
        if (out->key == GML_NONE || !accept(&at, ','))
            return false;
    }
    *text = at;
    return true;
}

bool gml_type_parse(gml_dim_pool *pool, gml_arena *arena, const char **text, gml_type *out_type)
{
    wrapper wrappers[GML_MAX_NESTING];
    size_t n_wrappers = 0;
    skip_blanks(text);
    while (n_wrappers < GML_MAX_NESTING && parse_wrapper(text, &wrappers[n_wrappers])) {
        n_wrappers++;
        skip_blanks(text);
    }
    gml_type type = {.kind = GML_TYPE_UNKNOWN};
    if (!accept(text, '?')) {
        size_t len = gml_plain_name_len(*text);
        type.dtype = gml_dtype_find(*text, len);
        if (type.dtype == GML_NONE)
            return false;
        *text += len;
        if (!parse_dims(pool, arena, text, &type))
            return false;
    }
    for (; n_wrappers > 0; n_wrappers--) {
        const wrapper *outer = &wrappers[n_wrappers - 1];
        if (!accept(text, ')'))
            return false;
        type = wrap(arena, outer->kind, outer->key, type);
    }
    *out_type = type;
    return true;
}
