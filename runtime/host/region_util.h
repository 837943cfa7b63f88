/* runtime/host/region_util.h - running the graphs inside If, Loop, Scan and SequenceMap. */
#ifndef GML_RUNTIME_HOST_REGION_UTIL_H
#define GML_RUNTIME_HOST_REGION_UTIL_H

#include "runtime/host/sequence_util.h"

typedef struct gml_region {
    gml_host_call *call;
    unsigned number;
    size_t n_params, n_results;
    gml_rvalue *params;  /* owned by the region: set them, run, and they are reset */
    gml_rvalue *results; /* of the last run: take them (see gml_region_take) or leave them */
} gml_region;

/* The region of graph attribute `name`, with arrays for its values in `scratch`. Finish with
 * gml_region_reset, also after a failure. */
gml_status gml_region_init(gml_region *region, gml_host_call *call, const char *name,
                           gml_scratch *scratch);
void gml_region_reset(gml_region *region);
/* Fails unless the region has so many parameters and results. */
gml_status gml_region_expect(const gml_region *region, size_t n_params, size_t n_results);
/* Drops the last results, runs, drops the parameters. */
gml_status gml_region_run(gml_region *region);
/* Parameter `k` shares what `value` holds. */
gml_status gml_region_set(gml_region *region, size_t k, const gml_rvalue *value);
/* Moves `from` over `to`; `from` is NONE after. */
void gml_rvalue_take(gml_rvalue *to, gml_rvalue *from);

/* The values of scan outputs, one list per output, joined at the end. */
typedef struct gml_stacks {
    gml_rvalue *lists; /* sequences with spare room */
    size_t n_lists;
    size_t count; /* items in each */
} gml_stacks;

gml_status gml_stacks_init(gml_stacks *stacks, gml_host_call *call, size_t n_lists,
                           gml_scratch *scratch);
void gml_stacks_reset(gml_stacks *stacks);
/* Takes `values`, one per list. */
gml_status gml_stacks_push(gml_stacks *stacks, gml_host_call *call, gml_rvalue *values);
/* Result `result` becomes list `k`, joined; without items, an empty tensor of the inferred
 * shape. */
gml_status gml_stacks_join(const gml_stacks *stacks, gml_host_call *call, size_t k,
                           unsigned result, const gml_join *join);

#endif
