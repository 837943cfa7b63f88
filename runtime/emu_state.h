/* runtime/emu_state.h - the launch that runs, as the emulator's files share it. Private to
 * them.
 *
 * Threads of a block are numbered as the GPU does; a warp is 32 in a row. Turns go by places: a
 * permutation of the warps, and one of the lanes of every warp. */
#ifndef GML_RUNTIME_EMU_STATE_H
#define GML_RUNTIME_EMU_STATE_H

#include "runtime/emu.h"
#include "runtime/emu_fiber.h"

#define GML_EMU_THREADS 1024 /* of a block, at most */
#define GML_EMU_SHARED  ((size_t)227 << 10)
#define GML_EMU_POISON  0xff /* bytes of it are a NaN in every float, and -1 */

typedef enum gml_emu_wait {
    GML_EMU_RUNS, /* or may, or has not begun */
    GML_EMU_AT_BARRIER,
    GML_EMU_IN_SHUFFLE,
    GML_EMU_IN_MMA_BF16,
    GML_EMU_IN_MMA_TF32,
    GML_EMU_IN_LOAD_MATRIX,
    GML_EMU_IN_LOAD_MATRIX_TRANSPOSED,
    GML_EMU_AT_MBARRIER,
    GML_EMU_IN_WGMMA,
    GML_EMU_ENDED,
} gml_emu_wait;

typedef struct gml_emu_thread_state {
    gml_fiber *fiber; /* NULL: it has not begun, or has ended */
    const char *site; /* where it waits */
    gml_emu_wait wait;
} gml_emu_thread_state;

typedef struct gml_emu_warp {
    uint32_t ready;  /* by place */
    unsigned n_here; /* lanes in the collective */
    uint32_t first;  /* the thread that came to it first */
    unsigned parity;
    uint64_t value[2][32]; /* what lanes exchange; of two collectives in a row, since lanes
                              still read the one when others come to the next */
    void *operand[32];
} gml_emu_warp;

typedef struct gml_emu_launch_state {
    const char *kernel;
    gml_lane_fn lane;
    void *const *params;
    uint32_t threads, blocks, block;
    uint32_t current; /* thread */
    uint32_t n_warps, ready_warps, all_warps;
    uint8_t warp_at[32], place_of_warp[32];
    uint8_t lane_at[32], place_of_lane[32];
    uint32_t n_at_barrier, first_at_barrier, n_ended;
    char *shared;
    uint32_t n_shared;
    gml_emu_options options;
    bool is_hopper; /* this block has mbarriers, or wgmma */
    bool failed;
    char failure[512];
    gml_emu_warp warps[GML_EMU_THREADS / 32];
    gml_emu_thread_state all[GML_EMU_THREADS];
} gml_emu_launch_state;

extern gml_emu_launch_state gml_emu;

/* Ends the launch; the words follow "kernel K, block B, thread T: ". */
_Noreturn void gml_emu_stop(uint32_t thread, const char *format, ...) GML_PRINTF(2, 3);
/* The current thread comes to a collective of its warp. True: it is the last, and must do what
 * is to be done for all lanes. False: that was done. `operand` is the lane's. */
bool gml_emu_gather(gml_emu_wait what, void *operand, const char *site);

/* The current thread waits until somebody makes it ready. */
void gml_emu_wait_for(gml_emu_wait what, const char *site);
void gml_emu_make_ready(uint32_t thread);
/* Thread `waits` waits for ever: thread `other` is not where it should be. */
_Noreturn void gml_emu_stop_waiting(uint32_t waits, uint32_t other);

/* What the launch holds, and whoever changes what it reads. */
void gml_emu_lock(void);
void gml_emu_unlock(void);

/* ---- memory (emu_memory.c) ---- */
/* What was touched until now cannot race with what follows. */
void gml_emu_next_epoch(void);
/* 16 bytes there are, or no longer are, the target of an open copy of the current thread. */
void gml_emu_mark_copy(const char *to, bool open);
void gml_emu_forget_copies(void);
/* Stops where 16 bytes at `address` are not in shared memory. */
void gml_emu_check_shared(const void *address, const char *site);
/* Stops where another thread touched some of these bytes since the last barrier, or they are
 * the target of an open copy. */
void gml_emu_check_untouched(uint32_t offset, uint32_t bytes, const char *site);
/* A copy reads 16 bytes from its issue to the wait for it. Returns what the wait is to pass. */
uint32_t gml_emu_open_source(const void *from, const char *site);
void gml_emu_close_source(const void *from, uint32_t issued, const char *site);
/* Forgets what was touched in all allocations. */
void gml_emu_reset_shadows(void);

/* ---- races in device memory (emu_races.c) ---- */
/* Of an allocation: who touched its bytes, in this launch. */
typedef struct gml_emu_shadow gml_emu_shadow;
gml_emu_shadow *gml_emu_shadow_create(size_t bytes); /* NULL: there is no memory */
void gml_emu_shadow_reset(gml_emu_shadow *shadow);
void gml_emu_shadow_destroy(gml_emu_shadow *shadow); /* accepts NULL */
/* A launch begins; false: there is no memory. Then each block does, in turn. */
bool gml_emu_begin_races(uint32_t blocks);
void gml_emu_begin_block(void);
/* A barrier of the block. */
void gml_emu_next_stamp(void);
/* The current thread accesses bytes `offset` and on of the allocation; a race ends the launch.
 */
void gml_emu_touch(gml_emu_shadow *shadow, uint64_t offset, uint64_t bytes, uint32_t kind,
                   const char *site);
/* The source of a copy, as gml_emu_open_source and gml_emu_close_source say. */
uint32_t gml_emu_touch_open(gml_emu_shadow *shadow, uint64_t offset, const char *site);
void gml_emu_touch_closed(gml_emu_shadow *shadow, uint64_t offset, uint32_t issued,
                          const char *site);

/* ---- copies (emu_copy.c) ---- */
/* Open copies of the block before are forgotten. */
void gml_emu_drop_copies(void);

/* ---- mbarriers, bulk copies and wgmma (emu_mbarrier.c, emu_bulk.c, emu_wgmma.c) ---- */
/* Before a block, if the one before had any. */
void gml_emu_hopper_reset(void);
/* All threads are at a barrier: each knows what any knows. */
void gml_emu_hopper_meet(void);
/* Before the current thread itself reads or writes shared memory. */
void gml_emu_hopper_check(uint32_t offset, uint32_t bytes, bool is_store, const char *site);
/* A thread that waits for an mbarrier waits for ever. */
_Noreturn void gml_emu_stop_mbarrier(uint32_t thread);

#endif
