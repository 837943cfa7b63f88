/* runtime/emu_memory.c - memory that emulated kernels may touch, and the check of each access.
 */
#define _POSIX_C_SOURCE 200809L
#include "runtime/emu_calls.h"
#include "runtime/emu_state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

void *gml_emu_allocate(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, 256, bytes + 256) != 0)
        return NULL;
    memset(memory, GML_EMU_POISON, bytes);
    return memory;
}

void gml_emu_free(void *memory)
{
    free(memory);
}

void gml_emu_access(const void *address, uint64_t bytes, uint32_t align, uint32_t is_store,
                    const char *site)
{
    (void)address;
    (void)bytes;
    (void)align;
    (void)is_store;
    (void)site;
}
