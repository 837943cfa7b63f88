/* runtime/emu_hopper.h - what the emulator knows of mbarriers, bulk copies and wgmma. Private
 * to emu_mbarrier.c, emu_bulk.c and emu_wgmma.c.
 *
 * Both happen at another time than the threads that ask for them, so who may touch what cannot
 * be told from barriers of the block alone. Every thread has a clock: how many phases of each
 * mbarrier, and how many wgmma groups of each warp, it knows to be over. It learns by waiting;
 * an arrival leaves what the thread knows with the mbarrier, and a wait takes it from there.
 * Shared memory is marked, by 16 bytes, with what is to be known before it may be touched:
 *   the phase that a bulk copy into it belongs to, before it is read or written;
 *   the wgmma groups that read it, before it is written. */
#ifndef GML_RUNTIME_EMU_HOPPER_H
#define GML_RUNTIME_EMU_HOPPER_H

#include "runtime/emu_state.h"

#define GML_EMU_MBARRIERS  16
#define GML_EMU_MOST_BYTES UINT32_C(0xfffff) /* of a tx-count */
#define GML_EMU_PIECES     (GML_EMU_SHARED / 16)
#define GML_EMU_GROUPS     (GML_EMU_THREADS / 128) /* warpgroups */
#define GML_EMU_CLOCK_WARP GML_EMU_MBARRIERS       /* in a clock, that of warp 0 */

/* By mbarrier: phases that are over; then by warp: wgmma groups. */
typedef struct gml_emu_clock {
    uint32_t of[GML_EMU_MBARRIERS + GML_EMU_THREADS / 32];
} gml_emu_clock;

typedef struct gml_emu_mbarrier {
    uint32_t at;                       /* in shared memory */
    uint32_t count, phase;             /* phases over so far */
    uint32_t pending;                  /* arrivals of this one */
    uint32_t expected, issued, landed; /* bytes of this one */
    uint32_t maker;
    bool is_fenced; /* copies see it */
    bool is_known;  /* all threads do */
    gml_emu_clock arrived, over;
} gml_emu_mbarrier;

/* Of 16 bytes. */
typedef struct gml_emu_piece {
    uint32_t phase;  /* of the mbarrier that the last copy into it is for */
    uint8_t barrier; /* + 1; 0: no copy */
    bool is_open;    /* that copy has not landed */
    uint32_t
        readers[GML_EMU_GROUPS]; /* by warpgroup: the last wgmma group that reads it, + 1 */
} gml_emu_piece;

/* Of 16 bytes, in every block: who wrote there last, not by a copy. */
typedef struct gml_emu_writer {
    uint32_t thread; /* + 1; 0: nobody */
    uint32_t fences; /* of that thread, then */
} gml_emu_writer;

extern gml_emu_piece gml_emu_pieces[GML_EMU_PIECES];
extern gml_emu_writer gml_emu_writers[GML_EMU_PIECES];
extern gml_emu_mbarrier gml_emu_mbarriers[GML_EMU_MBARRIERS];
extern gml_emu_clock gml_emu_clocks[GML_EMU_THREADS]; /* by thread */
extern uint32_t gml_emu_fences[GML_EMU_THREADS];      /* fence.proxy.async so far, by thread */

/* ---- emu_mbarrier.c ---- */
/* This block has some: the marks are looked at from here on. */
void gml_emu_hopper_begin(void);
/* Stops where the current thread does not know that the last copy into the 16 bytes is over. */
void gml_emu_check_arrived(uint32_t piece, uint32_t thread, const char *site);
/* Where in shared memory; stops where `bytes` there are not. */
uint32_t gml_emu_offset_of(const void *shared, uint32_t bytes, uint32_t align,
                           const char *site);

/* Stops where a wgmma that the current thread does not know to be done reads the 16 bytes. */
void gml_emu_check_unread(uint32_t piece, const char *site);
/* At an address; stops where none is, or the thread cannot know of it. */
gml_emu_mbarrier *gml_emu_find_mbarrier(const void *address, const char *site);
/* All that the phase needs is here, or can land. */
bool gml_emu_may_complete(const gml_emu_mbarrier *barrier);
/* After any change: whoever waits goes on. */
void gml_emu_complete_if_done(gml_emu_mbarrier *barrier);

/* ---- emu_bulk.c ---- */
void gml_emu_forget_boxes(void);
/* The copies that are under way for the mbarrier. */
void gml_emu_land_all(gml_emu_mbarrier *barrier, const char *site);

/* ---- emu_wgmma.c ---- */
void gml_emu_wgmma_reset(void);

#endif
