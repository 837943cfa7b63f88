#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "runtime/value.h"

#include "runtime/device.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GML_BUFFER_ALIGN 64u
/* From two of them on, a buffer is a mapping of huge pages: weights are read in one run after
 * the other and would miss the TLB all the way, and what is given up is the system's again. */
#define GML_HUGE_PAGE    ((size_t)2 << 20)
#define GML_PAGE         ((size_t)4 << 10)

/* The sanitizer watches what malloc gives. */
#if defined(__SANITIZE_ADDRESS__)
#    define GML_MAPS false
#else
#    define GML_MAPS true
#endif

struct gml_buffer {
    atomic_size_t references;
    void *data;
    size_t size;
    void (*release)(void *context); /* of wrapped memory */
    void *context;
    size_t mapped;      /* bytes of a mapping from here on; 0: memory of malloc */
    gml_device *device; /* that `data` lies on; NULL: it is here */
};

/* Allocations until one fails, for tests; 0: none does. */
static atomic_uint until_failure;

void gml_buffer_fail_at(unsigned n)
{
    atomic_store(&until_failure, n);
}

static bool must_fail(void)
{
    unsigned left = atomic_load(&until_failure);
    while (left != 0) {
        if (atomic_compare_exchange_weak(&until_failure, &left, left - 1))
            return left == 1;
    }
    return false;
}

/* `size` bytes, whole pages, at the beginning of a huge one. What is left over behind the last
 * whole huge page has small ones: rounded up, the matrices of a transformer would take a tenth
 * more. */
