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
/* The block's shared memory, as given at the launch: ptr, aligned to 1024. */
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

/* ---- from 9.0 on, in code for sm_90a (device_hopper.c); pointers are to shared memory ---- */

/* An mbarrier, of 8 bytes: a phase of it completes when `count` have arrived, and as many bytes
 * as were expected. Before others use it than the thread that makes it: the fence, then a
 * barrier. */
void gml_dev_mbarrier_init(gml_emit *e, LLVMValueRef barrier, unsigned count);
void gml_dev_mbarrier_fence(gml_emit *e);
void gml_dev_mbarrier_arrive(gml_emit *e, LLVMValueRef barrier);
/* Arrives, and expects so many bytes of copies that are issued after this. */
void gml_dev_mbarrier_expect(gml_emit *e, LLVMValueRef barrier, unsigned bytes);
/* Until the phase with this parity (i32) is over; of a new mbarrier, 1 is. */
void gml_dev_mbarrier_wait(gml_emit *e, LLVMValueRef barrier, LLVMValueRef parity);
/* This thread's own writes to shared memory are seen by wgmma and copies after a barrier. */
void gml_dev_proxy_fence(gml_emit *e);
/* One thread copies the box at `n` coordinates (i32, innermost first; `n` is the map's rank) to
 * `shared`, aligned to 1024 bytes where it is swizzled. Its bytes arrive at the mbarrier. */
void gml_dev_copy_box(gml_emit *e, LLVMValueRef shared, LLVMValueRef map,
                      LLVMValueRef const *at, unsigned n, LLVMValueRef barrier);
/* i64: an operand of wgmma in swizzled lines of 128 bytes: `is_mn`, lines lie along m or n, 64
 * elements each, the next 64 `leading` bytes further; otherwise along k. Of every eight lines,
 * the next eight are `stride` bytes further. The next 16 of k begin 32 bytes further in lines
 * along k, else 2 `stride`. */
LLVMValueRef gml_dev_matrix(gml_emit *e, LLVMValueRef shared, unsigned leading,
                            unsigned stride);
/* The same so many bytes further. */
LLVMValueRef gml_dev_matrix_after(gml_emit *e, LLVMValueRef matrix, unsigned bytes);

/* D += A B of 64 x `n` x 16 in bf16 by a warpgroup, four warps: sums[n / 2] are f32, and mean
 * nothing until they have been through a wait. Thread t has rows 16 (t / 32) + t % 32 / 4 and
 * that + 8, of every eight columns the two from 2 (t % 4) on: two of the row, two of the other.
 */
typedef struct gml_dev_product {
    unsigned n; /* columns, a multiple of 8 up to 256 */
    bool a_is_mn, b_is_mn;
    bool overwrites; /* D = A B */
} gml_dev_product;
void gml_dev_wgmma(gml_emit *e, const gml_dev_product *form, LLVMValueRef a, LLVMValueRef b,
                   LLVMValueRef *sums);
/* Before the first of them, and after the sums were anybody else's; threads of a warp that went
 * different ways meet here. */
void gml_dev_wgmma_fence(gml_emit *e);
void gml_dev_wgmma_commit(gml_emit *e); /* those so far are a group */
/* Until at most `pending` groups are open; `sums` of what is done become readable. */
void gml_dev_wgmma_wait(gml_emit *e, unsigned pending, LLVMValueRef *sums, unsigned n_sums);

/* Emulator: before every load and store of the module's functions, a call that checks it. To be
 * called once, when the module is complete and before it is optimised. Left out are stack
 * variables, the module's own tables, and a lane function's (runtime/abi.h: its only parameter
 * is a pointer) loads of its parameters. */
void gml_dev_check_accesses(gml_backend *be);

#endif
