/* runtime/program.h - a compiled model: steps over planned buffers.
 *
 * A program is immutable once built, refcounted, and shared by any number of instances; an
 * instance holds the memory of one execution. Sizes may be symbolic: they get values when
 * inputs are bound (by matching the inputs' shapes), or while running, from the results of host
 * operators.
 *
 * Knows neither the compiler's graph nor LLVM. Everything a program points to belongs to its
 * arena, to the mapped model, or to the artifact that it was loaded from.
 */
#ifndef GML_RUNTIME_PROGRAM_H
#define GML_RUNTIME_PROGRAM_H

#include "base/attr.h"
#include "base/cost.h"
#include "base/diag.h"
#include "base/dim.h"
#include "base/tensor_map.h"
#include "runtime/abi.h"
#include "runtime/device.h"
#include "runtime/host.h"
#include "runtime/value.h"

typedef enum gml_slot_kind {
    GML_SLOT_INPUT,    /* the caller's tensor (or value), bound for the run */
    GML_SLOT_CONSTANT, /* `data` */
    GML_SLOT_ARENA,    /* memory of the instance while it is alive: a step writes, steps read */
    GML_SLOT_VALUE, /* a gml_rvalue made by a host operator (data-dependent shape, sequence, …)
                     */
} gml_slot_kind;

#define GML_NO_RANK (-1)

/* One value of the program. */
typedef struct gml_slot {
    gml_slot_kind kind;
    gml_dtype dtype; /* NONE: no tensor */
    int rank;        /* GML_NO_RANK in INPUT and VALUE slots: any */
    const gml_dim *dims;
    const void *data;   /* of a constant */
    const char *name;   /* of the ONNX value, or NULL */
    bool channels_last; /* what is stored is that value with dimension 1 behind all others; for
                           reports, not kept in artifacts */
    uint64_t offset;    /* in the arena, when `planned` */
    bool planned;       /* size and place were fixed when compiling */
    bool is_state; /* has no place in the arena: it is computed right over the state that it
                      replaces, whose memory the caller hands in as an output's */
} gml_slot;

/* One phase of a kernel (runtime/abi.h). */
typedef struct gml_phase {
    gml_phase_fn run; /* of the CPU */
    gml_lane_fn lane; /* of the emulator */
    gml_dim extent;
    gml_launch launch;
    const gml_map_layout *maps; /* launch.n_maps: what its bulk copies read */
    const char *symbol;       /* name of the function in the object, or in the device's image */
    gml_device_kernel kernel; /* of a program for a device: found in the program's code */
    gml_cost cost; /* the same, for reports: of all parts where a kernel has some, whose
                      memories are then counted like the step's inputs, then outputs */
} gml_phase;

/* A kernel that does the same to several lists of operands, each with sizes of its own: the
 * updates of all parameters, say. Its step's inputs and outputs are those of the first part,
 * then of the second, as many each. It has one phase, and needs no memory for itself. */
typedef struct gml_part_sizes {
    uint32_t count;
    uint32_t n_sizes;
    const int64_t *sizes; /* n_sizes a part: its `dims` */
    const int64_t *units; /* by part: the phase's extent */
} gml_part_sizes;

typedef enum gml_step_kind { GML_STEP_KERNEL, GML_STEP_HOST } gml_step_kind;

