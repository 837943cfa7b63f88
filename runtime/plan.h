/* runtime/plan.h - which slots are alive when, and where they lie. Private to runtime/.
 *
 * The same placement serves the compiler (gml_program_plan, constant sizes) and an instance
 * that binds shapes. Nothing here but gml_place_beside allocates: the caller lends all arrays.
 */
#ifndef GML_RUNTIME_PLAN_H
#define GML_RUNTIME_PLAN_H

#include "runtime/program.h"

/* Regions within regions; bounds every recursion over them. */
#define GML_MAX_REGION_DEPTH 100

#define GML_ALIGN 64

/* `size` up to a multiple of GML_ALIGN; `size` is at most INT64_MAX. */
static inline uint64_t gml_align_up(uint64_t size)
{
    return (size + (GML_ALIGN - 1)) / GML_ALIGN * GML_ALIGN;
}

/* By slot: the step that writes it (UINT32_MAX: none) and the last one that reads it, directly
 * or as the capture of a region. A slot that nobody reads dies with its step; an output lives
 * until step number steps.count. */
typedef struct gml_liveness {
    uint32_t *first;
    uint32_t *last;
} gml_liveness;

void gml_find_liveness(const gml_program *program, gml_liveness live);

/* Output `output` of `step` may be computed over input `input`: the step says so, and reads
 * that slot as nothing else. */
bool gml_may_lie_over(const gml_step *step, uint32_t output, uint32_t input);

typedef struct gml_place {
    uint64_t size; /* bytes */
    uint64_t offset;
    uint32_t first, last; /* steps, both included */
    uint32_t slot;
} gml_place;

/* The lowest offset, a multiple of GML_ALIGN, where `place` overlaps none of `n` places alive
 * at the same time, which rise by offset in `order` (NULL: as they are). */
uint64_t gml_find_gap(const gml_place *places, const uint32_t *order, size_t n,
                      const gml_place *place);

/* Sorts `places` by falling size and sets each offset to the lowest multiple of GML_ALIGN where
 * it overlaps nothing alive at the same time. `order` is room for n_places numbers. False when
 * the sizes do not fit 2^62 bytes. */
bool gml_place_all(gml_place *places, size_t n_places, uint32_t *order, uint64_t *out_size);
/* The same with time spent on a smaller arena. The result is in `best`, room for n_places. */
bool gml_place_best(gml_place *places, size_t n_places, uint32_t *order, gml_place *best,
                    uint64_t *out_size);

/* Which places the steps of a program use: numbers + 1, 0: none. */
typedef struct gml_place_users {
    const gml_program *program;
    const uint32_t *place_of_slot;
    const uint32_t *place_of_work; /* by step: for itself */
} gml_place_users;

/* For steps that may run beside each other (plan_beside.c): moves places, within `size`, to
 * where fewer steps wait for a place to be left. What is alive at the same time still overlaps
 * nowhere. `slot` is the place's number; the order of `places` is lost. */
void gml_place_beside(const gml_place_users *of, gml_place *places, size_t n_places,
                      uint64_t size);

#endif
