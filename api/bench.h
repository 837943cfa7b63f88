/* api/bench.h - how long a compiled program takes, whole and kernel by kernel.
 *
 * Times are nanoseconds of the monotonic clock. The inputs are random, the same every run.
 */
#ifndef GML_API_BENCH_H
#define GML_API_BENCH_H

#include "runtime/program.h"

typedef struct gml_bench_step {
    uint32_t step;  /* in the program */
    uint64_t total; /* over all timed runs */
} gml_bench_step;

typedef struct gml_bench {
    uint32_t n_runs;
    uint64_t *runs;        /* of each timed run, sorted */
    gml_bench_step *steps; /* of all steps, most expensive first */
    uint32_t n_steps;
    uint64_t first; /* the first run, which touches all memory */
    size_t memory;  /* bytes of arena and scratch */
    double gflops;  /* fused multiply-adds in registers, all threads: the machine's limit,
                       measured */
    double gbytes;  /* reading memory that no cache holds, GB/s */
} gml_bench;

typedef struct gml_bench_options {
    int n_threads;
    uint32_t n_runs; /* 0: as many as fit into `seconds` */
    uint32_t n_warmup;
    double seconds;
    uint64_t seed;
    bool limits; /* measure the machine's limits too */
} gml_bench_options;

/* `inputs` (n_inputs of the program) may be NULL: random ones are made, symbolic sizes being 1.
 * Results are in `arena`. */
GML_MUST_CHECK gml_status gml_bench_run(gml_program *program, const gml_rvalue *inputs,
                                        const gml_bench_options *options, gml_arena *arena,
                                        gml_bench *out_bench, gml_diags *diags);
/* Values for every input of the program, random from `seed`: floats normal, integers 0 or 1;
 * states as they are at first. The caller resets them. */
GML_MUST_CHECK gml_status gml_random_inputs(const gml_program *program, uint64_t seed,
                                            gml_rvalue *out_inputs, gml_diags *diags);
/* The q-quantile of the sorted runs, in milliseconds. */
double gml_bench_quantile(const gml_bench *bench, double q);

#endif