typedef struct gml_step {
    gml_step_kind kind;
    const char *name; /* of the kernel, for reports */
    const char *node; /* the ONNX node it comes from (the first, when fused) */
    const char *op;
    const uint32_t *inputs; /* slot numbers; GML_NO_SLOT: absent */
    uint32_t n_inputs;
    const uint32_t *outputs;
    uint32_t n_outputs;
    /* KERNEL */
    /* By output: the inputs (of its part), as bits, that it may be computed over: every element
     * of such an input is read no later than the same element of the output is written. NULL:
     * none. */
    const uint64_t *over;
    const gml_part_sizes *parts; /* NULL: one list of operands, the program's sizes */
    const gml_phase *phases;
    uint32_t n_phases;
    const gml_dim *temporaries; /* bytes of each shared temporary, in mems after the outputs */
    uint32_t n_temporaries;
    uint64_t temporaries_offset; /* in the arena, where the program is static; on a device they
                                    lie there */
    gml_dim scratch;             /* bytes of scratch a thread needs */
    gml_dim flops, bytes;        /* of one run: arithmetic, and memory that must move */
    /* HOST */
    gml_host_fn host;
    const char *host_name;
    const gml_attr *attrs; /* a region's attribute has its number in `count` */
    uint32_t n_attrs;
    const gml_dtype *output_dtypes;
    const struct gml_region *regions;
    uint32_t n_regions;
} gml_step;

#define GML_NO_SLOT UINT32_MAX

/* A body of If, Loop, Scan: a program of its own. Its inputs are the region's parameters, then
 * the values it captures from around. */
typedef struct gml_region {
    struct gml_program *program;
    uint32_t n_params;
    const uint32_t *captures; /* slots of the program around, for its further inputs */
    uint32_t n_captures;
} gml_region;

/* What kernels take two sizes to be to each other. Checked as soon as both are known: when
 * inputs are bound (also those of a region, each time it is entered), else after the host
 * operator that decides a size. A kernel does not run while one of its own is open. */
typedef struct gml_check {
    gml_relation relation;
    gml_dim a, b;
    const char *node, *op; /* that needs it */
    uint32_t step;         /* the first kernel that relies on it; GML_NO_STEP: none by itself */
} gml_check;

#define GML_NO_STEP UINT32_MAX

/* A value that is kept from run to run: it goes in as one input and comes out as one output.
 * Its type is that of the slots. */
typedef struct gml_program_state {
    const char *name;
    uint32_t input, output; /* numbers among the program's; GML_NO_SLOT: it is not read, or does
                               not change */
    const void *initial;    /* of one with an input: its elements at first; NULL: zeros */
} gml_program_state;

typedef struct gml_program {
    gml_arena arena;
    gml_dim_pool dims;
    gml_vec(gml_slot) slots;
    gml_vec(gml_step) steps;
    gml_vec(gml_check) checks; /* in the order of their steps */
    uint32_t *inputs;          /* slot numbers, in the graph's order */
    uint32_t n_inputs;
    uint32_t *outputs;
    uint32_t n_outputs;
    const char **input_names;
    const char **output_names;
    gml_vec(gml_program_state) states; /* their inputs and outputs are the last ones */
    uint64_t arena_size;   /* of the plan, with what steps need for themselves on one thread */
    uint64_t scratch_size; /* of one thread, at most */
    bool is_static;        /* every arena slot is planned */
    /* Where kernels run, and arena slots lie; NULL: the CPU. Regions' programs have the device
     * of the program around, and `code` is that one's. */
    gml_device *device;    /* retained */
    gml_device_code *code; /* owned */
    /* For reports: who made the machine code ("driver", "ptxas", "cache") and how it came to
     * that, a line; NULL: nothing is known. */
    const char *code_origin, *code_note;
    /* The constants that kernels read, there from the first instance on: by slot, where in
     * `constants`. */
    gml_buffer *constants;
    uint64_t *constant_offsets;
    void (*release)(
        void *context); /* of the kernels' code and the model's mapping; may be NULL */
    void *context;
    int refs; /* atomic */
} gml_program;

gml_program *gml_program_create(void); /* refs 1; NULL when there is no memory */
gml_program *gml_program_retain(gml_program *program);
void gml_program_release(gml_program *program);

/* Checks what running relies on: every number in range, every slot written once and before it
 * is read, kernels writing arena slots and host operators value slots; regions included.
 * GML_E_INVALID. */
gml_status gml_program_check(const gml_program *program, gml_diags *diags);

