/* runtime/device_open.c - devices by name.
 *
 * A device that was opened once stays open and is handed out again: everybody who says "cuda"
 * means the same memory, and a context takes a third of a second to make. */
#include "runtime/device_table.h"

#include <pthread.h>
#include <string.h>

#define GML_MOST_DEVICES 64

static const struct {
    const char *name;
    gml_status (*open)(int number, gml_device **out_device, gml_diags *diags);
} kinds[] = {
    {"cuda", gml_device_open_cuda},
    {"emu", gml_device_open_emu},
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static gml_device *opened[GML_MOST_DEVICES];              /* each with a reference */
static size_t n_opened;

static gml_device *find_opened(const char *kind, int number)
{
    for (size_t i = 0; i < n_opened; i++)
        if (opened[i]->number == number && strcmp(opened[i]->kind, kind) == 0)
            return opened[i];
    return NULL;
}

static gml_status open_new(const char *kind, int number, gml_device **out_device,
                           gml_diags *diags)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, kind) != 0)
            continue;
        GML_TRY(kinds[i].open(number, out_device, diags));
        if (n_opened < GML_MOST_DEVICES)
            opened[n_opened++] = gml_device_retain(*out_device);
        return GML_OK;
    }
    return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "there is no kind of device called '%s'",
                    kind);
}

gml_status gml_device_open(const char *kind, int number, gml_device **out_device,
                           gml_diags *diags)
{
    gml_status status = GML_OK;
    *out_device = NULL;
    pthread_mutex_lock(&mutex);
    gml_device *device = find_opened(kind, number);
    if (device != NULL)
        *out_device = gml_device_retain(device);
    else
        status = open_new(kind, number, out_device, diags);
    pthread_mutex_unlock(&mutex);
    return status;
}
