/* runtime/emu_mbarrier.c - mbarriers, and who may touch which shared memory.
 *
 * PTX ISA, "mbarrier": an object of 8 bytes in shared memory with a phase, arrivals that are
 * still pending, and bytes that are still expected (tx-count). A phase completes when both are
 * zero; the next begins at once, with the count that the object was made with. A wait for a
 * parity passes when the phase of that parity, the last one or the one before it, is over: on a
 * new object that of parity 1 is. Here bytes are expected before copies are issued, so that a
 * wrong number is found where the copy is. */
#include "runtime/emu_calls.h"
#include "runtime/emu_hopper.h"

#include <string.h>

gml_emu_piece gml_emu_pieces[GML_EMU_PIECES];
gml_emu_writer gml_emu_writers[GML_EMU_PIECES];
gml_emu_clock gml_emu_clocks[GML_EMU_THREADS];
uint32_t gml_emu_fences[GML_EMU_THREADS];
gml_emu_mbarrier gml_emu_mbarriers[GML_EMU_MBARRIERS];

static unsigned n_barriers;
static gml_emu_mbarrier *waits[GML_EMU_THREADS]; /* of threads at an mbarrier: which */

/* ---- a block ------------------------------------------------------------------------------
 */

void gml_emu_hopper_reset(void)
{
    memset(gml_emu_writers, 0, (gml_emu.n_shared + 15) / 16 * sizeof *gml_emu_writers);
    if (!gml_emu.is_hopper)
        return;
    memset(gml_emu_pieces, 0, sizeof gml_emu_pieces);
    memset(gml_emu_clocks, 0, sizeof gml_emu_clocks);
    memset(gml_emu_fences, 0, sizeof gml_emu_fences);
    memset(gml_emu_mbarriers, 0, sizeof gml_emu_mbarriers);
    n_barriers = 0;
    gml_emu_forget_boxes();
    gml_emu_wgmma_reset();
    gml_emu.is_hopper = false;
}

void gml_emu_hopper_begin(void)
{
    gml_emu.is_hopper = true;
}

static void learn(gml_emu_clock *clock, const gml_emu_clock *from)
{
    for (unsigned i = 0; i < sizeof clock->of / sizeof *clock->of; i++)
        if (clock->of[i] < from->of[i])
            clock->of[i] = from->of[i];
}

void gml_emu_hopper_meet(void)
{
    gml_emu_clock all = {0};
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        learn(&all, &gml_emu_clocks[t]);
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        gml_emu_clocks[t] = all;
    for (unsigned i = 0; i < n_barriers; i++)
        gml_emu_mbarriers[i].is_known = true;
}

uint32_t gml_emu_offset_of(const void *shared, uint32_t bytes, uint32_t align, const char *site)
{
    uintptr_t offset = (uintptr_t)shared - (uintptr_t)gml_emu.shared;
    if (offset >= gml_emu.n_shared || gml_emu.n_shared - offset < bytes)
        gml_emu_stop(gml_emu.current,
                     "%s: %u bytes at %p are not in the shared memory of the block", site,
                     bytes, shared);
    if (offset % align)
        gml_emu_stop(gml_emu.current, "%s: byte %u of shared memory is not aligned to %u bytes",
                     site, (uint32_t)offset, align);
    return (uint32_t)offset;
}

/* ---- who may touch what -------------------------------------------------------------------
 */

void gml_emu_check_arrived(uint32_t piece, uint32_t thread, const char *site)
{
    const gml_emu_piece *p = &gml_emu_pieces[piece];
    if (p->barrier && gml_emu_clocks[thread].of[p->barrier - 1U] <= p->phase)
        gml_emu_stop(
            thread,
            "%s: byte %u of shared memory is the target of a bulk copy, and the thread "
            "has not waited for phase %u of the mbarrier at byte %u",
            site, piece * 16, p->phase, gml_emu_mbarriers[p->barrier - 1U].at);
}

void gml_emu_check_unread(uint32_t piece, const char *site)
{
    const gml_emu_clock *known = &gml_emu_clocks[gml_emu.current];
    for (uint32_t w = 0; w < gml_emu.n_warps; w++)
        if (gml_emu_pieces[piece].readers[w / 4] > known->of[GML_EMU_CLOCK_WARP + w])
            gml_emu_stop(
                gml_emu.current,
                "%s writes byte %u of shared memory, which a wgmma of warp %u reads that "
                "is not known to be done",
                site, piece * 16, w);
}

void gml_emu_hopper_check(uint32_t offset, uint32_t bytes, bool is_store, const char *site)
{
    if (!is_store && !gml_emu.is_hopper)
        return;
    for (uint32_t i = offset / 16; i * 16 < offset + bytes; i++) {
        if (gml_emu.is_hopper)
            gml_emu_check_arrived(i, gml_emu.current, site);
        if (!is_store)
            continue;
        if (gml_emu.is_hopper)
            gml_emu_check_unread(i, site);
        gml_emu_writers[i].thread = gml_emu.current + 1;
        gml_emu_writers[i].fences = gml_emu_fences[gml_emu.current];
    }
    for (unsigned i = 0; i < n_barriers; i++)
        if (offset < gml_emu_mbarriers[i].at + 8 && gml_emu_mbarriers[i].at < offset + bytes)
            gml_emu_stop(gml_emu.current, "%s touches the mbarrier at byte %u of shared memory",
                         site, gml_emu_mbarriers[i].at);
}

