/* base/map.c - text to pointer, in an arena.
 *
 * The entries stand in an array, in order of insertion; `slots` is an open-addressed table of
 * entry numbers, at most half full, probed one by one.
 */
#include "base/map.h"

#include "base/diag.h"

#include <string.h>

#define GML_FIRST_SLOTS 16

void gml_map_init(gml_map *map, gml_arena *arena)
{
    *map = (gml_map){.arena = arena};
}

/* Any odd constants with well mixed bits do; these are 2^64 / pi and 2^64 / e, made odd. */
#define GML_MIX_A UINT64_C(0x517cc1b727220a95)
#define GML_MIX_B UINT64_C(0x5e2d58d8b3bcdf1b)

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * GML_MIX_A;
    return hash ^ (hash >> 29);
}

/* Up to 8 bytes as a little-endian number on every machine. */
static uint64_t load_word(const unsigned char *bytes, size_t n_bytes)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n_bytes; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t gml_hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
    const unsigned char *at = bytes;
    uint64_t hash = mix(seed ^ GML_MIX_B, len);
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8)
        hash = mix(hash, load_word(at, 8));
    if (left != 0)
        hash = mix(hash, load_word(at, left));
    hash *= GML_MIX_B;
    return hash ^ (hash >> 32);
}

/* The slot that holds `key`, or the empty one where it belongs. There must be slots. */
static size_t find_slot(const gml_map *map, const char *key, size_t len, uint64_t hash)
{
    size_t mask = map->n_slots - 1;
    size_t i = (size_t)hash & mask;
    while (map->slots[i] != 0) {
        const gml_map_entry *entry = &map->entries[map->slots[i] - 1];
        if (entry->hash == hash && entry->len == len && memcmp(entry->key, key, len) == 0)
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static const gml_map_entry *find_entry(const gml_map *map, const char *key, size_t len)
{
    if (map->count == 0)
        return NULL;
    uint32_t number = map->slots[find_slot(map, key, len, gml_hash_bytes(key, len, 0))];
    return number == 0 ? NULL : &map->entries[number - 1];
}

void *gml_map_find(const gml_map *map, const char *key)
{
    return gml_map_find_len(map, key, strlen(key));
}

void *gml_map_find_len(const gml_map *map, const char *key, size_t len)
{
    const gml_map_entry *entry = find_entry(map, key, len);
    return entry == NULL ? NULL : entry->value;
}

bool gml_map_has(const gml_map *map, const char *key)
{
    return find_entry(map, key, strlen(key)) != NULL;
}

/* Doubles the slots when one more entry would fill more than half of them. */
static void make_room(gml_map *map)
{
    if (2 * (map->count + 1) <= map->n_slots)
        return;
    if (map->count >= UINT32_MAX - 1)
        GML_BUG("a map with 2^32 entries");
    map->n_slots = map->n_slots == 0 ? GML_FIRST_SLOTS : 2 * map->n_slots;
    map->slots = gml_new_array(map->arena, uint32_t, map->n_slots);
    size_t mask = map->n_slots - 1;
    for (size_t entry = 0; entry < map->count; entry++) {
        size_t i = (size_t)map->entries[entry].hash & mask;
        while (map->slots[i] != 0)
            i = (i + 1) & mask;
        map->slots[i] = (uint32_t)(entry + 1);
    }
}

void *gml_map_set(gml_map *map, const char *key, void *value)
{
    size_t len = strlen(key);
    uint64_t hash = gml_hash_bytes(key, len, 0);
    make_room(map);
    size_t slot = find_slot(map, key, len, hash);
    if (map->slots[slot] != 0) {
        gml_map_entry *entry = &map->entries[map->slots[slot] - 1];
        void *before = entry->value;
        entry->value = value;
        return before;
    }
    void *entries = map->entries;
    gml_arena_grow(map->arena, &entries, map->count, &map->capacity, sizeof(gml_map_entry));
    map->entries = entries;
    map->entries[map->count++] = (gml_map_entry){
        .key = gml_arena_text(map->arena, key, len),
        .len = len,
        .hash = hash,
        .value = value,
    };
    map->slots[slot] = (uint32_t)map->count;
    return NULL;
}
