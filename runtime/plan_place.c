/* runtime/plan_place.c - first fit, again and again.
 *
 * Each place gets the lowest offset where nothing alive at the same time lies; those that are
 * there already are kept in order of offset, so that one walk over them finds the gap. How well
 * that fills the arena depends on who comes first. Large ones first is a good beginning, and
 * long-lived ones first is another; from there the place that reaches highest is made the first
 * one over and over, and the best arena of all is taken.
 */
#include "runtime/plan.h"

#include <stdlib.h>
#include <string.h>

/* Pairs of places that are looked at for a better arena: well under a second. */
#define GML_MAX_PAIRS 400000000u
#define GML_MAX_TRIES 200
/* An arena is good enough that has no more than this part of gaps. */
#define GML_GOOD      200

static int by_falling_size(const void *left, const void *right)
{
    const gml_place *a = left;
    const gml_place *b = right;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

uint64_t gml_find_gap(const gml_place *places, const uint32_t *order, size_t n,
                      const gml_place *place)
{
    uint64_t size = gml_align_up(place->size);
    uint64_t free_from = 0;
    for (size_t i = 0; i < n; i++) {
        const gml_place *other = &places[order != NULL ? order[i] : i];
        if (other->first > place->last || other->last < place->first)
            continue;
        if (other->offset >= free_from && other->offset - free_from >= size)
            break;
        uint64_t end = other->offset + gml_align_up(other->size);
        free_from = end > free_from ? end : free_from;
    }
    return free_from;
}

/* Places all in the order at hand. */
static bool place_in_order(gml_place *places, size_t n_places, uint32_t *order,
                           uint64_t *out_size)
{
    const uint64_t limit = UINT64_C(1) << 62;
    *out_size = 0;
    for (size_t next = 0; next < n_places; next++) {
        gml_place *place = &places[next];
        if (place->size > limit)
            return false;
        place->offset = gml_find_gap(places, order, next, place);
        uint64_t end = place->offset + gml_align_up(place->size);
        if (end > limit)
            return false;
        *out_size = end > *out_size ? end : *out_size;
        size_t at = next;
        while (at > 0 && places[order[at - 1]].offset > place->offset)
            at--;
        memmove(order + at + 1, order + at, (next - at) * sizeof *order);
        order[at] = (uint32_t)next;
    }
    return true;
}

bool gml_place_all(gml_place *places, size_t n_places, uint32_t *order, uint64_t *out_size)
{
    if (n_places != 0)
        qsort(places, n_places, sizeof *places, by_falling_size);
    return place_in_order(places, n_places, order, out_size);
}

/* ---- better -------------------------------------------------------------------------------
 */

static int by_falling_life(const void *left, const void *right)
{
    const gml_place *a = left;
    const gml_place *b = right;
    uint32_t a_life = a->last - a->first;
    uint32_t b_life = b->last - b->first;
    return a_life != b_life ? (a_life > b_life ? -1 : 1) : by_falling_size(left, right);
}

/* Bytes alive at once, at most: no arena is smaller. */
static uint64_t find_most(const gml_place *places, size_t n_places)
{
    uint64_t most = 0;
    for (size_t i = 0; i < n_places; i++) {
        uint64_t alive = 0; /* where place i begins: nothing grows elsewhere */
        for (size_t k = 0; k < n_places; k++)
            if (places[k].first <= places[i].first && places[k].last >= places[i].first)
                alive += gml_align_up(places[k].size);
        most = alive > most ? alive : most;
    }
    return most;
}

static void highest_first(gml_place *places, size_t n_places)
{
    size_t highest = 0;
    uint64_t top = 0;
    for (size_t i = 0; i < n_places; i++) {
        uint64_t end = places[i].offset + gml_align_up(places[i].size);
        if (end > top) {
            top = end;
            highest = i;
        }
    }
    gml_place first = places[highest];
    memmove(places + 1, places, highest * sizeof *places);
    places[0] = first;
}

bool gml_place_best(gml_place *places, size_t n_places, uint32_t *order, gml_place *best,
                    uint64_t *out_size)
{
    static int (*const beginnings[])(const void *, const void *) = {by_falling_size,
                                                                    by_falling_life};
    if (!gml_place_all(places, n_places, order, out_size))
        return false;
    uint64_t most = find_most(places, n_places);
    memcpy(best, places, n_places * sizeof *best);
    size_t tries = GML_MAX_PAIRS / (n_places * n_places + 1);
    tries = tries < GML_MAX_TRIES ? tries : GML_MAX_TRIES;
    for (size_t i = 0; i<2 * tries && * out_size> most + most / GML_GOOD; i++) {
        uint64_t size = 0;
        if (i % tries == 0)
            qsort(places, n_places, sizeof *places, beginnings[i / tries]);
        else
            highest_first(places, n_places);
        if (!place_in_order(places, n_places, order, &size) || size >= *out_size)
            continue;
        *out_size = size;
        memcpy(best, places, n_places * sizeof *best);
    }
    return true;
}
