/* runtime/depends.h - which calls have to wait for which, by the memory that they touch.
 *
 * Calls are added in an order that is right. One waits for an earlier one where both touch a
 * byte and one of them writes it: it reads what was written there, or writes over what is read
 * there or was written. A wait that others imply is left out, so that calls of which each needs
 * the one before are a chain.
 *
 * Memory is numbers here: addresses of a device, or places of a plan. Everything is in the
 * arena of the list and dies with it. Not thread-safe.
 */
#ifndef GML_RUNTIME_DEPENDS_H
#define GML_RUNTIME_DEPENDS_H

#include "base/arena.h"

#include <stdint.h>

typedef struct gml_range {
    uint64_t start, end; /* bytes, without the one at `end`; an empty one counts for nothing */
    bool is_written;     /* and maybe read; else only read */
} gml_range;

/* Of a call of which nothing is known: it waits for all, and all wait for it. */
#define GML_EVERYWHERE ((gml_range){0, UINT64_MAX, true})

typedef struct gml_depends {
    gml_arena arena;
    gml_vec(struct gml_piece) pieces; /* of memory, apart and rising */
    gml_vec(uint32_t) found;          /* what the newest call waits for */
    gml_vec(uint32_t) last_found;     /* by call: the one that found it last */
    gml_vec(uint64_t *) befores;      /* by call, as bits: all that it comes after */
} gml_depends;

void gml_depends_init(gml_depends *depends);
void gml_depends_reset(gml_depends *depends);

/* Adds the next call, whose numbers count from 0. Returns what it waits for, falling, none
 * twice; valid until the next one. One that touches nothing waits for nothing, nor does any for
 * it. */
const uint32_t *gml_depends_add(gml_depends *depends, const gml_range *ranges, size_t n,
                                uint32_t *out_count);
/* Whether `later` waits for `earlier`, or for what does: false also where that is not known,
 * of calls beyond the first 16,384. */
bool gml_depends_is_before(const gml_depends *depends, uint32_t earlier, uint32_t later);

#endif
