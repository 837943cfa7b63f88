/* api/limits.h - what this machine can do at most, measured in a fraction of a second. */
#ifndef GML_API_LIMITS_H
#define GML_API_LIMITS_H

#include "runtime/program.h"

/* GFLOP/s of fp32 fused multiply-adds held in registers, and GB/s of reading 256 MB, with all
 * threads of `pool`. 0 where it could not be measured. */
void gml_measure_limits(gml_pool *pool, double *out_gflops, double *out_gbytes);

#endif
