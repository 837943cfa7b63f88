/* runtime/host_find.c - the table of all host operators.
 *
 * Whoever links this file links every operator and the libraries behind it: the compiler does,
 * an artifact must not, and lists the few that it uses (runtime/artifact.h). */
#include "runtime/host.h"

#include <string.h>

typedef struct host_row {
    const char *name;
    gml_host_fn function;
} host_row;

gml_host_fn gml_host_find(const char *name)
{
    static const host_row rows[] = {
#define X(name) {#name, gml_host_##name},
#include "runtime/host.def"
#undef X
        {NULL, NULL},
    };
    for (const host_row *row = rows; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return row->function;
    }
    return NULL;
}
