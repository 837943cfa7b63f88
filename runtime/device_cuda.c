/* runtime/device_cuda.c - the device "cuda": NVIDIA's driver, by functions looked up when it is
 * first asked for.
 *
 * A device has one stream, on which everything happens in order. Whatever issues makes the
 * context current first, since the caller may be another thread than before. A kernel's fault
 * comes out at a later call, and no call works after it: the diagnostic says what the driver
 * says. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */

#include "runtime/device_cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of cuda.h. */
enum {
    CU_OUT_OF_MEMORY = 2,
    CU_MAJOR = 75, /* attributes of devices */
    CU_MINOR = 76,
    CU_NON_BLOCKING = 1,        /* a stream does not wait for the default one */
    CU_DYNAMIC_SHARED_SIZE = 8, /* attribute of functions */
    CU_JIT_ERROR_LOG = 5,
    CU_JIT_ERROR_LOG_SIZE = 6,
};

#define GML_MOST_BLOCKS   INT32_MAX   /* of a grid's first dimension */
#define GML_SHARED_LIMIT  (48u << 10) /* more has to be asked for */
#define GML_JIT_LOG       8192
#define GML_OLDEST_DRIVER 11000 /* 11.0 */

/* ---- the driver ---------------------------------------------------------------------------
 */

gml_cu_driver gml_cu;
static bool is_loaded; /* under the lock of gml_device_open */

static const char *const symbols[] = {
#define X(name, symbol, params) #symbol,
#include "runtime/cuda.def"
#undef X
};

static gml_status no_driver(const char *why, gml_diags *diags)
{
    gml_status status =
        gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "there is no CUDA driver here: %s", why);
    gml_note(diags, "NVIDIA's driver brings libcuda.so.1; the device cpu needs none");
    return status;
}

static gml_status find_functions(void *library, gml_diags *diags)
{
    /* ISO C has no way from an object's pointer to a function's but its bytes. */
    void *found[sizeof symbols / sizeof *symbols];
    _Static_assert(offsetof(gml_cu_driver, version) == sizeof found,
                   "the functions come first");
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        found[i] = dlsym(library, symbols[i]);
        if (found[i] == NULL)
            return gml_fail(diags, GML_E_DEVICE, (gml_loc){0},
                            "the CUDA driver is too old: it has no %s", symbols[i]);
    }
    memcpy(&gml_cu, found, sizeof found);
    void *encode = dlsym(library, "cuTensorMapEncodeTiled");
    memcpy(&gml_cu.map_encode, &encode, sizeof encode);
    return GML_OK;
}

gml_status gml_cu_check(int result, const char *what, gml_diags *diags)
{
    const char *text = NULL;
    const char *name = NULL;
    if (result == 0)
        return GML_OK;
    (void)gml_cu.error_text(result, &text);
    (void)gml_cu.error_name(result, &name);
    return gml_fail(diags, result == CU_OUT_OF_MEMORY ? GML_E_MEMORY : GML_E_DEVICE,
                    (gml_loc){0}, "CUDA: %s: %s (%s)", what,
                    text != NULL ? text : "an unknown error", name != NULL ? name : "?");
}

static gml_status load_driver(gml_diags *diags)
{
    if (is_loaded)
        return GML_OK;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return no_driver(dlerror(), diags);
    gml_status status = find_functions(library, diags);
    if (status == GML_OK)
        status = gml_cu_check(gml_cu.init(0), "starting the driver", diags);
    if (status == GML_OK)
        status = gml_cu_check(gml_cu.driver_version(&gml_cu.version), "asking for its version",
                              diags);
    if (status == GML_OK && gml_cu.version < GML_OLDEST_DRIVER)
        status =
            gml_fail(diags, GML_E_DEVICE, (gml_loc){0},
                     "the CUDA driver is too old: it is for CUDA %d.%d, and %d.%d is needed",
                     gml_cu.version / 1000, gml_cu.version % 1000 / 10,
                     GML_OLDEST_DRIVER / 1000, GML_OLDEST_DRIVER % 1000 / 10);
    is_loaded = status == GML_OK; /* the library stays: its threads may be at work */
    return status;
}

/* ---- life ---------------------------------------------------------------------------------
 */

gml_status gml_cuda_enter(gml_device *device, gml_diags *diags)
{
    return gml_cu_check(gml_cu.context_set(gml_cuda_of(device)->context),
                        "entering the context", diags);
}

static void close_cuda(gml_device *device)
{
    gml_cuda *c = gml_cuda_of(device);
    if (c->context != NULL && gml_cu.context_set(c->context) == 0) {
        if (c->start != NULL)
            (void)gml_cu.event_destroy(c->start);
        if (c->stop != NULL)
            (void)gml_cu.event_destroy(c->stop);
        if (c->stream != NULL)
            (void)gml_cu.stream_destroy(c->stream);
    }
    if (c->context != NULL)
        (void)gml_cu.context_release(c->handle);
    free(c);
}

