/* runtime/emu_bulk.c - mbarriers, and the bulk copies that complete on them.
 *
 * PTX ISA, "mbarrier": an object of 8 bytes in shared memory with a phase, arrivals that are
 * still pending, and bytes that are still expected (tx-count). A phase completes when both are
 * zero; the next begins at once, with the count that the object was made with. A wait for a
 * parity passes when the phase of that parity, the last one or the one before it, is over: on a
 * new object that of parity 1 is. Here bytes are expected before copies are issued, so that a
 * wrong number is found where the copy is.
 *
 * PTX ISA, "cp.async.bulk.tensor": elements outside of the array arrive as zeros and count as
 * bytes like all others. "Tensor swizzling modes", 128B: bits 4 to 6 of the address in shared
 * memory are replaced by their exclusive or with bits 7 to 9.
 *
 * A copy may land at any time between its issue and the wait. Of that the two ends are tried,
 * as with cp.async: at the issue (options.early), or when a thread that waits could not go on
 * otherwise, until when its target is poison. */
#include "base/tensor_map.h"
#include "runtime/emu_calls.h"
#include "runtime/emu_hopper.h"

#include <stdlib.h>
#include <string.h>

#define GML_MAP_MAGIC  UINT32_C(0x70616d67)
#define GML_MOST_BYTES UINT32_C(0xfffff) /* of a tx-count */

/* What gml_emu_encode leaves in the 128 bytes of a map. */
typedef struct tensor_map {
    uint32_t magic;
    uint8_t size, rank; /* of an element, in bytes */
    bool is_swizzled;
    const char *base;
    uint64_t strides[GML_MAP_RANK];
    uint32_t extents[GML_MAP_RANK];
    uint16_t box[GML_MAP_RANK];
} tensor_map;

typedef struct mbarrier {
    uint32_t at;                       /* in shared memory */
    uint32_t count, phase;             /* phases over so far */
    uint32_t pending;                  /* arrivals of this one */
    uint32_t expected, issued, landed; /* bytes of this one */
    uint32_t maker;
    bool is_fenced; /* copies see it */
    bool is_known;  /* all threads do */
    gml_emu_clock arrived, over;
} mbarrier;

typedef struct copy {
    uint32_t to;
    const tensor_map *map;
    int32_t at[GML_MAP_RANK];
    mbarrier *barrier;
    uint32_t bytes;
} copy;

gml_emu_piece gml_emu_pieces[GML_EMU_PIECES];
gml_emu_writer gml_emu_writers[GML_EMU_PIECES];
gml_emu_clock gml_emu_clocks[GML_EMU_THREADS];
uint32_t gml_emu_fences[GML_EMU_THREADS];

static mbarrier barriers[GML_EMU_MBARRIERS];
static unsigned n_barriers;
static mbarrier *waits[GML_EMU_THREADS]; /* of threads at an mbarrier: which */
static copy *open;                       /* oldest first */
static size_t n_open, open_capacity;

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
    memset(barriers, 0, sizeof barriers);
    n_barriers = 0;
    n_open = 0;
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
        barriers[i].is_known = true;
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
            site, piece * 16, p->phase, barriers[p->barrier - 1U].at);
}

/* Before the current thread, or a copy of its, writes there. */
static void check_unread(uint32_t piece, const char *site)
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
            check_unread(i, site);
        gml_emu_writers[i].thread = gml_emu.current + 1;
        gml_emu_writers[i].fences = gml_emu_fences[gml_emu.current];
    }
    for (unsigned i = 0; i < n_barriers; i++)
        if (offset < barriers[i].at + 8 && barriers[i].at < offset + bytes)
            gml_emu_stop(gml_emu.current, "%s touches the mbarrier at byte %u of shared memory",
                         site, barriers[i].at);
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
    if (count == 0 || count > GML_MOST_BYTES)
        gml_emu_stop(gml_emu.current, "%s: an mbarrier of %u arrivals", site, count);
    if (n_barriers == GML_EMU_MBARRIERS)
        gml_emu_stop(gml_emu.current, "%s: more than %d mbarriers", site, GML_EMU_MBARRIERS);
    gml_emu_hopper_begin();
    barriers[n_barriers++] =
        (mbarrier){.at = at, .count = count, .pending = count, .maker = gml_emu.current};
}

void gml_emu_mbarrier_fence(const char *site)
{
    (void)site;
    for (unsigned i = 0; i < n_barriers; i++)
        barriers[i].is_fenced |= barriers[i].maker == gml_emu.current;
}

static mbarrier *find_barrier(const void *address, const char *site)
{
    uint32_t at = gml_emu_offset_of(address, 8, 8, site);
    unsigned i = 0;
    while (i < n_barriers && barriers[i].at != at)
        i++;
    if (i == n_barriers)
        gml_emu_stop(gml_emu.current, "%s: there is no mbarrier at byte %u of shared memory",
                     site, at);
    if (!barriers[i].is_known && barriers[i].maker != gml_emu.current)
        gml_emu_stop(gml_emu.current,
                     "%s races: thread %u made the mbarrier at byte %u since the last barrier",
                     site, barriers[i].maker, at);
    return &barriers[i];
}

