/* api/floor.h - how fast a program could be on a GPU, from what its kernels move and do.
 *
 * The floor of a phase is what takes longest of its bytes, its products on tensor cores and its
 * other arithmetic, each at a measured ceiling; that of a program is the sum over all phases.
 * Nothing runs, and nothing is said of launches, of host operators, of bodies of If, Loop and
 * Scan, or of copies to and from the device. Sizes that are open count as 1. Pure functions of
 * a program that was compiled for a GPU or its emulator.
 */
#ifndef GML_API_FLOOR_H
#define GML_API_FLOOR_H

#include "runtime/program.h"

typedef struct gml_ceilings {
    const char *name;
    double bytes, mma, flops; /* a second */
} gml_ceilings;

#define GML_CEILING_NAMES "h100 or h200"
const gml_ceilings *gml_ceilings_find(const char *name); /* "h200"; NULL: unknown */

typedef enum gml_bound {
    GML_BOUND_MEMORY,
    GML_BOUND_MMA,
    GML_BOUND_FLOPS,
    GML_BOUND_COUNT,
} gml_bound;

typedef struct gml_floor_work {
    double bytes, mma, flops;
    double seconds[GML_BOUND_COUNT]; /* of phases that each of them binds */
    uint32_t n_launches;
} gml_floor_work;

double gml_floor_seconds(const gml_floor_work *work);
gml_bound gml_floor_bound(const gml_floor_work *work); /* which takes the most of them */

/* Kernels that are alike: the same operators, shape and work. */
typedef struct gml_floor_group {
    uint32_t step, count; /* the first in the program, and how many */
    const char *shape;    /* of its first result, or "" */
    gml_floor_work work;  /* of all together */
    double passed;        /* bytes that kernels write for others, or read of them */
} gml_floor_group;

typedef enum gml_saving_kind {
    GML_SAVING_OPERANDS, /* values in f32 that products read as bf16: are written so at once */
    GML_SAVING_ROOM,     /* arrays of units that lie in device memory: are in shared memory */
    GML_SAVING_SUMS,     /* what is read for small results: they are made where it is written */
    GML_SAVING_COPIES,   /* kernels that only copy: their readers read the origin */
    GML_SAVING_FUSION,   /* what else is written by one kernel and read by one that memory
                            binds, if no third stands between: at most */
    GML_SAVING_NARROW,   /* values in f32 between kernels: are bf16, which changes results. Of
                            programs that round operands so already */
    GML_SAVING_COUNT,
} gml_saving_kind;

/* What a saving is made of, by the kernels' names. */
typedef struct gml_saving_part {
    const char *writer, *reader; /* writer NULL: there is none in the program */
    uint32_t count;
    double bytes;
} gml_saving_part;

typedef struct gml_saving {
    gml_saving_kind kind;
    uint32_t count;               /* values or kernels */
    double bytes;                 /* that no longer move */
    gml_floor_work after;         /* of the program, after this and those before it */
    const gml_saving_part *parts; /* most bytes first */
    uint32_t n_parts;
} gml_saving;

/* The longest chains of kernels of which each waits for the one before, in seconds: what a
 * program needs at least as a graph of launches (docs/devices.md), as if those beside each
 * other did not share the GPU. 0 where there is no graph: sizes are open, or there are host
 * operators. */
typedef struct gml_floor_path {
    double planned;   /* with places of the arena that are used again, and states in place */
    double values;    /* of what kernels need of each other alone */
    uint32_t n_waits; /* of kernels for each other, those left out that others imply */
} gml_floor_path;

typedef struct gml_floor {
    const gml_ceilings *ceilings;
    gml_floor_work total;
    const gml_floor_work *steps;   /* of all steps, in the program's order */
    const gml_floor_group *groups; /* slowest first */
    uint32_t n_groups, n_kernels, n_host;
    gml_floor_path path;
    int64_t batch; /* pictures, or what else there are several of; 0: unknown */
    gml_saving savings[GML_SAVING_COUNT];
} gml_floor;

/* All of it in `arena`. */
void gml_floor_find(const gml_program *program, const gml_ceilings *ceilings, gml_arena *arena,
                    gml_floor *out_floor);

/* ---- between floor.c, floor_path.c and floor_savings.c ------------------------------------
 */

/* An access of a kernel's phase, with its size. */
typedef struct gml_traffic {
    gml_access_kind kind;
    bool is_store;
    uint32_t phase, step;
    uint32_t slot; /* of a value; else GML_NO_SLOT */
    double bytes;
} gml_traffic;

typedef struct gml_floor_phase {
    uint32_t step;
    uint32_t first, n; /* of its traffic */
    double mma, flops;
    bool is_copy;
} gml_floor_phase;

typedef struct gml_floor_model {
    const gml_program *program;
    const gml_ceilings *ceilings;
    gml_arena *arena;
    gml_vec(gml_floor_phase) phases; /* in the order in which they run */
    gml_vec(gml_traffic) traffic;
} gml_floor_model;

/* `steps` are the program's. */
gml_floor_path gml_floor_find_path(const gml_program *program, const gml_floor_work *steps,
                                   gml_arena *arena);
void gml_floor_add(gml_floor_work *to, const gml_floor_work *work);
gml_floor_work gml_floor_phase_work(const gml_floor_model *model, uint32_t number);
/* Changes the model: what is saved is gone from it. */
void gml_floor_save(gml_floor_model *model, gml_saving *out_savings);

#endif
