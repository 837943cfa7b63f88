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
