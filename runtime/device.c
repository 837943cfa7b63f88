/* runtime/device.c - what all kinds of devices have in common. */
#include "runtime/device.h"

#include "runtime/device_table.h"

#include <stdlib.h>

struct gml_device_code {
    gml_device *device; /* retained */
    void *module;       /* the kind's */
};

gml_device *gml_device_retain(gml_device *device)
{
    if (device != NULL)
        __atomic_fetch_add(&device->refs, 1, __ATOMIC_RELAXED);
    return device;
}

void gml_device_release(gml_device *device)
{
    if (device != NULL && __atomic_fetch_sub(&device->refs, 1, __ATOMIC_ACQ_REL) == 1)
        device->table->close(device);
}

const char *gml_device_kind_name(const gml_device *device)
{
    return device->kind;
}

const char *gml_device_name(const gml_device *device)
{
    return device->name;
}

int gml_device_architecture(const gml_device *device)
{
    return device->architecture;
}

/* ---- memory -------------------------------------------------------------------------------
 */

void *gml_device_allocate(gml_device *device, size_t bytes)
{
    return device->table->allocate(device, bytes != 0 ? bytes : 1);
}

void gml_device_free(gml_device *device, void *memory)
{
    if (memory != NULL)
        device->table->free(device, memory);
}

gml_status gml_device_put(gml_device *device, void *to, const void *from, size_t bytes,
                          gml_diags *diags)
{
    return bytes != 0 ? device->table->put(device, to, from, bytes, diags) : GML_OK;
}

gml_status gml_device_get(gml_device *device, void *to, const void *from, size_t bytes,
                          gml_diags *diags)
{
    return bytes != 0 ? device->table->get(device, to, from, bytes, diags) : GML_OK;
}

gml_status gml_device_copy(gml_device *device, void *to, const void *from, size_t bytes,
                           gml_diags *diags)
{
    return bytes != 0 ? device->table->copy(device, to, from, bytes, diags) : GML_OK;
}

bool gml_device_keeps_apart(const gml_device *device)
{
    return device->table->keeps_apart != NULL && device->table->keeps_apart(device);
}

/* ---- kernels ------------------------------------------------------------------------------
 */

gml_status gml_device_load(gml_device *device, const void *image, size_t size,
                           gml_device_code **out_code, gml_diags *diags)
{
    *out_code = NULL;
    gml_device_code *code = calloc(1, sizeof *code);
    if (code == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a device's code");
    gml_status status = device->table->load(device, image, size, &code->module, diags);
    if (status != GML_OK) {
        free(code);
        return status;
    }
    code->device = gml_device_retain(device);
    *out_code = code;
    return GML_OK;
}

void gml_device_unload(gml_device_code *code)
{
    if (code == NULL)
        return;
    code->device->table->unload(code->device, code->module);
    gml_device_release(code->device);
    free(code);
}

gml_status gml_device_find(gml_device_code *code, const char *symbol, gml_lane_fn lane,
                           const gml_launch *launch, gml_device_kernel *out_kernel,
                           gml_diags *diags)
{
    if (launch->threads == 0 || launch->threads % 32 != 0 || launch->per_block <= 0)
        return gml_fail(diags, GML_E_INTERNAL, (gml_loc){0},
                        "kernel %s cannot be launched with %u threads for %lld units a block",
                        symbol, launch->threads, (long long)launch->per_block);
    *out_kernel = (gml_device_kernel){.symbol = symbol, .lane = lane, .launch = *launch};
    return code->device->table->find(code->device, code->module, out_kernel, diags);
}

gml_status gml_device_encode(gml_device *device, const gml_map_layout *layout,
                             const void *memory, void *out_map, gml_diags *diags)
{
    if (device->table->encode == NULL)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "the device %s has no bulk copies",
                        device->kind);
    return device->table->encode(device, layout, memory, out_map, diags);
}

gml_status gml_device_launch(gml_device *device, const gml_device_kernel *kernel, int64_t units,
                             void *const *params, gml_diags *diags)
{
    if (units <= 0)
        return GML_OK;
    return device->table->launch(device, kernel, gml_device_blocks(device, kernel, units),
                                 params, diags);
}

gml_status gml_device_wait(gml_device *device, gml_diags *diags)
{
    return device->table->wait(device, diags);
}

gml_status gml_device_clock_start(gml_device *device, gml_diags *diags)
{
    return device->table->clock_start(device, diags);
}

gml_status gml_device_clock_stop(gml_device *device, uint64_t *out_nanoseconds,
                                 gml_diags *diags)
{
    return device->table->clock_stop(device, out_nanoseconds, diags);
}