static bool is_over(const mbarrier *b, uint32_t parity)
{
    return b->phase % 2 != parity % 2;
}

static void wake(const mbarrier *b)
{
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        if (gml_emu.all[t].wait == GML_EMU_AT_MBARRIER && waits[t] == b)
            gml_emu_make_ready(t);
}

/* All that the phase needs is here, or can land. */
static bool may_complete(const mbarrier *b)
{
    return b->pending == 0 && b->issued == b->expected;
}

static void complete_if_done(mbarrier *b)
{
    if (!may_complete(b))
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

static void arrive(mbarrier *b, const char *site)
{
    if (b->pending == 0)
        gml_emu_stop(gml_emu.current,
                     "%s: phase %u of the mbarrier at byte %u has had its %u arrivals", site,
                     b->phase, b->at, b->count);
    learn(&b->arrived, &gml_emu_clocks[gml_emu.current]);
    b->pending--;
    complete_if_done(b);
}

void gml_emu_mbarrier_arrive(void *address, const char *site)
{
    arrive(find_barrier(address, site), site);
}

void gml_emu_mbarrier_expect(void *address, uint32_t bytes, const char *site)
{
    mbarrier *b = find_barrier(address, site);
    if (bytes > GML_MOST_BYTES - b->expected)
        gml_emu_stop(gml_emu.current, "%s: %u bytes and %u more are too many for an mbarrier",
                     site, b->expected, bytes);
    b->expected += bytes;
    arrive(b, site);
}

_Noreturn void gml_emu_stop_mbarrier(uint32_t thread)
{
    const mbarrier *b = waits[thread];
    gml_emu_stop(
        thread,
        "waits for ever at %s: phase %u of the mbarrier at byte %u lacks %u of %u arrivals "
        "and %u of %u bytes",
        gml_emu.all[thread].site, b->phase, b->at, b->pending, b->count,
        b->expected - b->issued, b->expected);
}

/* ---- copies -------------------------------------------------------------------------------
 */

static uint32_t box_bytes(const tensor_map *map)
{
    uint32_t bytes = map->size;
    for (unsigned d = 0; d < map->rank; d++)
        bytes *= map->box[d];
    return bytes;
}

/* 16 bytes: elements from number `x` of a line on, of which those of `begin` up to `end` are
 * there. */
static void land_piece(const tensor_map *map, char *to, const char *line, int64_t x,
                       int64_t begin, int64_t end)
{
    unsigned n = 16 / map->size;
    if (x >= begin && x + n <= end) {
        memcpy(to, line + x * map->size, 16);
        return;
    }
    for (unsigned i = 0; i < n; i++, x++) {
        if (x >= begin && x < end)
            memcpy(to + (size_t)i * map->size, line + x * map->size, map->size);
        else
            memset(to + (size_t)i * map->size, 0, map->size);
    }
}

/* One line of the box: `at` is its first element's place. */
static void land_line(const copy *c, uint32_t line, const int64_t *at, const char *site)
{
    const tensor_map *map = c->map;
    const char *from = map->base;
    bool is_inside = true;
    for (unsigned d = 1; d < map->rank; d++) {
        is_inside = is_inside && at[d] >= 0 && at[d] < map->extents[d];
        from += is_inside ? at[d] * (int64_t)map->strides[d] : 0;
    }
    int64_t begin = at[0] < 0 ? 0 : at[0];
    int64_t end = at[0] + map->box[0];
    end = end > map->extents[0] ? map->extents[0] : end;
    if (is_inside && begin < end)
        gml_emu_access(from + begin * map->size, (uint64_t)(end - begin) * map->size, map->size,
                       GML_EMU_LOAD, site);
    uint32_t first = c->to + line * map->box[0] * map->size;
    unsigned n = 16 / map->size;
    for (unsigned i = 0; i < map->box[0]; i += n) {
        uint32_t to = first + i * map->size;
        to ^= map->is_swizzled ? (to >> 7 & 7) << 4 : 0;
        land_piece(map, gml_emu.shared + to, from, at[0] + i, is_inside ? begin : INT64_MAX,
                   end);
    }
}

static void land(const copy *c, const char *site)
{
    const tensor_map *map = c->map;
    uint32_t n_lines = c->bytes / (map->box[0] * map->size);
    for (uint32_t i = 0; i < c->bytes / 16; i++)
        gml_emu_pieces[c->to / 16 + i].is_open = false;
    for (uint32_t line = 0; line < n_lines; line++) {
        int64_t at[GML_MAP_RANK];
        uint32_t rest = line;
        at[0] = c->at[0];
        for (unsigned d = 1; d < map->rank; d++) {
            at[d] = c->at[d] + (int64_t)(rest % map->box[d]);
            rest /= map->box[d];
        }
        land_line(c, line, at, site);
    }
    c->barrier->landed += c->bytes;
}

static void land_all(mbarrier *b, const char *site)
{
    size_t kept = 0;
    for (size_t i = 0; i < n_open; i++) {
        if (open[i].barrier == b)
            land(&open[i], site);
        else
            open[kept++] = open[i];
    }
    n_open = kept;
    complete_if_done(b);
}

void gml_emu_mbarrier_wait(void *address, uint32_t parity, const char *site)
{
    mbarrier *b = find_barrier(address, site);
    while (!is_over(b, parity)) {
        waits[gml_emu.current] = b;
        if (may_complete(b))
            land_all(b, site);
        else
            gml_emu_wait_for(GML_EMU_AT_MBARRIER, site);
    }
    gml_emu_clock *known = &gml_emu_clocks[gml_emu.current];
    learn(known, &b->over);
    known->of[b - barriers] = b->phase;
}

/* The target is the copy's from here on. */
static void claim(const copy *c, const char *site)
{
    bool is_checked = !gml_emu.options.unchecked;
    if (is_checked)
        gml_emu_check_untouched(c->to, c->bytes, site);
    for (uint32_t i = c->to / 16; i < (c->to + c->bytes) / 16; i++) {
        gml_emu_piece *p = &gml_emu_pieces[i];
        if (is_checked && p->is_open)
            gml_emu_stop(
                gml_emu.current,
                "%s writes byte %u of shared memory, which is the target of another copy", site,
                i * 16);
        if (is_checked)
            check_unread(i, site);
        gml_emu_writers[i].thread = 0;
        *p = (gml_emu_piece){.phase = c->barrier->phase,
                             .barrier = (uint8_t)(c->barrier - barriers + 1),
                             .is_open = true};
    }
    memset(gml_emu.shared + c->to, GML_EMU_POISON, c->bytes);
}

static void add_open(const copy *c, const char *site)
{
    if (n_open == open_capacity) {
        size_t more = open_capacity ? open_capacity * 2 : 16;
        copy *grown = realloc(open, more * sizeof *grown);
        if (!grown)
            gml_emu_stop(gml_emu.current, "%s: no memory", site);
        open = grown;
        open_capacity = more;
    }
    open[n_open++] = *c;
}

void gml_emu_copy_box(void *shared, const void *map, const int32_t *at, void *barrier,
                      const char *site)
{
    const tensor_map *m = map;
    mbarrier *b = find_barrier(barrier, site);
    if (m->magic != GML_MAP_MAGIC)
        gml_emu_stop(gml_emu.current, "%s: %p is no tensor map", site, map);
    if (!b->is_fenced)
        gml_emu_stop(gml_emu.current,
                     "%s: no fence has shown copies the mbarrier at byte %u of shared memory",
                     site, b->at);
    uint32_t bytes = box_bytes(m);
    copy c = {.to = gml_emu_offset_of(shared, bytes, m->is_swizzled ? 1024 : 128, site),
              .map = m,
              .barrier = b,
              .bytes = bytes};
    memcpy(c.at, at, sizeof c.at);
    if (bytes > b->expected - b->issued)
        gml_emu_stop(
            gml_emu.current,
            "%s: a copy of %u bytes, but phase %u of the mbarrier at byte %u expects %u, "
            "of which %u are under way",
            site, bytes, b->phase, b->at, b->expected, b->issued);
    claim(&c, site);
    b->issued += bytes;
    if (gml_emu.options.early)
        land(&c, site);
    else
        add_open(&c, site);
    complete_if_done(b);
}

/* ---- maps ---------------------------------------------------------------------------------
 */

const char *gml_emu_encode(const gml_map_layout *layout, const void *memory, void *out_map)
{
    _Static_assert(sizeof(tensor_map) <= 128, "a map has 128 bytes");
    tensor_map map = {.magic = GML_MAP_MAGIC,
                      .size = 2,
                      .rank = (uint8_t)layout->rank,
                      .is_swizzled = layout->is_swizzled,
                      .base = (const char *)memory + layout->offset};
    if (layout->dtype != GML_BF16)
        return "elements that are not bf16";
    if (layout->rank == 0 || layout->rank > GML_MAP_RANK)
        return "a rank that is not 1 to 5";
    if ((uintptr_t)map.base % 16)
        return "an address that is not aligned to 16 bytes";
    if (layout->is_swizzled && layout->box[0] != 128 / map.size)
        return "a swizzled line that has not 128 bytes";
    for (unsigned d = 0; d < layout->rank; d++) {
        if (layout->extents[d] <= 0 || layout->extents[d] > UINT32_MAX)
            return "an extent that is not 1 to 2^32 - 1";
        if (layout->box[d] == 0 || layout->box[d] > 256)
            return "a box that is not 1 to 256 elements long";
        if (d > 0 && (layout->strides[d] <= 0 || layout->strides[d] % 16 ||
                      layout->strides[d] >= INT64_C(1) << 40))
            return "a stride that is no multiple of 16 bytes below 2^40";
        map.extents[d] = (uint32_t)layout->extents[d];
        map.strides[d] = (uint64_t)layout->strides[d];
        map.box[d] = (uint16_t)layout->box[d];
    }
    if (layout->box[0] * map.size % 16)
        return "a line that is no multiple of 16 bytes";
    memset(out_map, 0, 128);
    memcpy(out_map, &map, sizeof map);
    return NULL;
}