/* Places every arena slot whose size is constant so that slots alive at the same step do not
 * overlap (first fit by falling size; offsets are multiples of 64), and the steps' scratch and
 * temporaries behind them. A result lies right on an operand that it may be computed over
 * (gml_step.over) and that nobody reads later. States that can be replaced in place get no
 * place of their own. Where there is a device, places lie so that kernels can run beside each
 * other, as far as the arena gets no larger. Sets is_static when all slots have one. The result
 * depends on the program alone. Programs of regions are planned by themselves. */
gml_status gml_program_plan(gml_program *program, gml_diags *diags);

/* ---- running ------------------------------------------------------------------------------
 */

typedef struct gml_pool gml_pool;
/* `n_threads` including the caller, 1 to 256. Workers sleep when idle for long and spin for
 * some microseconds first. `thread_init` (may be NULL) runs once on every thread before its
 * first unit, the callers' threads included: tile configuration, flush modes. NULL when threads
 * cannot be had. */
gml_pool *gml_pool_create(int n_threads, void (*thread_init)(void));
void gml_pool_destroy(gml_pool *pool);
int gml_pool_threads(const gml_pool *pool);
/* What a phase is run for: its units are 0..extent-1. */
typedef struct gml_job {
    void *const *mems;
    const int64_t *dims;
    int64_t extent;
} gml_job;
/* Runs the units of all jobs, one after the other split into contiguous, nearly equal shares,
 * one a thread; returns when all are done. `scratch` has gml_pool_threads times `scratch_size`
 * bytes. A caller that finds the pool at work for another thread does everything alone. */
void gml_pool_run(gml_pool *pool, gml_phase_fn run, const gml_job *jobs, uint32_t n_jobs,
                  char *scratch, size_t scratch_size);

typedef struct gml_instance gml_instance;

/* What a step took, for reports; called after every step when set. */
typedef void (*gml_step_watch)(void *context, const gml_program *program, uint32_t step,
                               uint64_t nanoseconds);
/* Called with the value of an output slot after its step (compare, debugging). */
typedef gml_status (*gml_value_watch)(void *context, const gml_program *program, uint32_t step,
                                      uint32_t slot, const gml_rvalue *value);

/* An instance allocates its arena once when the program is static, else when shapes are bound.
 * The pool is borrowed and may serve several instances, one run at a time; a pool of 1 may be
 * NULL. */
gml_status gml_instance_create(gml_program *program, gml_pool *pool,
                               gml_instance **out_instance, gml_diags *diags);
void gml_instance_destroy(gml_instance *instance);
void gml_instance_watch(gml_instance *instance, gml_step_watch watch, gml_value_watch values,
                        void *context);

/* Binds and runs. Inputs are borrowed for the call: dtype, rank and dimensions are checked
 * against the program's slots (GML_E_TYPE, GML_E_SHAPE, naming the input), and their symbols
 * get values, which must pass the program's checks (GML_E_SHAPE, naming the node and both
 * sizes); alignment is any. Outputs must be initialised: an entry that comes in with kind
 * TENSOR and enough room of the right type and shape is written in place, any other is reset
 * and then set to a value that views the instance's memory until its next run (copy to keep; do
 * not hand such a view in again after a run of other shapes), or owns what a host operator
 * made. A slot is computed right in the caller's memory when that is aligned to 64 bytes and
 * overlaps no input still to be read; otherwise it is copied there last, so outputs may lie
 * over inputs. An output that is one of the inputs is copied.
 * Values on the program's device (gml_buffer_device) are read and written where they lie; all
 * others are here, and so are the outputs that the instance makes. No allocation happens for a
 * static program, but for such an output without a place. After a failure the outputs hold what
 * they held, or values that can be reset. */
gml_status gml_instance_run(gml_instance *instance, const gml_rvalue *inputs, size_t n_inputs,
                            gml_rvalue *outputs, size_t n_outputs, gml_diags *diags);
/* Bytes of the arena and scratch now held. */
size_t gml_instance_memory(const gml_instance *instance);

#endif
