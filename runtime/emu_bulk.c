/* runtime/emu_bulk.c - bulk copies of boxes, which complete on mbarriers, and their maps.
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

#define GML_MAP_MAGIC UINT32_C(0x70616d67)

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

typedef struct copy {
    uint32_t to;
    const tensor_map *map;
    int32_t at[GML_MAP_RANK];
    gml_emu_mbarrier *barrier;
    uint32_t bytes;
} copy;

static copy *open; /* oldest first */
static size_t n_open, open_capacity;

void gml_emu_forget_boxes(void)
{
    n_open = 0;
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

void gml_emu_land_all(gml_emu_mbarrier *b, const char *site)
{
    size_t kept = 0;
    for (size_t i = 0; i < n_open; i++) {
        if (open[i].barrier == b)
            land(&open[i], site);
        else
            open[kept++] = open[i];
    }
    n_open = kept;
    gml_emu_complete_if_done(b);
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
            gml_emu_check_unread(i, site);
        gml_emu_writers[i].thread = 0;
        *p = (gml_emu_piece){.phase = c->barrier->phase,
                             .barrier = (uint8_t)(c->barrier - gml_emu_mbarriers + 1),
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
    gml_emu_mbarrier *b = gml_emu_find_mbarrier(barrier, site);
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
    gml_emu_complete_if_done(b);
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
