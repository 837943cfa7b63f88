/* runtime/emu_copy.c - asynchronous copies, as the emulator makes them.
 *
 * A copy may land at any time between its issue and the wait for its group. Of that the two
 * ends are tried: at the issue (options.early), or at the wait, until when its target is
 * poison. */
#include "runtime/emu_calls.h"
#include "runtime/emu_state.h"

#include <stdlib.h>
#include <string.h>

typedef struct copy {
    char *to;
    const char *from; /* NULL: zeros */
    uint32_t group;
    uint32_t issued; /* when, as gml_emu_open_source says it */
} copy;

/* A thread's copies that have not been waited for, oldest first. */
typedef struct queue {
    copy *items;
    size_t n_items, capacity;
    uint32_t n_groups; /* committed */
} queue;

static queue queues[GML_EMU_THREADS];
static bool used; /* in this block */

void gml_emu_drop_copies(void)
{
    for (uint32_t t = 0; used && t < GML_EMU_THREADS; t++)
        queues[t].n_items = queues[t].n_groups = 0;
    used = false;
    gml_emu_forget_copies();
}

static void land(const copy *c)
{
    if (c->from)
        memcpy(c->to, c->from, 16);
    else
        memset(c->to, 0, 16);
}

void gml_emu_copy_async(void *shared, const void *from, uint32_t valid, const char *site)
{
    queue *q = &queues[gml_emu.current];
    gml_emu_check_shared(shared, site);
    gml_emu_access(shared, 16, 16, GML_EMU_STORE, site);
    if (valid)
        gml_emu_access(from, 16, 16, GML_EMU_LOAD, site);
    if (q->n_items == q->capacity) {
        size_t more = q->capacity ? q->capacity * 2 : 16;
        copy *grown = realloc(q->items, more * sizeof *grown);
        if (!grown)
            gml_emu_stop(gml_emu.current, "%s: no memory", site);
        q->items = grown;
        q->capacity = more;
    }
    copy c = {.to = shared, .from = valid ? from : NULL, .group = q->n_groups};
    if (c.from && !gml_emu.options.unchecked)
        c.issued = gml_emu_open_source(c.from, site);
    q->items[q->n_items++] = c;
    used = true;
    if (gml_emu.options.early)
        land(&c);
    else
        memset(c.to, GML_EMU_POISON, 16);
    if (!gml_emu.options.unchecked)
        gml_emu_mark_copy(c.to, true);
}

void gml_emu_copy_commit(const char *site)
{
    (void)site;
    queues[gml_emu.current].n_groups++;
}

void gml_emu_copy_wait(uint32_t pending, const char *site)
{
    queue *q = &queues[gml_emu.current];
    size_t n = 0;
    for (; n < q->n_items && (uint64_t)q->items[n].group + pending < q->n_groups; n++) {
        const copy *c = &q->items[n];
        if (!gml_emu.options.unchecked)
            gml_emu_mark_copy(c->to, false);
        if (c->from && !gml_emu.options.unchecked)
            gml_emu_close_source(c->from, c->issued, site);
        gml_emu_access(c->to, 16, 16, GML_EMU_STORE, site);
        if (!gml_emu.options.early)
            land(c);
    }
    if (n == 0)
        return;
    q->n_items -= n;
    memmove(q->items, q->items + n, q->n_items * sizeof *q->items);
}
