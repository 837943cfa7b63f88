#include "runtime/scratch.h"

#include "runtime/value.h"

#include <stdint.h>

/* Lies at the start of its own buffer, before the caller's elements. */
typedef struct gml_scratch_block {
    struct gml_scratch_block *next;
    gml_buffer *buffer;
} gml_scratch_block;

#define GML_SCRATCH_HEADER 64u

void *gml_scratch_alloc(gml_scratch *scratch, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX / 4) / size)
        return NULL;
    gml_buffer *buffer = gml_buffer_create(GML_SCRATCH_HEADER + count * size, true);
    if (buffer == NULL)
        return NULL;
    gml_scratch_block *block = gml_buffer_data(buffer);
    *block = (gml_scratch_block){.next = scratch->blocks, .buffer = buffer};
    scratch->blocks = block;
    return (char *)block + GML_SCRATCH_HEADER;
}

void gml_scratch_reset(gml_scratch *scratch)
{
    while (scratch->blocks != NULL) {
        gml_scratch_block *block = scratch->blocks;
        scratch->blocks = block->next;
        gml_buffer_release(block->buffer);
    }
}
