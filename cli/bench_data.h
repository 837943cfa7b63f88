/* cli/bench_data.h - gemel bench --data: how fast pictures are loaded. Private to cli/. */
#ifndef GML_CLI_BENCH_DATA_H
#define GML_CLI_BENCH_DATA_H

#include "data/loader.h"

#include <stdbool.h>

typedef struct gml_bench_data {
    const char *folder;
    int64_t batch, size; /* pictures; pixels a side of a view */
    int n_workers;
    double seconds; /* of measuring, behind a first batch that does not count */
    uint64_t seed;
    bool fast_jpeg, json;
} gml_bench_data;

/* Loads batches of SiameseIM's two views at full augmentation and prints the rate. */
GML_MUST_CHECK gml_status gml_bench_data_run(const gml_bench_data *options, gml_diags *diags);

#endif
