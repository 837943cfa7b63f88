/* cli/bench_floor.h - what gemel bench says of how fast a program could be. Private to cli/. */
#ifndef GML_CLI_BENCH_FLOOR_H
#define GML_CLI_BENCH_FLOOR_H

#include "api/floor.h"

/* The program's exit status. */
int gml_bench_floor_print(const gml_program *program, const gml_ceilings *ceilings, bool json,
                          gml_arena *arena);

#endif
