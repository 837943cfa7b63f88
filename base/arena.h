/* base/arena.h - memory that dies all at once.
 *
 * Every compiler object (node, value, type, name, diagnostic) lives in an arena and is never
 * freed by itself; the arena is. There is no gml_node_free and there never will be.
 *
 * Out of memory prints one line and aborts: compiler code never checks for NULL.
 * Not thread-safe: one arena, one thread.
 */
#ifndef GML_BASE_ARENA_H
#define GML_BASE_ARENA_H

#include "gemel/types.h"

#include <stdarg.h>
#include <stddef.h>

typedef struct gml_arena {
    struct gml_arena_block *blocks; /* newest first */
    char *next;                     /* free bytes of the newest block */
    char *end;
    size_t used; /* bytes handed out since the last reset */
} gml_arena;

/* An empty arena in the caller's storage; it allocates nothing yet. */
void gml_arena_init(gml_arena *arena);
/* Gives all memory back; the arena is empty and usable again. */
void gml_arena_reset(gml_arena *arena);

/* Returns `size` zeroed bytes, aligned for any type. Never NULL. Valid until the reset. */
void *gml_arena_alloc(gml_arena *arena, size_t size);
/* `count` zeroed elements of `size` bytes; aborts when the product overflows. */
void *gml_arena_array(gml_arena *arena, size_t count, size_t size);
/* A copy of `size` bytes. */
void *gml_arena_copy(gml_arena *arena, const void *data, size_t size);
/* A NUL-terminated copy of `len` bytes of text. */
char *gml_arena_text(gml_arena *arena, const char *text, size_t len);
char *gml_arena_printf(gml_arena *arena, const char *format, ...) GML_PRINTF(2, 3);
char *gml_arena_vprintf(gml_arena *arena, const char *format, va_list args);

/* Prints that `size` bytes (0: nobody knows how many) could not be had, and aborts. */
_Noreturn void gml_out_of_memory(size_t size);

#define gml_new(arena, type) ((type *)gml_arena_alloc((arena), sizeof(type)))
#define gml_new_array(arena, type, count)                                                      \
    ((type *)gml_arena_array((arena), (size_t)(count), sizeof(type)))

/* Makes room for one more element in `*items` of `size` bytes each, doubling the capacity
 * inside the arena (the old array is left behind). Use through gml_push. */
void gml_arena_grow(gml_arena *arena, void **items, size_t count, size_t *capacity,
                    size_t size);

/* A growable array in an arena: struct { T *items; size_t count, capacity; }. */
#define gml_vec(type)                                                                          \
    struct {                                                                                   \
        type *items;                                                                           \
        size_t count;                                                                          \
        size_t capacity;                                                                       \
    }
#define gml_push(arena, vec, item)                                                             \
    (gml_arena_grow(                                                                           \
         (arena), (void **)&(vec)->items, (vec)->count, &(vec)->capacity,                      \
         sizeof(*(vec)->items)), /* NOLINT(bugprone-sizeof-expression): pointers, too */       \
     (vec)->items[(vec)->count++] = (item))

#endif
