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
/* Before a load or store of `bytes` that claims to be aligned to `align`. */
void gml_emu_access(const void *address, uint64_t bytes, uint32_t align, uint32_t is_store,
                    const char *site);

#endif