/* ---- memory -------------------------------------------------------------------------------
 */

static gml_cu_address address_of(const void *memory)
{
    return (gml_cu_address)(uintptr_t)memory;
}

static void *allocate(gml_device *device, size_t bytes)
{
    gml_cu_address address = 0;
    if (gml_cu.context_set(gml_cuda_of(device)->context) != 0 ||
        gml_cu.memory_allocate(&address, bytes) != 0)
        return NULL;
    return (void *)(uintptr_t)address;
}

static void give_back(gml_device *device, void *memory)
{
    if (gml_cu.context_set(gml_cuda_of(device)->context) == 0)
        (void)gml_cu.memory_free(address_of(memory));
}

/* The driver may read `from` until the copy is done. */
static gml_status put(gml_device *device, void *to, const void *from, size_t bytes,
                      gml_diags *diags)
{
    void *stream = gml_cuda_of(device)->stream;
    GML_TRY(gml_cuda_enter(device, diags));
    GML_TRY(gml_cu_check(gml_cu.memory_put(address_of(to), from, bytes, stream),
                         "copying to the device", diags));
    return gml_cu_check(gml_cu.stream_wait(stream), "copying to the device", diags);
}

static gml_status get(gml_device *device, void *to, const void *from, size_t bytes,
                      gml_diags *diags)
{
    void *stream = gml_cuda_of(device)->stream;
    GML_TRY(gml_cuda_enter(device, diags));
    GML_TRY(gml_cu_check(gml_cu.memory_get(to, address_of(from), bytes, stream),
                         "copying from the device", diags));
    return gml_cu_check(gml_cu.stream_wait(stream), "copying from the device", diags);
}

static gml_status copy(gml_device *device, void *to, const void *from, size_t bytes,
                       gml_diags *diags)
{
    GML_TRY(gml_cuda_enter(device, diags));
    return gml_cu_check(gml_cu.memory_copy(address_of(to), address_of(from), bytes,
                                           gml_cuda_of(device)->stream),
                        "copying on the device", diags);
}

/* ---- code ---------------------------------------------------------------------------------
 */

