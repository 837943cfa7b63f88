/* runtime/emu_calls.h - what emulated code calls: one function for each of the named device
 * functions (codegen/llvm/device.h), and the check of an access.
 *
 * Generated code knows these names and types and nothing else of the emulator; tests write
 * kernels in C with them. They may be called by a kernel under gml_emu_launch only. Arguments
 * and results are integers and pointers, so that generated code needs no rules of the C ABI. A
 * `site` lives as long as the code.
 */
#ifndef GML_RUNTIME_EMU_CALLS_H
#define GML_RUNTIME_EMU_CALLS_H

#include <stdint.h>

uint32_t gml_emu_thread(void);
uint32_t gml_emu_block(void);
uint32_t gml_emu_blocks(void);
void *gml_emu_shared(void);
void gml_emu_barrier(const char *site);
/* The bits of the lane that differs in `mask`. */
uint64_t gml_emu_shuffle_xor(uint64_t bits, uint32_t mask, const char *site);
/* `words` are the lane's a[4], b[2] and c[4]; the result takes the place of c. */
void gml_emu_mma_bf16(uint32_t *words, const char *site);
void gml_emu_mma_tf32(uint32_t *words, const char *site);
/* Leaves four words. */
void gml_emu_load_matrix(const void *address, uint32_t transposed, uint32_t *words,
                         const char *site);
void gml_emu_copy_async(void *shared, const void *from, uint32_t valid, const char *site);
void gml_emu_copy_commit(const char *site);
void gml_emu_copy_wait(uint32_t pending, const char *site);

/* An mbarrier: 8 bytes of shared memory, whose phases complete when `count` have arrived and
 * all bytes that were expected are there. Expecting is arriving, too, and comes before the
 * copies are issued. A wait is for the phase of that parity. */
void gml_emu_mbarrier_init(void *address, uint32_t count, const char *site);
/* Shows this thread's initialisations to the copies. */
void gml_emu_mbarrier_fence(const char *site);
void gml_emu_mbarrier_arrive(void *address, const char *site);
void gml_emu_mbarrier_expect(void *address, uint32_t bytes, const char *site);
void gml_emu_mbarrier_wait(void *address, uint32_t parity, const char *site);
/* Shows this thread's writes to shared memory to wgmma. */
void gml_emu_proxy_fence(const char *site);
/* The box at five coordinates (those behind the map's rank do not count). */
void gml_emu_copy_box(void *shared, const void *map, const int32_t *at, void *barrier,
                      const char *site);
/* D = A B + D of 64 x n x 16 by a warpgroup. `words` are the thread's n / 2 sums, in whose
 * place come words that mean nothing until the wait. `form` is of GML_EMU_WGMMA_…. */
#define GML_EMU_WGMMA_N          0x1ffu
#define GML_EMU_WGMMA_A_IS_MN    0x200u
#define GML_EMU_WGMMA_B_IS_MN    0x400u
#define GML_EMU_WGMMA_ACCUMULATE 0x800u
void gml_emu_wgmma(uint32_t *words, uint64_t a, uint64_t b, uint32_t form, const char *site);
void gml_emu_wgmma_fence(const char *site);
void gml_emu_wgmma_commit(const char *site);
void gml_emu_wgmma_wait(uint32_t pending, uint32_t *words, uint32_t n_words, const char *site);

/* Before an access of `bytes` that claims to be aligned to `align`. Atomic ones do not race. */
#define GML_EMU_LOAD   0u
#define GML_EMU_STORE  1u
#define GML_EMU_ATOMIC 2u
void gml_emu_access(const void *address, uint64_t bytes, uint32_t align, uint32_t kind,
                    const char *site);
/* Of a vector whose elements are `bytes` long, those whose bits are set. */
void gml_emu_access_masked(const void *address, uint64_t bytes, uint32_t align, uint32_t kind,
                           uint64_t mask, const char *site);

#endif
