#include "data/work.h"

void *gml_work_get(gml_work *work, gml_work_slot slot, size_t size)
{
    gml_buffer *buffer = work->slots[slot];
    if (buffer != NULL && gml_buffer_size(buffer) >= size)
        return gml_buffer_data(buffer);
    gml_buffer_release(buffer);
    work->slots[slot] = gml_buffer_create(size > 0 ? size : 1, false);
    return work->slots[slot] != NULL ? gml_buffer_data(work->slots[slot]) : NULL;
}

void gml_work_reset(gml_work *work)
{
    for (int slot = 0; slot < GML_WORK_SLOTS; slot++) {
        gml_buffer_release(work->slots[slot]);
        work->slots[slot] = NULL;
    }
}
