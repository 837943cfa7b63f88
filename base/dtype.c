#include "gemel/types.h"

#include <string.h>

typedef struct gml_status_row {
    const char *text;
    int exit_status;
} gml_status_row;

static const gml_status_row status_rows[] = {
#define X(code, exit_status, text) [GML_##code] = {text, exit_status},
    GML_STATUS_MAP(X)
#undef X
};

typedef struct gml_dtype_row {
    const char *name;
    unsigned bits;
    unsigned bytes;
    gml_dtype_class class;
} gml_dtype_row;

static const gml_dtype_row dtype_rows[GML_DTYPE_COUNT] = {
#define X(name, number, text, bits, bytes, class)                                              \
    [number] = {text, bits, bytes, GML_CLASS_##class},
    GML_DTYPE_MAP(X)
#undef X
};

/* A number outside the table, as a file may hold one, is an internal error. */
static const gml_status_row *status_row(gml_status status)
{
    size_t number = (size_t)status;
    size_t n_rows = sizeof(status_rows) / sizeof(status_rows[0]);
    return &status_rows[number < n_rows ? number : (size_t)GML_E_INTERNAL];
}

const char *gml_status_text(gml_status status)
{
    return status_row(status)->text;
}

int gml_status_exit(gml_status status)
{
    return status_row(status)->exit_status;
}

static const gml_dtype_row *dtype_row(gml_dtype dtype)
{
    size_t number = (size_t)dtype;
    return &dtype_rows[number < GML_DTYPE_COUNT ? number : (size_t)GML_NONE];
}

const char *gml_dtype_name(gml_dtype dtype)
{
    return dtype_row(dtype)->name;
}

size_t gml_dtype_size(gml_dtype dtype)
{
    return dtype_row(dtype)->bytes;
}

unsigned gml_dtype_bits(gml_dtype dtype)
{
    return dtype_row(dtype)->bits;
}

gml_dtype_class gml_dtype_get_class(gml_dtype dtype)
{
    return dtype_row(dtype)->class;
}

gml_dtype gml_dtype_find(const char *text, size_t len)
{
    for (size_t number = 0; number < GML_DTYPE_COUNT; number++) {
        const char *name = dtype_rows[number].name;
        if (strlen(name) == len && memcmp(name, text, len) == 0)
            return (gml_dtype)number;
    }
    return GML_NONE;
}

int64_t gml_tensor_numel(const gml_tensor *tensor)
{
    int64_t count = 1;
    bool overflows = false;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t dim = tensor->dims[i];
        if (dim <= 0)
            return 0; /* whatever the other dimensions are */
        overflows = overflows || count > INT64_MAX / dim;
        count = overflows ? INT64_MAX : count * dim;
    }
    return count;
}
