/* runtime/cpu.h - what the processor can do. Pure; any thread. */
#ifndef GML_RUNTIME_CPU_H
#define GML_RUNTIME_CPU_H

#include <stdbool.h>

/* True when both the processor and the operating system support the feature, named as LLVM
 * does: "avx2", "avx512f", "amx-tile". An unknown name is not supported. */
bool gml_cpu_has(const char *feature);

#endif
