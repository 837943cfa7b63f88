/* codegen/llvm/device.h - what a GPU can do beyond plain LLVM, as named device functions.
 *
 * Kernels are written once. What only a GPU has (its indices, barriers, exchange between lanes,
 * tensor cores, asynchronous copies) is a call of a function of the module, gml_dev_NAME. For
 * NVPTX its body is an intrinsic or inline assembly; for the emulator it calls the C model
 * gml_emu_NAME (runtime/emu.h). Private to codegen/llvm.
 *
 * These functions are to be inlined: the passes of a module begin with always-inline. In the
 * emulator's reports a call is "barrier 3 of FUNCTION", with e->site_text behind it in brackets
 * where that is set; NVPTX ignores it.
 */
#ifndef GML_CODEGEN_LLVM_DEVICE_H
#define GML_CODEGEN_LLVM_DEVICE_H

#include "codegen/llvm/emit.h"

/* i32: this thread's number in its block, the block's number, how many blocks there are. */
LLVMValueRef gml_dev_thread(gml_emit *e);
LLVMValueRef gml_dev_block(gml_emit *e);
LLVMValueRef gml_dev_blocks(gml_emit *e);
/* All threads of the block come here; their writes before are seen after. */
void gml_dev_barrier(gml_emit *e);
/* The value (i32, i64, f32 or f64) of the lane whose number differs in the bits `mask`; all 32
 * lanes of the warp come here. */
LLVMValueRef gml_dev_shuffle_xor(gml_emit *e, LLVMValueRef value, unsigned mask);
/* The block's shared memory, as given at the launch: ptr, aligned to 128. */
LLVMValueRef gml_dev_shared(gml_emit *e);
/* D = A B + C of 16 x 8 x 16 bf16 in a warp (mma.sync.m16n8k16.row.col): a[4] and b[2] are i32
 * pairs, c[4] f32, and so is what is returned in `d`. */
void gml_dev_mma_bf16(gml_emit *e, LLVMValueRef const *a, LLVMValueRef const *b,
                      LLVMValueRef const *c, LLVMValueRef *d);
/* The same of 16 x 8 x 8 in tf32: a[4], b[2] as i32 bits of f32 whose low 13 bits do not count.
 */
void gml_dev_mma_tf32(gml_emit *e, LLVMValueRef const *a, LLVMValueRef const *b,
                      LLVMValueRef const *c, LLVMValueRef *d);
/* Four 8 x 8 matrices of 16-bit elements out of shared memory (ldmatrix.x4): each lane gives
 * the address of a row of 16 bytes; `d` gets four i32. */
void gml_dev_load_matrix(gml_emit *e, LLVMValueRef address, bool transposed, LLVMValueRef *d);
/* Copies 16 bytes from device to shared memory, or writes zeros where `valid` (i1) is false;
 * done when the group that it is committed to has been waited for. */
void gml_dev_copy_async(gml_emit *e, LLVMValueRef shared, LLVMValueRef from,
                        LLVMValueRef valid);
void gml_dev_copy_commit(gml_emit *e);
/* Until at most `pending` groups of this thread are open. A barrier makes others see them. */
void gml_dev_copy_wait(gml_emit *e, unsigned pending);

/* Emulator: before every load and store of the module's functions, a call that checks it. To be
 * called once, when the module is complete and before it is optimised. Left out are stack
 * variables, the module's own tables, and a lane function's (runtime/abi.h: its only parameter
 * is a pointer) loads of its parameters. */
void gml_dev_check_accesses(gml_backend *be);

#endif
