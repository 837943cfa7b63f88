#define _POSIX_C_SOURCE 200809L

#include "base/leftover.h"

#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#define GML_LEFTOVERS 1024

static _Atomic(const char *) paths[GML_LEFTOVERS];

void gml_leftover_add(const char *path)
{
    for (size_t i = 0; i < GML_LEFTOVERS; i++) {
        const char *none = NULL;
        if (atomic_compare_exchange_strong(&paths[i], &none, path))
            return;
    }
}

void gml_leftover_drop(const char *path)
{
    for (size_t i = 0; i < GML_LEFTOVERS; i++) {
        const char *found = path;
        if (atomic_compare_exchange_strong(&paths[i], &found, NULL))
            return;
    }
}

void gml_leftovers_remove(void)
{
    for (size_t i = 0; i < GML_LEFTOVERS; i++) {
        const char *path = atomic_load(&paths[i]);
        if (path != NULL && unlink(path) == 0)
            atomic_store(&paths[i], NULL);
    }
    /* A folder may be in another that stands before it. */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < GML_LEFTOVERS; i++) {
            const char *path = atomic_load(&paths[i]);
            if (path != NULL && rmdir(path) == 0)
                atomic_store(&paths[i], NULL);
        }
    }
}
