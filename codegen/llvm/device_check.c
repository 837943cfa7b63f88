/* codegen/llvm/device_check.c - what the emulator asks before every access of a kernel. */
#include "codegen/llvm/device.h"

void gml_dev_check_accesses(gml_backend *be)
{
    (void)be;
}
