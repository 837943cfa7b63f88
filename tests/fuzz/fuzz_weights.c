/* tests/fuzz/fuzz_weights.c - any bytes as a file of weights: PyTorch's two forms are read in
 * memory, the others as a file. Every element of every tensor is read, and names are mapped. */
#define _GNU_SOURCE /* memfd_create */

#include "api/weights.h"
#include "runtime/value.h"
#include "weights/torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the elements, and says so to nobody: what counts is that they are there. */
static void read_all(const gml_weight_table *table)
{
    volatile unsigned sum = 0;
    for (size_t i = 0; i < table->weights.count; i++) {
        const gml_tensor *tensor = &table->weights.items[i]->tensor;
        size_t bytes = 0;
        if (!gml_tensor_bytes(tensor, &bytes))
            abort();
        for (size_t k = 0; k < bytes; k++)
            sum += ((const unsigned char *)tensor->data)[k];
    }
}

static void read_torch(const uint8_t *data, size_t size)
{
    gml_arena arena;
    gml_diags diags;
    gml_weight_table table;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_weight_table_init(&table, "fuzz", &arena, &diags);
    if (gml_torch_read(data, size, &table) == GML_OK) {
        gml_weight_mapping mapping;
        read_all(&table);
        (void)!gml_weight_table_map(&table, &(gml_weights_mapping){.map = NULL}, &mapping);
    } else if (diags.list.count == 0) {
        abort(); /* a failure without words */
    }
    gml_arena_reset(&arena);
}

static void read_file(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("weights", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    gml_weights *w = gml_weights_open(path);
    if (gml_weights_status(w) == GML_OK) {
        read_all(&w->table);
        gml_weights_map(w, &(gml_weights_mapping){.map = NULL});
        gml_weights_fit_positions(w, "pos_embed", 1, 3, 3);
    }
    if ((gml_weights_status(w) == GML_OK) != (*gml_weights_message(w) == '\0'))
        abort();
    gml_weights_close(w);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (gml_torch_find_form(data, size) != GML_TORCH_NOT)
        read_torch(data, size);
    else
        read_file(data, size);
    return 0;
}
