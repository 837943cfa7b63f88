/* base/arena.c - memory that dies all at once.
 *
 * Blocks come zeroed from calloc and are never reused before a reset, so an allocation needs no
 * memset. They double from 64 KB to 4 MB; a request over a quarter of the next block gets a
 * block of its own, behind the newest one, whose free bytes stay in use.
 *
 * Under the address sanitizer the free bytes are poisoned, and some stay so between
 * allocations.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define GML_ASAN 1
#    endif
#elif defined(__SANITIZE_ADDRESS__)
#    define GML_ASAN 1
#endif

#if defined(GML_ASAN)
#    include <sanitizer/asan_interface.h>
#    define GML_POISON(start, size)   ASAN_POISON_MEMORY_REGION((start), (size))
#    define GML_UNPOISON(start, size) ASAN_UNPOISON_MEMORY_REGION((start), (size))
#    define GML_REDZONE               32
#else
#    define GML_POISON(start, size)   ((void)0)
#    define GML_UNPOISON(start, size) ((void)0)
#    define GML_REDZONE               0
#endif

#define GML_FIRST_BLOCK ((size_t)64 << 10)
#define GML_LAST_BLOCK  ((size_t)4 << 20)

typedef struct gml_arena_block {
    struct gml_arena_block *older;
    size_t size; /* of `data` */
    alignas(max_align_t) char data[];
} gml_arena_block;

void gml_out_of_memory(size_t size)
{
    if (size != 0)
        fprintf(stderr, "gemel: out of memory: %zu bytes asked for\n", size);
    else
        fputs("gemel: out of memory\n", stderr);
    abort();
}

void gml_arena_init(gml_arena *arena)
{
    *arena = (gml_arena){0};
}

void gml_arena_reset(gml_arena *arena)
{
    gml_arena_block *block = arena->blocks;
    while (block != NULL) {
        gml_arena_block *older = block->older;
        GML_UNPOISON(block->data, block->size);
        free(block);
        block = older;
    }
    gml_arena_init(arena);
}

static gml_arena_block *create_block(size_t size)
{
    gml_arena_block *block = calloc(1, sizeof(gml_arena_block) + size);
    if (block == NULL)
        gml_out_of_memory(size);
    block->size = size;
    GML_POISON(block->data, size);
    return block;
}

static size_t next_block_size(const gml_arena *arena)
{
    if (arena->blocks == NULL)
        return GML_FIRST_BLOCK;
    size_t newest = arena->blocks->size;
    if (newest >= GML_LAST_BLOCK / 2)
        return GML_LAST_BLOCK;
    return newest < GML_FIRST_BLOCK ? GML_FIRST_BLOCK : 2 * newest;
}

/* Memory for a request, `size` being a multiple of the alignment, that the newest block cannot
 * hold. */
static char *alloc_in_new_block(gml_arena *arena, size_t size)
{
    size_t regular = next_block_size(arena);
    gml_arena_block *block = create_block(size > regular / 4 ? size : regular);
    if (size > regular / 4 && arena->blocks != NULL) {
        block->older = arena->blocks->older;
        arena->blocks->older = block;
        return block->data;
    }
    block->older = arena->blocks;
    arena->blocks = block;
    arena->next = block->data + size;
    arena->end = block->data + block->size;
    return block->data;
}

void *gml_arena_alloc(gml_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        gml_out_of_memory(size);
    size_t unit = alignof(max_align_t);
    size_t rounded = (size + GML_REDZONE + (size == 0) + unit - 1) / unit * unit;
    char *memory = arena->next;
    if (arena->blocks != NULL && rounded <= (size_t)(arena->end - arena->next))
        arena->next += rounded;
    else
        memory = alloc_in_new_block(arena, rounded);
    arena->used += size;
    GML_UNPOISON(memory, size);
    return memory;
}

void *gml_arena_array(gml_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        gml_out_of_memory(SIZE_MAX);
    return gml_arena_alloc(arena, count * size);
}

void *gml_arena_copy(gml_arena *arena, const void *data, size_t size)
{
    void *copy = gml_arena_alloc(arena, size);
    if (size != 0)
        memcpy(copy, data, size);
    return copy;
}

char *gml_arena_text(gml_arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        gml_out_of_memory(len);
    char *copy = gml_arena_alloc(arena, len + 1);
    if (len != 0)
        memcpy(copy, text, len);
    return copy;
}

char *gml_arena_printf(gml_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = gml_arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

char *gml_arena_vprintf(gml_arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t size = len < 0 ? 1 : (size_t)len + 1;
    char *text = gml_arena_alloc(arena, size);
    if (len > 0)
        vsnprintf(text, size, format, args);
    return text;
}

void gml_arena_grow(gml_arena *arena, void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return;
    if (count > SIZE_MAX / 2)
        gml_out_of_memory(SIZE_MAX);
    size_t bigger = count < 4 ? 8 : 2 * count;
    void *grown = gml_arena_array(arena, bigger, size);
    /* `items` really points to a T *, so its bytes are copied, not read as a void *. */
    void *old;
    memcpy(&old, items, sizeof(old));
    if (count != 0)
        memcpy(grown, old, count * size);
    memcpy(items, &grown, sizeof(grown));
    *capacity = bigger;
}
