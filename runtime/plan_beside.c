/* runtime/plan_beside.c - places that let kernels run beside each other.
 *
 * On a device the launches of a run wait for each other where they have to (exec_graph.c), and
 * one whose result gets a place that another's has left waits for all that used it there. A
 * plan that fills the arena from below uses places again as soon as it can, and what could run
 * beside each other, as two networks, or gradients of weights beside those that go on, becomes
 * a chain.
 *
 * So each place, in the order in which they are taken, is moved to the lowest offset where
 * kernels of none before it or after it run beside its own: its first kernel reads, over any
 * others, what all users of the one before make. Where that needs a larger arena, places are
 * shared with what was left long ago, then with what was left lately; and a place for which
 * there is no better one stays. The others lie as they did, so that the arena never grows.
 */
#include "runtime/depends.h"
#include "runtime/plan.h"

#include <stdlib.h>

/* More places are left as they are: to look at all pairs of them takes time. */
#define GML_MOST_PLACES 4096

/* A step that uses a place. */
typedef struct user {
    const struct user *next;
    uint32_t step;
} user;

typedef struct beside {
    gml_arena arena;
    gml_depends depends; /* of steps on each other, by the values that they read */
    const user **users;  /* by place, as their numbers in `slot` */
    gml_place *places;
    uint32_t *order; /* of places, rising by offset */
    size_t n_places;
} beside;

static void add_user(beside *b, uint32_t place_of, uint32_t step)
{
    user *one = gml_new(&b->arena, user);
    if (place_of == 0)
        return;
    *one = (user){b->users[place_of - 1], step};
    b->users[place_of - 1] = one;
}

/* Values have their slots' numbers as addresses. */
static void add_step(beside *b, const gml_place_users *of, uint32_t number)
{
    const gml_step *step = &of->program->steps.items[number];
    size_t n = 0;
    gml_range *ranges =
        gml_new_array(&b->arena, gml_range, (size_t)step->n_inputs + step->n_outputs + 1);
    for (uint32_t i = 0; i < step->n_inputs + step->n_outputs; i++) {
        bool is_output = i >= step->n_inputs;
        uint32_t slot = is_output ? step->outputs[i - step->n_inputs] : step->inputs[i];
        if (slot == GML_NO_SLOT)
            continue;
        ranges[n++] = (gml_range){slot, (uint64_t)slot + 1, is_output};
        add_user(b, of->place_of_slot[slot], number);
    }
    add_user(b, of->place_of_work[number], number);
    (void)gml_depends_add(&b->depends, ranges, n, &(uint32_t){0});
}

/* ---- one place ----------------------------------------------------------------------------
 */

/* All that use `place` come before `step`, whatever lies where. */
static bool is_left(const beside *b, const gml_place *place, uint32_t step)
{
    for (const user *u = b->users[place->slot]; u != NULL; u = u->next)
        if (!gml_depends_is_before(&b->depends, u->step, step))
            return false;
    return true;
}

/* They are taken at once, or could be, no more than `distance` steps from each other. */
static bool are_beside(const beside *b, const gml_place *x, const gml_place *y,
                       uint32_t distance)
{
    const gml_place *early = x->first <= y->first ? x : y;
    const gml_place *late = early == x ? y : x;
    if (early->last >= late->first)
        return true;
    return late->first - early->last <= distance && !is_left(b, early, late->first);
}

/* As gml_find_gap, of one among them. */
static uint64_t find_gap(const beside *b, const gml_place *place, uint32_t distance)
{
    uint64_t size = gml_align_up(place->size);
    uint64_t free_from = 0;
    for (size_t i = 0; i < b->n_places; i++) {
        const gml_place *other = &b->places[b->order[i]];
        uint64_t end = other->offset + gml_align_up(other->size);
        if (other == place || end <= free_from || !are_beside(b, place, other, distance))
            continue;
        if (other->offset >= free_from && other->offset - free_from >= size)
            break;
        free_from = end;
    }
    return free_from;
}

static void move_to(beside *b, gml_place *place, uint64_t offset)
{
    uint32_t number = (uint32_t)(place - b->places);
    size_t at = 0;
    while (b->order[at] != number)
        at++;
    place->offset = offset;
    for (; at > 0 && b->places[b->order[at - 1]].offset > offset; at--)
        b->order[at] = b->order[at - 1];
    for (; at + 1 < b->n_places && b->places[b->order[at + 1]].offset < offset; at++)
        b->order[at] = b->order[at + 1];
    b->order[at] = number;
}

static void improve(beside *b, gml_place *place, uint32_t n_steps, uint64_t size)
{
    for (uint32_t distance = n_steps; distance > 0; distance /= 4) {
        uint64_t offset = find_gap(b, place, distance);
        if (offset + gml_align_up(place->size) <= size) {
            move_to(b, place, offset);
            return;
        }
    }
}

/* ---- all ----------------------------------------------------------------------------------
 */

static int by_offset(const void *left, const void *right)
{
    const gml_place *a = left;
    const gml_place *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

void gml_place_beside(const gml_place_users *of, gml_place *places, size_t n_places,
                      uint64_t size)
{
    uint32_t n_steps = (uint32_t)of->program->steps.count;
    beside b = {.places = places, .n_places = n_places};
    if (n_places == 0 || n_places > GML_MOST_PLACES)
        return;
    gml_arena_init(&b.arena);
    gml_depends_init(&b.depends);
    b.users = gml_new_array(&b.arena, const user *, n_places);
    b.order = gml_new_array(&b.arena, uint32_t, n_places);
    for (uint32_t s = 0; s < n_steps; s++)
        add_step(&b, of, s);
    qsort(places, n_places, sizeof *places, by_offset);
    for (uint32_t i = 0; i < n_places; i++)
        b.order[i] = i;
    for (uint32_t s = 0; s < n_steps; s++)
        for (size_t i = 0; i < n_places; i++)
            if (places[i].first == s)
                improve(&b, &places[i], n_steps, size);
    gml_depends_reset(&b.depends);
    gml_arena_reset(&b.arena);
}
