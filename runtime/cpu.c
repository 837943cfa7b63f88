/* runtime/cpu.c - features by CPUID, and by XCR0, which tells whether the system saves the
 * registers. */
#include "runtime/cpu.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#    include <cpuid.h>

enum { GML_EAX, GML_EBX, GML_ECX, GML_EDX };

/* Register sets in XCR0. */
#    define GML_AVX    0x6u
#    define GML_AVX512 0xe6u
#    define GML_AMX    0x60000u

typedef struct feature {
    const char *name;
    uint32_t leaf, subleaf;
    int reg;
    int bit;
    uint32_t state; /* that the system must save */
} feature;

static const feature features[] = {
    {"amx-bf16", 7, 0, GML_EDX, 22, GML_AMX},
    {"amx-fp16", 7, 1, GML_EAX, 21, GML_AMX},
    {"amx-int8", 7, 0, GML_EDX, 25, GML_AMX},
    {"amx-tile", 7, 0, GML_EDX, 24, GML_AMX},
    {"avx", 1, 0, GML_ECX, 28, GML_AVX},
    {"avx2", 7, 0, GML_EBX, 5, GML_AVX},
    {"avx512bf16", 7, 1, GML_EAX, 5, GML_AVX512},
    {"avx512bw", 7, 0, GML_EBX, 30, GML_AVX512},
    {"avx512cd", 7, 0, GML_EBX, 28, GML_AVX512},
    {"avx512dq", 7, 0, GML_EBX, 17, GML_AVX512},
    {"avx512f", 7, 0, GML_EBX, 16, GML_AVX512},
    {"avx512fp16", 7, 0, GML_EDX, 23, GML_AVX512},
    {"avx512ifma", 7, 0, GML_EBX, 21, GML_AVX512},
    {"avx512vbmi", 7, 0, GML_ECX, 1, GML_AVX512},
    {"avx512vbmi2", 7, 0, GML_ECX, 6, GML_AVX512},
    {"avx512vl", 7, 0, GML_EBX, 31, GML_AVX512},
    {"avx512vnni", 7, 0, GML_ECX, 11, GML_AVX512},
    {"avxvnni", 7, 1, GML_EAX, 4, GML_AVX},
    {"bmi", 7, 0, GML_EBX, 3, 0},
    {"bmi2", 7, 0, GML_EBX, 8, 0},
    {"f16c", 1, 0, GML_ECX, 29, GML_AVX},
    {"fma", 1, 0, GML_ECX, 12, GML_AVX},
    {"lzcnt", 0x80000001u, 0, GML_ECX, 5, 0},
    {"popcnt", 1, 0, GML_ECX, 23, 0},
    {"sse3", 1, 0, GML_ECX, 0, 0},
    {"sse4.1", 1, 0, GML_ECX, 19, 0},
    {"sse4.2", 1, 0, GML_ECX, 20, 0},
    {"ssse3", 1, 0, GML_ECX, 9, 0},
};

/* 0 when the system does not say. */
static uint32_t saved_state(void)
{
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
    uint32_t d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || ((c >> 27) & 1) == 0)
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

bool gml_cpu_has(const char *name)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        const feature *f = &features[i];
        uint32_t regs[4] = {0};
        if (strcmp(f->name, name) != 0)
            continue;
        return __get_cpuid_count(f->leaf, f->subleaf, &regs[GML_EAX], &regs[GML_EBX],
                                 &regs[GML_ECX], &regs[GML_EDX]) != 0 &&
               ((regs[f->reg] >> f->bit) & 1) != 0 &&
               (f->state == 0 || (saved_state() & f->state) == f->state);
    }
    return false;
}

#else

bool gml_cpu_has(const char *name)
{
    (void)name;
    return false;
}

#endif
