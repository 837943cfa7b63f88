/* runtime/depends.c - which calls have to wait for which.
 *
 * Memory that was touched is kept as pieces, apart and rising by address. Each knows the call
 * that wrote it last and those that have read it since: these are all that one to come can have
 * to wait for there, since the writer waited for whoever was before. A piece is cut where a
 * range begins or ends in it, and pieces that are written together become one, so that there
 * are about as many as there are values at once.
 *
 * Each call has the set of all that come before it, as bits. Of what it waits for, the latest
 * first, one that is in another's set is implied. 1,500 calls are 140 kB; a call beyond
 * GML_MOST_SETS keeps waits that others imply.
 */
#include "runtime/depends.h"

#include <stdlib.h>
#include <string.h>

#define GML_MOST_SETS (1u << 14) /* 17 MB */
#define GML_NO_CALL   UINT32_MAX

/* Newest first. What pieces have from before they were cut is shared. */
typedef struct reader {
    const struct reader *next;
    uint32_t call;
} reader;

typedef struct gml_piece {
    uint64_t start, end;
    uint32_t writer; /* GML_NO_CALL: none yet */
    const reader *readers;
} gml_piece;

void gml_depends_init(gml_depends *depends)
{
    *depends = (gml_depends){0};
    gml_arena_init(&depends->arena);
}

void gml_depends_reset(gml_depends *depends)
{
    gml_arena_reset(&depends->arena);
    *depends = (gml_depends){0};
}

/* ---- pieces -------------------------------------------------------------------------------
 */

static void insert(gml_depends *d, size_t at, gml_piece piece)
{
    gml_push(&d->arena, &d->pieces, piece); /* makes room */
    gml_piece *items = d->pieces.items;
    memmove(items + at + 1, items + at, (d->pieces.count - 1 - at) * sizeof *items);
    items[at] = piece;
}

/* No piece has `border` inside of it then; returns the first one behind it. */
static size_t cut(gml_depends *d, uint64_t border)
{
    size_t low = 0;
    size_t high = d->pieces.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->pieces.items[middle].end <= border)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == d->pieces.count || d->pieces.items[low].start >= border)
        return low;
    gml_piece behind = d->pieces.items[low];
    behind.start = border;
    d->pieces.items[low].end = border;
    insert(d, low + 1, behind);
    return low + 1;
}

/* ---- what is found there ------------------------------------------------------------------
 */

static void find(gml_depends *d, uint32_t call, uint32_t earlier)
{
    if (earlier == GML_NO_CALL || earlier == call || d->last_found.items[earlier] == call)
        return;
    d->last_found.items[earlier] = call;
    gml_push(&d->arena, &d->found, earlier);
}

static void read_piece(gml_depends *d, uint32_t call, gml_piece *piece)
{
    find(d, call, piece->writer);
    if (piece->readers != NULL && piece->readers->call == call)
        return;
    reader *one = gml_new(&d->arena, reader);
    *one = (reader){piece->readers, call};
    piece->readers = one;
}

static void read_range(gml_depends *d, uint32_t call, const gml_range *range)
{
    size_t i = cut(d, range->start);
    (void)cut(d, range->end);
    for (uint64_t at = range->start; at < range->end; i++) {
        uint64_t next = i < d->pieces.count && d->pieces.items[i].start < range->end
                            ? d->pieces.items[i].start
                            : range->end;
        if (at < next)
            insert(d, i, (gml_piece){.start = at, .end = next, .writer = GML_NO_CALL});
        read_piece(d, call, &d->pieces.items[i]);
        at = d->pieces.items[i].end;
    }
}

static void write_range(gml_depends *d, uint32_t call, const gml_range *range)
{
    size_t first = cut(d, range->start);
    size_t end = cut(d, range->end);
    for (size_t i = first; i < end; i++) {
        const gml_piece *piece = &d->pieces.items[i];
        find(d, call, piece->writer);
        for (const reader *r = piece->readers; r != NULL; r = r->next)
            find(d, call, r->call);
    }
    gml_piece whole = {.start = range->start, .end = range->end, .writer = call};
    if (first == end) {
        insert(d, first, whole);
        return;
    }
    gml_piece *items = d->pieces.items;
    items[first] = whole;
    memmove(items + first + 1, items + end, (d->pieces.count - end) * sizeof *items);
    d->pieces.count -= end - first - 1;
}

/* ---- what others imply --------------------------------------------------------------------
 */

static int by_falling_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return (a < b) - (a > b);
}

static void drop_implied(gml_depends *d, uint32_t call)
{
    uint32_t *found = d->found.items;
    size_t n = d->found.count;
    uint64_t *before = gml_new_array(&d->arena, uint64_t, call / 64 + 1);
    d->found.count = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t earlier = found[i];
        if (before[earlier / 64] >> earlier % 64 & 1)
            continue;
        for (uint32_t word = 0; word <= earlier / 64; word++)
            before[word] |= d->befores.items[earlier][word];
        before[earlier / 64] |= UINT64_C(1) << earlier % 64;
        found[d->found.count++] = earlier;
    }
    gml_push(&d->arena, &d->befores, before);
}

bool gml_depends_is_before(const gml_depends *depends, uint32_t earlier, uint32_t later)
{
    return earlier < later && later < depends->befores.count &&
           (depends->befores.items[later][earlier / 64] >> earlier % 64 & 1) != 0;
}

const uint32_t *gml_depends_add(gml_depends *depends, const gml_range *ranges, size_t n,
                                uint32_t *out_count)
{
    uint32_t call = (uint32_t)depends->last_found.count;
    gml_push(&depends->arena, &depends->last_found, GML_NO_CALL);
    depends->found.count = 0;
    for (size_t i = 0; i < n; i++)
        if (ranges[i].start < ranges[i].end && !ranges[i].is_written)
            read_range(depends, call, &ranges[i]);
    for (size_t i = 0; i < n; i++)
        if (ranges[i].start < ranges[i].end && ranges[i].is_written)
            write_range(depends, call, &ranges[i]);
    if (depends->found.count != 0)
        qsort(depends->found.items, depends->found.count, sizeof *depends->found.items,
              by_falling_number);
    if (call < GML_MOST_SETS)
        drop_implied(depends, call);
    *out_count = (uint32_t)depends->found.count;
    return depends->found.items;
}
