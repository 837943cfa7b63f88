/* runtime/device_emu.c - the device "emu": the emulator's memory and its launches. */
#define _POSIX_C_SOURCE 200809L

#include "runtime/device_table.h"
#include "runtime/emu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of a CUDA grid's first dimension. */
#define GML_MOST_BLOCKS INT32_MAX

/* The emulator's list of memory is one thread's at a time, and a launch reads it. */
typedef struct emu {
    gml_device device;
    pthread_mutex_t mutex;
    uint64_t start; /* of the clock */
} emu;

static emu *emu_of(gml_device *device)
{
    return (emu *)(void *)device; /* it is the first member */
}

static void close_emu(gml_device *device)
{
    pthread_mutex_destroy(&emu_of(device)->mutex);
    free(emu_of(device));
}

static void *allocate(gml_device *device, size_t bytes)
{
    pthread_mutex_lock(&emu_of(device)->mutex);
    void *memory = gml_emu_allocate(bytes);
    pthread_mutex_unlock(&emu_of(device)->mutex);
    return memory;
}

static void give_back(gml_device *device, void *memory)
{
    pthread_mutex_lock(&emu_of(device)->mutex);
    gml_emu_free(memory);
    pthread_mutex_unlock(&emu_of(device)->mutex);
}

static gml_status move(gml_device *device, void *to, const void *from, size_t bytes,
                       gml_diags *diags)
{
    (void)device;
    (void)diags;
    memcpy(to, from, bytes);
    return GML_OK;
}

static gml_status load(gml_device *device, const void *image, size_t size, void **out_module,
                       gml_diags *diags)
{
    (void)device;
    (void)size;
    *out_module = NULL;
    if (image != NULL)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "the emulator loads no images");
    return GML_OK;
}

static void unload(gml_device *device, void *module)
{
    (void)device;
    (void)module;
}

static gml_status find(gml_device *device, void *module, gml_device_kernel *kernel,
                       gml_diags *diags)
{
    (void)device;
    (void)module;
    if (kernel->lane == NULL)
        return gml_fail(diags, GML_E_INTERNAL, (gml_loc){0}, "generated code is missing: %s",
                        kernel->symbol);
    return GML_OK;
}

static gml_status encode(gml_device *device, const gml_map_layout *layout, const void *memory,
                         void *out_map, gml_diags *diags)
{
    (void)device;
    const char *wrong = gml_emu_encode(layout, memory, out_map);
    if (wrong == NULL)
        return GML_OK;
    return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "a tensor map of %s", wrong);
}

static gml_status launch(gml_device *device, const gml_device_kernel *kernel, uint32_t blocks,
                         void *const *params, gml_diags *diags)
{
    pthread_mutex_lock(&emu_of(device)->mutex);
    gml_status status =
        gml_emu_launch(kernel->symbol, kernel->lane, &kernel->launch, blocks, params, diags);
    pthread_mutex_unlock(&emu_of(device)->mutex);
    return status;
}

static gml_status wait_for_all(gml_device *device, gml_diags *diags)
{
    (void)device;
    (void)diags;
    return GML_OK; /* a launch returns when it is done */
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static gml_status clock_start(gml_device *device, gml_diags *diags)
{
    (void)diags;
    emu_of(device)->start = now_ns();
    return GML_OK;
}

static gml_status clock_stop(gml_device *device, uint64_t *out_nanoseconds, gml_diags *diags)
{
    (void)diags;
    *out_nanoseconds = now_ns() - emu_of(device)->start;
    return GML_OK;
}

static bool keeps_apart(const gml_device *device)
{
    (void)device;
    return gml_emu_keeps_apart();
}

static const gml_device_table table = {
    .close = close_emu,
    .allocate = allocate,
    .free = give_back,
    .put = move,
    .get = move,
    .copy = move,
    .load = load,
    .unload = unload,
    .find = find,
    .encode = encode,
    .launch = launch,
    .wait = wait_for_all,
    .clock_start = clock_start,
    .clock_stop = clock_stop,
    .keeps_apart = keeps_apart,
    .graph_make = gml_emu_graph_make,
    .graph_issue = gml_emu_graph_issue,
    .graph_free = gml_emu_graph_free,
};

gml_status gml_device_open_emu(int number, gml_device **out_device, gml_diags *diags)
{
    if (number != 0)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0},
                        "there is no device emu:%d, only emu", number);
    emu *e = calloc(1, sizeof *e);
    if (e == NULL || pthread_mutex_init(&e->mutex, NULL) != 0) {
        free(e);
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a device");
    }
    e->device = (gml_device){.table = &table,
                             .kind = "emu",
                             .name = "the emulator",
                             .architecture = gml_emu_architecture(),
                             .most_blocks = GML_MOST_BLOCKS,
                             .refs = 1};
    *out_device = &e->device;
    return GML_OK;
}
