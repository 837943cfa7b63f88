/* runtime/scratch.h - temporaries that die together.
 *
 * They go through gml_buffer_create, so that tests can make any of them fail. Begin with
 * `gml_scratch scratch = {0}`. One thread's at a time.
 */
#ifndef GML_RUNTIME_SCRATCH_H
#define GML_RUNTIME_SCRATCH_H

#include <stddef.h>

typedef struct gml_scratch {
    struct gml_scratch_block *blocks; /* newest first */
} gml_scratch;

/* `count` zeroed elements of `size` bytes, or NULL; never NULL for want of elements. */
void *gml_scratch_alloc(gml_scratch *scratch, size_t count, size_t size);
/* The scratch is empty and usable again. */
void gml_scratch_reset(gml_scratch *scratch);
#define gml_scratch_array(scratch, type, count)                                                \
    ((type *)gml_scratch_alloc((scratch), (size_t)(count), sizeof(type)))

#endif