static char *map_huge(size_t size)
{
    char *memory = mmap(NULL, size + GML_HUGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t before = (size_t)(-(uintptr_t)memory % GML_HUGE_PAGE);
    if (before != 0)
        (void)munmap(memory, before);
    if (before != GML_HUGE_PAGE)
        (void)munmap(memory + before + size, GML_HUGE_PAGE - before);
    (void)madvise(memory + before, size, MADV_HUGEPAGE); /* a wish: small pages do as well */
    return memory + before;
}

/* The header fills one alignment unit before the data, so that a buffer is one allocation. */
gml_buffer *gml_buffer_create(size_t size, bool zero)
{
    _Static_assert(sizeof(gml_buffer) <= GML_BUFFER_ALIGN, "the header has one unit");
    if (must_fail() || size > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (size + GML_BUFFER_ALIGN - 1) / GML_BUFFER_ALIGN * GML_BUFFER_ALIGN;
    size_t all = GML_BUFFER_ALIGN + rounded;
    size_t mapped = 0;
    if (GML_MAPS && rounded >= 2 * GML_HUGE_PAGE)
        mapped = (all + GML_PAGE - 1) / GML_PAGE * GML_PAGE;
    char *memory = mapped ? map_huge(mapped) : aligned_alloc(GML_BUFFER_ALIGN, all);
    if (memory == NULL)
        return NULL;
    gml_buffer *buffer = (gml_buffer *)(void *)memory;
    *buffer = (gml_buffer){.data = memory + GML_BUFFER_ALIGN, .size = size, .mapped = mapped};
    atomic_init(&buffer->references, 1);
    if (zero && mapped == 0)
        memset(buffer->data, 0, rounded);
    return buffer;
}

gml_buffer *gml_buffer_wrap(void *data, size_t size, void (*release)(void *context),
                            void *context)
{
    gml_buffer *buffer = must_fail() ? NULL : malloc(sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    *buffer = (gml_buffer){.data = data, .size = size, .release = release, .context = context};
    atomic_init(&buffer->references, 1);
    return buffer;
}

gml_buffer *gml_buffer_create_on(gml_device *device, size_t size)
{
    gml_buffer *buffer = must_fail() || size > SIZE_MAX / 2 ? NULL : malloc(sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    *buffer = (gml_buffer){.size = size};
    atomic_init(&buffer->references, 1);
    if (size != 0)
        buffer->data = gml_device_allocate(device, size);
    if (size != 0 && buffer->data == NULL) {
        free(buffer);
        return NULL;
    }
    buffer->device = gml_device_retain(device);
    return buffer;
}

gml_device *gml_buffer_device(const gml_buffer *buffer)
{
    return buffer != NULL ? buffer->device : NULL;
}

gml_buffer *gml_buffer_retain(gml_buffer *buffer)
{
    if (buffer != NULL)
        atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

void gml_buffer_release(gml_buffer *buffer)
{
    if (buffer == NULL ||
        atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) != 1)
        return;
    if (buffer->release != NULL)
        buffer->release(buffer->context);
    if (buffer->device != NULL) {
        gml_device_free(buffer->device, buffer->data);
        gml_device_release(buffer->device);
    }
    if (buffer->mapped != 0)
        (void)munmap(buffer, buffer->mapped);
    else
        free(buffer);
}

void *gml_buffer_data(const gml_buffer *buffer)
{
    return buffer->data;
}

size_t gml_buffer_size(const gml_buffer *buffer)
{
    return buffer->size;
}

bool gml_tensor_bytes(const gml_tensor *tensor, size_t *out_bytes)
{
    size_t bytes = gml_dtype_size(tensor->dtype);
    bool is_empty = false;
    if (tensor->rank < 0 || tensor->rank > GML_MAX_RANK)
        return false;
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0)
            return false;
        is_empty |= tensor->dims[i] == 0;
    }
    for (int i = 0; i < tensor->rank && !is_empty; i++) {
        size_t dim = (size_t)tensor->dims[i];
        if (bytes != 0 && dim > (size_t)INT64_MAX / bytes)
            return false;
        bytes *= dim;
    }
    *out_bytes = is_empty ? 0 : bytes;
    return true;
}

void gml_rvalue_reset(gml_rvalue *value)
{
    for (size_t i = 0; i < value->n_items; i++)
        gml_rvalue_reset(&value->items[i]);
    free(value->items);
    gml_buffer_release(value->buffer);
    *value = (gml_rvalue){0};
}

gml_status gml_rvalue_sequence(gml_rvalue *out_value, size_t n_items)
{
    *out_value = (gml_rvalue){0};
    gml_rvalue *items = NULL;
    if (n_items != 0) {
        items = must_fail() ? NULL : calloc(n_items, sizeof *items);
        if (items == NULL)
            return GML_E_MEMORY;
    }
    *out_value = (gml_rvalue){.kind = GML_RVALUE_SEQUENCE, .items = items, .n_items = n_items};
    return GML_OK;
}

gml_status gml_rvalue_copy(gml_rvalue *out_value, const gml_rvalue *value)
{
    if (value->n_items == 0) {
        *out_value = *value;
        out_value->items = NULL;
        gml_buffer_retain(value->buffer);
        return GML_OK;
    }
    gml_status status = gml_rvalue_sequence(out_value, value->n_items);
    if (status != GML_OK)
        return status;
    out_value->kind = value->kind;
    out_value->is_optional = value->is_optional;
    for (size_t i = 0; i < value->n_items && status == GML_OK; i++)
        status = gml_rvalue_copy(&out_value->items[i], &value->items[i]);
    if (status != GML_OK)
        gml_rvalue_reset(out_value);
    return status;
}

gml_status gml_rvalue_alloc(gml_rvalue *out_value, gml_dtype dtype, int rank,
                            const int64_t *dims)
{
    *out_value = (gml_rvalue){0};
    if (rank < 0 || rank > GML_MAX_RANK)
        return GML_E_SHAPE;
    gml_tensor tensor = {.dtype = dtype, .rank = rank};
    size_t bytes = 0;
    for (int i = 0; i < rank; i++)
        tensor.dims[i] = dims[i];
    if (!gml_tensor_bytes(&tensor, &bytes))
        return GML_E_SHAPE;
    /* Strings start as empty ones, so that a half-filled tensor can be read. */
    gml_buffer *buffer = gml_buffer_create(bytes, dtype == GML_STRING);
    if (buffer == NULL)
        return GML_E_MEMORY;
    tensor.data = gml_buffer_data(buffer);
    *out_value = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = tensor, .buffer = buffer};
    return GML_OK;
}

/* One buffer: the elements, then the bytes of all of them. */
gml_status gml_rvalue_strings(gml_rvalue *out_value, int rank, const int64_t *dims,
                              const gml_string *strings)
{
    *out_value = (gml_rvalue){0};
    gml_tensor tensor = {.dtype = GML_STRING, .rank = rank};
    size_t bytes = 0;
    if (rank < 0 || rank > GML_MAX_RANK)
        return GML_E_SHAPE;
    for (int i = 0; i < rank; i++)
        tensor.dims[i] = dims[i];
    if (!gml_tensor_bytes(&tensor, &bytes))
        return GML_E_SHAPE;
    size_t count = bytes / sizeof(gml_string);
    size_t total = bytes;
    for (size_t i = 0; i < count; i++) {
        if (strings[i].len > SIZE_MAX / 4 - total)
            return GML_E_MEMORY;
        total += strings[i].len;
    }
    gml_buffer *buffer = gml_buffer_create(total, false);
    if (buffer == NULL)
        return GML_E_MEMORY;
    gml_string *elements = gml_buffer_data(buffer);
    char *text = (char *)gml_buffer_data(buffer) + bytes;
    for (size_t i = 0; i < count; i++) {
        if (strings[i].len != 0)
            memcpy(text, strings[i].data, strings[i].len);
        elements[i] = (gml_string){.data = text, .len = strings[i].len};
        text += strings[i].len;
    }
    tensor.data = elements;
    *out_value = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = tensor, .buffer = buffer};
    return GML_OK;
}

static gml_status fetch_tensor(gml_rvalue *value, gml_diags *diags)
{
    gml_rvalue copy;
    size_t bytes = 0;
    const gml_tensor *tensor = &value->tensor;
    gml_device *device = gml_buffer_device(value->buffer);
    gml_status status = gml_rvalue_alloc(&copy, tensor->dtype, tensor->rank, tensor->dims);
    if (status != GML_OK)
        return gml_fail(diags, status, (gml_loc){0}, "no memory for a copy of a value");
    (void)gml_tensor_bytes(tensor, &bytes);
    status = gml_device_get(device, copy.tensor.data, tensor->data, bytes, diags);
    if (status != GML_OK) {
        gml_rvalue_reset(&copy);
        return status;
    }
    gml_buffer_release(value->buffer);
    value->tensor = copy.tensor;
    value->buffer = copy.buffer;
    return GML_OK;
}

gml_status gml_rvalue_to_host(gml_rvalue *value, gml_diags *diags)
{
    for (size_t i = 0; i < value->n_items; i++)
        GML_TRY(gml_rvalue_to_host(&value->items[i], diags));
    if (value->kind == GML_RVALUE_TENSOR && gml_buffer_device(value->buffer) != NULL)
        return fetch_tensor(value, diags);
    return GML_OK;
}
