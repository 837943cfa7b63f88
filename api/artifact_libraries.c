/* api/artifact_libraries.c - the libraries behind the host operators of a program. */
#include "api/artifact_libraries.h"

#include "runtime/artifact.h"

#include <string.h>

typedef struct library_row {
    const char *host;
    const char *arguments; /* between spaces */
} library_row;

/* GML_LIBRARY_x are the build's: what pkg-config says, or "" for a library that is not there,
 * without which the operator was compiled. */
static const library_row rows[] = {
#define X(host, library) {#host, GML_LIBRARY_##library},
#include "runtime/host_libraries.def"
#undef X
};

typedef gml_vec(const char *) text_list;

static void add_once(gml_arena *arena, text_list *list, const char *text, size_t len)
{
    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->items[i]) == len && memcmp(list->items[i], text, len) == 0)
            return;
    gml_push(arena, list, gml_arena_text(arena, text, len));
}

static void add_row(gml_arena *arena, text_list *list, const library_row *row)
{
    for (const char *at = row->arguments; *at;) {
        size_t len = strcspn(at, " ");
        if (len != 0)
            add_once(arena, list, at, len);
        at += len;
        at += *at == ' ';
    }
}

const char *const *gml_artifact_libraries(const gml_artifact_entry *entries, size_t n,
                                          gml_arena *arena)
{
    text_list list = {0};
    gml_artifact_names names;
    gml_artifact_find_names(entries, n, arena, &names);
    for (size_t h = 0; h < names.n_hosts; h++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (strcmp(rows[i].host, names.hosts[h]) == 0)
                add_row(arena, &list, &rows[i]);
    gml_push(arena, &list, NULL);
    return list.items;
}
