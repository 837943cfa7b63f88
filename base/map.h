/* base/map.h - text to pointer, in an arena; iteration is in order of insertion, never of
 * hashes.
 *
 * Keys are copied into the arena. Nothing is ever removed. Not thread-safe.
 */
#ifndef GML_BASE_MAP_H
#define GML_BASE_MAP_H

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>

typedef struct gml_map_entry {
    const char *key;
    size_t len;
    uint64_t hash;
    void *value;
} gml_map_entry;

typedef struct gml_map {
    gml_arena *arena;
    gml_map_entry *entries; /* in order of insertion */
    size_t count;
    size_t capacity;
    uint32_t *slots; /* entry number + 1, or 0; a power of two of them */
    size_t n_slots;
} gml_map;

void gml_map_init(gml_map *map, gml_arena *arena);
/* NULL when there is no such key (or its value is NULL). */
void *gml_map_find(const gml_map *map, const char *key);
void *gml_map_find_len(const gml_map *map, const char *key, size_t len);
bool gml_map_has(const gml_map *map, const char *key);
/* Sets `key`, new or not. Returns the value it had before, or NULL. */
void *gml_map_set(gml_map *map, const char *key, void *value);

/* A 64-bit hash of bytes, the same on every machine and run. */
uint64_t gml_hash_bytes(const void *bytes, size_t len, uint64_t seed);

#endif
