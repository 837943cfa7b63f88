/* scripts/gpu/deviceprop.c - cuDNN's description of the device, as JSON: with it plans are
 * built and checked on machines without one. */
#include "report.h"

#include <cudnn.h>

static void check(report *r, const char *what, cudnnStatus_t status)
{
    if (status != CUDNN_STATUS_SUCCESS)
        report_fail(r, what, cudnnGetErrorString(status));
}

int main(int argc, char **argv)
{
    report r;
    report_begin(&r, "deviceprop", argc, argv);
    cudnnBackendDescriptor_t device;
    int32_t number = 0;
    check(&r, "create",
          cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device));
    check(&r, "device",
          cudnnBackendSetAttribute(device, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1,
                                   &number));
    check(&r, "finalize", cudnnBackendFinalize(device));
    int64_t size = 0;
    check(&r, "size",
          cudnnBackendGetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                   CUDNN_TYPE_CHAR, 0, &size, NULL));
    char *text = calloc((size_t)size + 1, 1);
    if (!text)
        abort();
    check(&r, "text",
          cudnnBackendGetAttribute(device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                   CUDNN_TYPE_CHAR, size, &size, text));
    report_add(&r, REPORT_RESULTS,
               "{\"name\": \"cuDNN\", \"version\": %zu, \"properties\": %s}", cudnnGetVersion(),
               text);
    free(text);
    cudnnBackendDestroyDescriptor(device);
    return 0;
}