/* The log's lines become notes. */
static void note_lines(char *log, gml_diags *diags)
{
    char *rest = NULL;
    for (char *line = strtok_r(log, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        gml_note(diags, "%s", line);
}

static gml_status load(gml_device *device, const void *image, size_t size, void **out_module,
                       gml_diags *diags)
{
    char *log = calloc(1, GML_JIT_LOG);
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_SIZE};
    void *values[] = {log, (void *)(uintptr_t)(GML_JIT_LOG - 1)};
    (void)size; /* an image knows where it ends; of a cubin, nothing is compiled nor logged */
    if (log == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a device's code");
    gml_status status = gml_cuda_enter(device, diags);
    if (status == GML_OK) {
        status = gml_cu_check(gml_cu.module_load(out_module, image, 2, options, values),
                              "loading the kernels", diags);
        if (status != GML_OK) {
            note_lines(log, diags);
            gml_note(diags, "the driver is for CUDA %d.%d, the device is sm_%d",
                     gml_cu.version / 1000, gml_cu.version % 1000 / 10, device->architecture);
        }
    }
    free(log);
    return status;
}

static void unload(gml_device *device, void *module)
{
    if (gml_cu.context_set(gml_cuda_of(device)->context) == 0)
        (void)gml_cu.module_unload(module);
}

static gml_status find(gml_device *device, void *module, gml_device_kernel *kernel,
                       gml_diags *diags)
{
    uint32_t shared = kernel->launch.shared;
    GML_TRY(gml_cuda_enter(device, diags));
    gml_status status =
        gml_cu_check(gml_cu.module_find(&kernel->function, module, kernel->symbol),
                     "finding a kernel", diags);
    if (status == GML_OK && shared > GML_SHARED_LIMIT)
        status = gml_cu_check(
            gml_cu.function_set(kernel->function, CU_DYNAMIC_SHARED_SIZE, (int)shared),
            "reserving shared memory", diags);
    if (status != GML_OK)
        gml_note(diags, "kernel %s, with %u bytes of shared memory", kernel->symbol, shared);
    return status;
}

void **gml_cu_unconst(void *const *params)
{
    union {
        void *const *from;
        void **to;
    } u = {params};
    return u.to;
}

static gml_status launch(gml_device *device, const gml_device_kernel *kernel, uint32_t blocks,
                         void *const *params, gml_diags *diags)
{
    const gml_launch *l = &kernel->launch;
    GML_TRY(gml_cuda_enter(device, diags));
    gml_status status =
        gml_cu_check(gml_cu.launch(kernel->function, blocks, 1, 1, l->threads, 1, 1, l->shared,
                                   gml_cuda_of(device)->stream, gml_cu_unconst(params), NULL),
                     "launching a kernel", diags);
    if (status != GML_OK)
        gml_note(diags, "kernel %s, %u blocks of %u threads with %u bytes of shared memory",
                 kernel->symbol, blocks, l->threads, l->shared);
    return status;
}

static gml_status wait_for_all(gml_device *device, gml_diags *diags)
{
    GML_TRY(gml_cuda_enter(device, diags));
    return gml_cu_check(gml_cu.stream_wait(gml_cuda_of(device)->stream), "running the kernels",
                        diags);
}

static gml_status clock_start(gml_device *device, gml_diags *diags)
{
    gml_cuda *c = gml_cuda_of(device);
    GML_TRY(gml_cuda_enter(device, diags));
    return gml_cu_check(gml_cu.event_record(c->start, c->stream), "starting the clock", diags);
}

static gml_status clock_stop(gml_device *device, uint64_t *out_nanoseconds, gml_diags *diags)
{
    gml_cuda *c = gml_cuda_of(device);
    float milliseconds = 0;
    GML_TRY(gml_cuda_enter(device, diags));
    GML_TRY(gml_cu_check(gml_cu.event_record(c->stop, c->stream), "stopping the clock", diags));
    GML_TRY(gml_cu_check(gml_cu.event_wait(c->stop), "running the kernels", diags));
    GML_TRY(gml_cu_check(gml_cu.event_elapsed(&milliseconds, c->start, c->stop),
                         "reading the clock", diags));
    *out_nanoseconds = (uint64_t)((double)milliseconds * 1e6);
    return GML_OK;
}

/* ---- opening ------------------------------------------------------------------------------
 */

static const gml_device_table table = {
    .close = close_cuda,
    .allocate = allocate,
    .free = give_back,
    .put = put,
    .get = get,
    .copy = copy,
    .load = load,
    .unload = unload,
    .find = find,
    .encode = gml_cuda_encode,
    .launch = launch,
    .wait = wait_for_all,
    .clock_start = clock_start,
    .clock_stop = clock_stop,
    .graph_make = gml_cuda_graph_make,
    .graph_issue = gml_cuda_graph_issue,
    .graph_free = gml_cuda_graph_free,
};

static gml_status find_device(int number, int *out_handle, gml_diags *diags)
{
    int count = 0;
    GML_TRY(gml_cu_check(gml_cu.device_count(&count), "counting devices", diags));
    if (number < 0 || number >= count)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0},
                        "there is no device cuda:%d: the driver has %d", number, count);
    return gml_cu_check(gml_cu.device_get(out_handle, number), "finding the device", diags);
}

static gml_status set_up(gml_cuda *c, gml_diags *diags)
{
    int major = 0;
    int minor = 0;
    GML_TRY(gml_cu_check(gml_cu.device_name(c->name, (int)sizeof c->name, c->handle),
                         "asking for a name", diags));
    GML_TRY(gml_cu_check(gml_cu.device_attribute(&major, CU_MAJOR, c->handle),
                         "asking for an architecture", diags));
    GML_TRY(gml_cu_check(gml_cu.device_attribute(&minor, CU_MINOR, c->handle),
                         "asking for an architecture", diags));
    c->device.name = c->name;
    c->device.architecture = 10 * major + minor;
    GML_TRY(
        gml_cu_check(gml_cu.context_retain(&c->context, c->handle), "making a context", diags));
    GML_TRY(gml_cuda_enter(&c->device, diags));
    GML_TRY(gml_cu_check(gml_cu.stream_create(&c->stream, CU_NON_BLOCKING), "making a stream",
                         diags));
    GML_TRY(gml_cu_check(gml_cu.event_create(&c->start, 0), "making an event", diags));
    return gml_cu_check(gml_cu.event_create(&c->stop, 0), "making an event", diags);
}

gml_status gml_device_open_cuda(int number, gml_device **out_device, gml_diags *diags)
{
    int handle = 0;
    GML_TRY(load_driver(diags));
    GML_TRY(find_device(number, &handle, diags));
    gml_cuda *c = calloc(1, sizeof *c);
    if (c == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a device");
    c->handle = handle;
    c->device = (gml_device){.table = &table,
                             .kind = "cuda",
                             .number = number,
                             .most_blocks = GML_MOST_BLOCKS,
                             .refs = 1};
    gml_status status = set_up(c, diags);
    if (status != GML_OK)
        close_cuda(&c->device);
    else
        *out_device = &c->device;
    return status;
}
