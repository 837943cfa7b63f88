/* runtime/emu_memory.c - memory that emulated kernels may touch, and the check of each access.
 *
 * Allocations are a sorted table; a site mostly touches one of them, so each site's last hit is
 * tried first. Every byte of shared memory has a word that tells who wrote and who read it
 * since the last barrier, and in which epoch that was: words of another epoch count as empty,
 * so a barrier clears them all by a sum. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/emu_calls.h"
#include "runtime/emu_state.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 256 /* between allocations: what runs over one touches none */

typedef struct range {
    uintptr_t begin, end;
    gml_emu_shadow *shadow;
} range;

static range *table;
static size_t n_table, capacity;
static range hits[256]; /* by site */

/* The number of allocations that begin at `at` or below. */
static size_t count_below(uintptr_t at)
{
    size_t low = 0;
    size_t high = n_table;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (table[middle].begin <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* For one allocation more; false: there is no memory. */
static bool has_room(void)
{
    if (n_table < capacity)
        return true;
    size_t more = capacity ? capacity * 2 : 64;
    range *grown = realloc(table, more * sizeof *grown);
    if (!grown)
        return false;
    table = grown;
    capacity = more;
    return true;
}

void *gml_emu_allocate(size_t bytes)
{
    void *memory = NULL;
    if (bytes > SIZE_MAX - GAP || posix_memalign(&memory, 256, bytes + GAP) != 0)
        return NULL;
    memset(memory, GML_EMU_POISON, bytes);
    range new = {(uintptr_t)memory, (uintptr_t)memory + bytes, gml_emu_shadow_create(bytes)};
    gml_emu_lock();
    if (!new.shadow || !has_room()) {
        gml_emu_unlock();
        gml_emu_shadow_destroy(new.shadow);
        free(memory);
        return NULL;
    }
    size_t place = count_below(new.begin);
    memmove(&table[place + 1], &table[place], (n_table - place) * sizeof *table);
    table[place] = new;
    n_table++;
    gml_emu_unlock();
    return memory;
}

void gml_emu_free(void *memory)
{
    if (!memory)
        return;
    gml_emu_lock();
    size_t place = count_below((uintptr_t)memory);
    if (place == 0 || table[place - 1].begin != (uintptr_t)memory)
        GML_BUG("memory that the emulator did not give is freed");
    gml_emu_shadow_destroy(table[place - 1].shadow);
    memmove(&table[place - 1], &table[place], (n_table - place) * sizeof *table);
    n_table--;
    memset(hits, 0, sizeof hits);
    if (n_table == 0) {
        free(table);
        table = NULL;
        capacity = 0;
    }
    gml_emu_unlock();
    free(memory);
}

void gml_emu_reset_shadows(void)
{
    for (size_t i = 0; i < n_table; i++)
        gml_emu_shadow_reset(table[i].shadow);
}

/* ---- shared memory ------------------------------------------------------------------------
 */

/* Of a byte: epoch (10 bits), who wrote it, who read it (11 bits each: thread + 1, 0 nobody).
 */
#define MANY        UINT32_C(0x7ff) /* several threads read it */
#define EPOCH_SHIFT 22
#define WRITE_SHIFT 11

static uint32_t shadow[GML_EMU_SHARED];
static uint32_t epoch;
/* Of 16 bytes: thread + 1 whose asynchronous copy is to write them. */
static uint16_t copies[GML_EMU_SHARED / 16 + 1];
static unsigned n_copies;

void gml_emu_next_epoch(void)
{
    if (++epoch == UINT32_C(1) << (32 - EPOCH_SHIFT)) {
        memset(shadow, 0, sizeof shadow);
        epoch = 1;
    }
}

void gml_emu_forget_copies(void)
{
    if (n_copies)
        memset(copies, 0, sizeof copies);
    n_copies = 0;
}

void gml_emu_mark_copy(const char *to, bool open)
{
    size_t place = (size_t)(to - gml_emu.shared) / 16;
    copies[place] = (uint16_t)(open ? gml_emu.current + 1 : 0);
    n_copies += open ? 1U : UINT_MAX;
}

static _Noreturn void stop_race(uint32_t other, bool other_wrote, uint64_t offset,
                                bool is_store, const char *site)
{
    char who[32] = "other threads";
    if (other != MANY)
        snprintf(who, sizeof who, "thread %u", other - 1);
    gml_emu_stop(
        gml_emu.current,
        "%s races: it %s byte %llu of shared memory, which %s %s since the last barrier", site,
        is_store ? "writes" : "reads", (unsigned long long)offset, who,
        other_wrote ? "wrote" : "read");
}

/* A byte's word after this thread's access. */
static uint32_t touch(uint32_t word, uint64_t offset, bool is_store, const char *site)
{
    uint32_t me = gml_emu.current + 1;
    if (word >> EPOCH_SHIFT != epoch)
        word = epoch << EPOCH_SHIFT;
    uint32_t writer = (word >> WRITE_SHIFT) & MANY;
    uint32_t reader = word & MANY;
    if (writer && writer != me)
        stop_race(writer, true, offset, is_store, site);
    if (is_store) {
        if (reader && reader != me)
            stop_race(reader, false, offset, is_store, site);
        return word | me << WRITE_SHIFT;
    }
    if (reader && reader != me)
        return word | MANY;
    return word | me;
}

static void check_copies(uint64_t offset, uint64_t bytes, const char *site)
{
    for (uint64_t i = offset / 16; n_copies && i * 16 < offset + bytes; i++)
        if (copies[i])
            gml_emu_stop(gml_emu.current,
                         "%s: byte %llu of shared memory is the target of an asynchronous copy "
                         "of thread %u that has not been waited for",
                         site, (unsigned long long)(i * 16), copies[i] - 1U);
}

static void check_shared(uint64_t offset, uint64_t bytes, uint32_t kind, const char *site)
{
    check_copies(offset, bytes, site);
    gml_emu_hopper_check((uint32_t)offset, (uint32_t)bytes, kind != GML_EMU_LOAD, site);
    if (kind == GML_EMU_ATOMIC)
        return;
    bool is_store = kind == GML_EMU_STORE;
    uint32_t *words = &shadow[offset];
    uint64_t i = 0;
    for (; i + 4 <= bytes; i += 4) { /* mostly all alike */
        uint64_t pairs[2];
        memcpy(pairs, words + i, sizeof pairs);
        if (pairs[0] != pairs[1] || (uint32_t)pairs[0] != pairs[0] >> 32) {
            for (uint64_t j = i; j < i + 4; j++)
                words[j] = touch(words[j], offset + j, is_store, site);
            continue;
        }
        uint64_t after = touch(words[i], offset + i, is_store, site);
        after |= after << 32;
        memcpy(words + i, &after, sizeof after);
        memcpy(words + i + 2, &after, sizeof after);
    }
    for (; i < bytes; i++)
        words[i] = touch(words[i], offset + i, is_store, site);
}

/* ---- all memory ---------------------------------------------------------------------------
 */

static _Noreturn void stop_outside(uintptr_t at, uint64_t bytes, uint32_t kind,
                                   const char *site)
{
    const char *does = kind == GML_EMU_LOAD ? "reads" : "writes";
    size_t place = count_below(at);
    if (at - (uintptr_t)gml_emu.shared < GML_EMU_SHARED)
        gml_emu_stop(gml_emu.current, "%s %s %llu bytes at byte %llu of %u of shared memory",
                     site, does, (unsigned long long)bytes,
                     (unsigned long long)(at - (uintptr_t)gml_emu.shared), gml_emu.n_shared);
    if (place == 0)
        gml_emu_stop(gml_emu.current, "%s %s %llu bytes at %p, before every allocation", site,
                     does, (unsigned long long)bytes, (void *)at);
    range near = table[place - 1];
    gml_emu_stop(gml_emu.current,
                 "%s %s %llu bytes at byte %llu of an allocation of %llu bytes", site, does,
                 (unsigned long long)bytes, (unsigned long long)(at - near.begin),
                 (unsigned long long)(near.end - near.begin));
}

/* The allocation that has these bytes, or NULL. */
static const range *find_range(uintptr_t at, uint64_t bytes, const char *site)
{
    range *hit = &hits[((uintptr_t)site >> 4) % (sizeof hits / sizeof *hits)];
    if (at >= hit->begin && at < hit->end && bytes <= hit->end - at)
        return hit;
    size_t place = count_below(at);
    if (place == 0 || at >= table[place - 1].end || bytes > table[place - 1].end - at)
        return NULL;
    *hit = table[place - 1];
    return hit;
}

static void check_other(uintptr_t at, uint64_t bytes, uint32_t kind, const char *site)
{
    const range *found = find_range(at, bytes, site);
    if (found) {
        gml_emu_touch(found->shadow, at - found->begin, bytes, kind, site);
        return;
    }
    const gml_fiber *fiber = gml_emu.all[gml_emu.current].fiber;
    if (at - (uintptr_t)fiber->stack < fiber->size)
        return; /* a variable of the thread's own, through a pointer that hides it */
    stop_outside(at, bytes, kind, site);
}

void gml_emu_access(const void *address, uint64_t bytes, uint32_t align, uint32_t kind,
                    const char *site)
{
    if (gml_emu.options.unchecked || bytes == 0)
        return;
    uintptr_t at = (uintptr_t)address;
    uintptr_t offset = at - (uintptr_t)gml_emu.shared;
    if (at % align)
        gml_emu_stop(gml_emu.current, "%s: %p is not aligned to %u bytes", site, (void *)at,
                     align);
    if (offset < gml_emu.n_shared && bytes <= gml_emu.n_shared - offset)
        check_shared(offset, bytes, kind, site);
    else
        check_other(at, bytes, kind, site);
}

void gml_emu_access_masked(const void *address, uint64_t bytes, uint32_t align, uint32_t kind,
                           uint64_t mask, const char *site)
{
    const char *base = address;
    if (gml_emu.options.unchecked || mask == 0)
        return;
    if ((uintptr_t)address % align)
        gml_emu_stop(gml_emu.current, "%s: %p is not aligned to %u bytes", site,
                     (const void *)address, align);
    for (; mask; mask &= mask - 1)
        gml_emu_access(base + (uint64_t)__builtin_ctzll(mask) * bytes, bytes, 1, kind, site);
}

void gml_emu_check_shared(const void *address, const char *site)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)gml_emu.shared;
    if (offset >= gml_emu.n_shared || gml_emu.n_shared - offset < 16)
        gml_emu_stop(gml_emu.current, "%s: %p is not in the shared memory of the block", site,
                     (const void *)address);
}

void gml_emu_check_untouched(uint32_t offset, uint32_t bytes, const char *site)
{
    uint32_t me = gml_emu.current + 1;
    check_copies(offset, bytes, site);
    for (uint32_t i = offset; i < offset + bytes; i++) {
        uint32_t word = shadow[i];
        uint32_t writer = (word >> WRITE_SHIFT) & MANY;
        uint32_t reader = word & MANY;
        if (word >> EPOCH_SHIFT != epoch)
            continue;
        if (writer && writer != me)
            stop_race(writer, true, i, true, site);
        if (reader && reader != me)
            stop_race(reader, false, i, true, site);
    }
}

uint32_t gml_emu_open_source(const void *from, const char *site)
{
    const range *found = find_range((uintptr_t)from, 16, site);
    return found ? gml_emu_touch_open(found->shadow, (uintptr_t)from - found->begin, site) : 0;
}

void gml_emu_close_source(const void *from, uint32_t issued, const char *site)
{
    const range *found = find_range((uintptr_t)from, 16, site);
    if (found)
        gml_emu_touch_closed(found->shadow, (uintptr_t)from - found->begin, issued, site);
}