void gml_emu_proxy_fence(const char *site)
{
    (void)site;
    gml_emu_hopper_begin();
    gml_emu_fences[gml_emu.current]++;
}

/* ---- mbarriers ----------------------------------------------------------------------------
 */

void gml_emu_mbarrier_init(void *address, uint32_t count, const char *site)
{
    uint32_t at = gml_emu_offset_of(address, 8, 8, site);
    gml_emu_access(address, 8, 8, GML_EMU_STORE, site);
    if (count == 0 || count > GML_EMU_MOST_BYTES)
        gml_emu_stop(gml_emu.current, "%s: an mbarrier of %u arrivals", site, count);
    if (n_barriers == GML_EMU_MBARRIERS)
        gml_emu_stop(gml_emu.current, "%s: more than %d mbarriers", site, GML_EMU_MBARRIERS);
    gml_emu_hopper_begin();
    gml_emu_mbarriers[n_barriers++] = (gml_emu_mbarrier){
        .at = at, .count = count, .pending = count, .maker = gml_emu.current};
}

void gml_emu_mbarrier_fence(const char *site)
{
    (void)site;
    for (unsigned i = 0; i < n_barriers; i++)
        gml_emu_mbarriers[i].is_fenced |= gml_emu_mbarriers[i].maker == gml_emu.current;
}

gml_emu_mbarrier *gml_emu_find_mbarrier(const void *address, const char *site)
{
    uint32_t at = gml_emu_offset_of(address, 8, 8, site);
    unsigned i = 0;
    while (i < n_barriers && gml_emu_mbarriers[i].at != at)
        i++;
    if (i == n_barriers)
        gml_emu_stop(gml_emu.current, "%s: there is no mbarrier at byte %u of shared memory",
                     site, at);
    if (!gml_emu_mbarriers[i].is_known && gml_emu_mbarriers[i].maker != gml_emu.current)
        gml_emu_stop(gml_emu.current,
                     "%s races: thread %u made the mbarrier at byte %u since the last barrier",
                     site, gml_emu_mbarriers[i].maker, at);
    return &gml_emu_mbarriers[i];
}

static bool is_over(const gml_emu_mbarrier *b, uint32_t parity)
{
    return b->phase % 2 != parity % 2;
}

static void wake(const gml_emu_mbarrier *b)
{
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        if (gml_emu.all[t].wait == GML_EMU_AT_MBARRIER && waits[t] == b)
            gml_emu_make_ready(t);
}

bool gml_emu_may_complete(const gml_emu_mbarrier *b)
{
    return b->pending == 0 && b->issued == b->expected;
}

void gml_emu_complete_if_done(gml_emu_mbarrier *b)
{
    if (!gml_emu_may_complete(b))
        return;
    wake(b); /* who waits makes copies land */
    if (b->landed != b->issued)
        return;
    learn(&b->over, &b->arrived);
    b->arrived = (gml_emu_clock){0};
    b->pending = b->count;
    b->expected = b->issued = b->landed = 0;
    b->phase++;
}

static void arrive(gml_emu_mbarrier *b, const char *site)
{
    if (b->pending == 0)
        gml_emu_stop(gml_emu.current,
                     "%s: phase %u of the mbarrier at byte %u has had its %u arrivals", site,
                     b->phase, b->at, b->count);
    learn(&b->arrived, &gml_emu_clocks[gml_emu.current]);
    b->pending--;
    gml_emu_complete_if_done(b);
}

void gml_emu_mbarrier_arrive(void *address, const char *site)
{
    arrive(gml_emu_find_mbarrier(address, site), site);
}

void gml_emu_mbarrier_expect(void *address, uint32_t bytes, const char *site)
{
    gml_emu_mbarrier *b = gml_emu_find_mbarrier(address, site);
    if (bytes > GML_EMU_MOST_BYTES - b->expected)
        gml_emu_stop(gml_emu.current, "%s: %u bytes and %u more are too many for an mbarrier",
                     site, b->expected, bytes);
    b->expected += bytes;
    arrive(b, site);
}

_Noreturn void gml_emu_stop_mbarrier(uint32_t thread)
{
    const gml_emu_mbarrier *b = waits[thread];
    gml_emu_stop(
        thread,
        "waits for ever at %s: phase %u of the mbarrier at byte %u lacks %u of %u arrivals "
        "and %u of %u bytes",
        gml_emu.all[thread].site, b->phase, b->at, b->pending, b->count,
        b->expected - b->issued, b->expected);
}

void gml_emu_mbarrier_wait(void *address, uint32_t parity, const char *site)
{
    gml_emu_mbarrier *b = gml_emu_find_mbarrier(address, site);
    while (!is_over(b, parity)) {
        waits[gml_emu.current] = b;
        if (gml_emu_may_complete(b))
            gml_emu_land_all(b, site);
        else
            gml_emu_wait_for(GML_EMU_AT_MBARRIER, site);
    }
    gml_emu_clock *known = &gml_emu_clocks[gml_emu.current];
    learn(known, &b->over);
    known->of[b - gml_emu_mbarriers] = b->phase;
}
