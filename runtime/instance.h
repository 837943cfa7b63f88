/* runtime/instance.h - the memory of one execution of a program. Private to runtime/.
 *
 * exec.c        life of an instance, kernel steps, a run from start to end
 * exec_bind.c   sizes: symbols from the shapes of inputs and of what host operators made
 * exec_check.c  what sizes must be to each other
 * exec_memory.c where slots lie, and the steps' workspace
 * exec_host.c   host steps and their regions
 * exec_output.c what the caller gets
 * exec_device.c what has to be copied for the steps of a program for a device
 * exec_launch.c these steps
 * exec_map.c    the tensor maps of their kernels
 * exec_graph.c  all of them at once, when a run is as the one before
 *
 * Where a tensor lies while a program runs:
 *   planned arena slot   in `arena`
 *   late arena slot      its size came from a host operator: a buffer of its own, in
 * values[slot] direct output        right in the caller's tensor owned output         of a
 * region: a buffer of its own, which the caller takes Host operators share what they are given
 * by retaining its buffer. Memory that is used again, or is not ours, must not be kept so: its
 * views carry `marker` as their buffer, and whatever a host operator returns with the marker in
 * it is copied at once.
 *
 * The tables are one buffer, laid out when the instance is created; running a static program
 * allocates nothing.
 */
#ifndef GML_RUNTIME_INSTANCE_H
#define GML_RUNTIME_INSTANCE_H

#include "runtime/plan.h"

/* How a size got its value. */
typedef enum gml_known {
    GML_UNKNOWN,
    GML_BOUND, /* from the inputs: holds until other shapes are bound */
    GML_FOUND, /* while running: forgotten before the next run */
} gml_known;

/* A symbol of a region's program that has its value from a program around. */
typedef struct gml_inherited {
    uint32_t symbol; /* number in the region's dims */
    const int64_t *value;
    const uint8_t *known;
    int64_t last; /* when shapes were bound last; -1: unknown */
} gml_inherited;

/* A slot's elements in the memory where it does not lie. Kept from run to run, and made when
 * first asked for. */
typedef struct gml_copy {
    gml_buffer *buffer;
    bool is_made;   /* in this run */
    bool is_wanted; /* a kernel reads the slot */
} gml_copy;

/* Where in the arena a step's temporaries lie, and its scratch, of one thread after the other.
 */
typedef struct gml_work {
    uint64_t temporaries, scratch; /* GML_APART: not there, for their sizes were not known */
} gml_work;

#define GML_APART UINT64_MAX

/* A tensor map as it was encoded last. */
typedef struct gml_kept_map {
    const void *memory;    /* NULL: never */
    gml_map_layout layout; /* with numbers */
    int64_t map[GML_MAP_BYTES / sizeof(int64_t)];
} gml_kept_map;

/* What a launch of parts reads beside its operands: records, sizes, parts by block. */
typedef struct gml_part_table {
    gml_buffer *here, *there; /* NULL: not made yet */
} gml_part_table;

struct gml_instance {
    gml_program *program; /* retained */
    gml_pool *pool;       /* NULL: one thread */
    const gml_instance *outer;
    int depth;
    gml_step_watch watch;
    gml_value_watch watch_values;
    void *watch_context;

    gml_buffer *tables; /* all arrays below */
    gml_buffer *marker;
    gml_buffer *arena;     /* NULL until needed */
    gml_buffer *workspace; /* of steps that have none in the arena */

    /* by slot */
    void **addresses;   /* of elements; NULL: none now */
    gml_rvalue *values; /* INPUT: borrowed; VALUE, late and owned slots: ours */
    uint8_t *is_direct; /* `addresses` is the caller's memory in this run */
    uint8_t *is_placed; /* in `arena` at offsets[slot] */
    uint64_t *offsets;
    gml_liveness live;
    /* by step: deaths[death_start[s]] up to deaths[death_start[s + 1] - 1] are done with after
     * step s */
    uint32_t *death_start;
    uint32_t *deaths;
    uint32_t *first_region; /* by step, into `regions` */
    gml_work *works;        /* by step */
    /* by size */
    int64_t *dims;
    uint8_t *known; /* gml_known */
    bool has_found; /* some size is GML_FOUND */
    bool has_open;  /* some check cannot be decided by the inputs alone */
    bool is_bound;
    bool has_new_sizes;  /* `sizes` is older */
    bool keeps_apart;    /* values have buffers of their own, not places in the arena */
    bool has_run;        /* and `last_addresses` is of a run */
    bool is_recording;   /* launches are added to `graph` */
    uint32_t next_check; /* of the steps still to run */
    gml_inherited *inherited;
    size_t n_inherited;

    int64_t *bound;    /* by input: rank and dimensions, GML_MAX_RANK + 1 numbers each */
    gml_place *places; /* by slot, and two more; used while placing */
    uint32_t *order;

    /* of a program for a device */
    gml_buffer *remote;              /* as `marker`, of what lies there */
    gml_copy *here;                  /* by slot, of one that lies there */
    gml_copy *there;                 /* by slot, of one that lies here */
    gml_buffer *sizes;               /* `dims` */
    gml_part_table *tables_of_parts; /* by step */
    gml_kept_map *maps;              /* of all steps' phases, in their order */
    uint32_t *first_map;             /* by step, into `maps` */
    void **params;                   /* of one launch */
    uint64_t launched;               /* nanoseconds of the last kernel, when watched */
    void **last_addresses;           /* of inputs, then outputs, in the run before */
    gml_device_graph *graph;         /* all launches of a run; NULL: not recorded */

    void **mems;             /* of one kernel */
    gml_job *jobs;           /* of one kernel, by part */
    gml_rvalue *args;        /* of one host step: inputs, then outputs */
    gml_tensor *shapes;      /* of one host step's outputs */
    gml_rvalue *results;     /* by output, between the last step and the caller's array */
    uint8_t *in_place;       /* by output: its entry keeps its memory */
    gml_instance **regions;  /* NULL until run */
    gml_rvalue *region_args; /* inputs, where this instance runs a region */
    size_t n_regions;
};

/* ---- exec.c ----------------------------------------------------------------------------- */

/* For the program of a region. Its outputs own what they hold, or share the buffers of its
 * inputs. */
gml_status gml_instance_create_inner(gml_program *program, const gml_instance *outer,
                                     gml_instance **out_instance, gml_diags *diags);
/* The value of `slot` where it lies: a view, not to be reset. */
gml_rvalue gml_instance_view(const gml_instance *instance, uint32_t slot);

/* No result has an element. */
bool gml_instance_makes_nothing(const gml_instance *instance, const gml_step *step);

static inline gml_loc gml_step_loc(const gml_step *step)
{
    return (gml_loc){.node = step->node, .op = step->op};
}

/* Where in mems[] an input, and an output, of a kernel is: each part has its own together. */
static inline size_t gml_input_place(const gml_step *step, uint32_t input)
{
    uint32_t n_parts = step->parts != NULL ? step->parts->count : 1;
    uint32_t each = step->n_inputs / n_parts;
    return each != 0 ? input + (size_t)(input / each) * (step->n_outputs / n_parts) : input;
}

static inline size_t gml_output_place(const gml_step *step, uint32_t output)
{
    uint32_t n_parts = step->parts != NULL ? step->parts->count : 1;
    uint32_t each = step->n_outputs / n_parts;
    return output + (size_t)(output / each + 1) * (step->n_inputs / n_parts);
}

static inline void *gml_unconst(const void *pointer)
{
    union {
        const void *from;
        void *to;
    } u = {pointer};
    return u.to;
}

/* ---- exec_bind.c ------------------------------------------------------------------------ */

/* False when the value is not known (yet). */
bool gml_instance_dim(const gml_instance *instance, gml_dim dim, int64_t *out_value);
/* Checks the inputs and gives symbols their values. `*out_changed` when sizes may differ from
 * those of the run before. */
gml_status gml_instance_bind(gml_instance *instance, const gml_rvalue *inputs, size_t n_inputs,
                             bool *out_changed, gml_diags *diags);
/* The same for output `number` of a host step, in values[slot]. */
gml_status gml_instance_match(gml_instance *instance, const gml_step *step, uint32_t number,
                              gml_diags *diags);

/* `dim` as text, in the arena of `diags`. */
const char *gml_instance_dim_text(const gml_instance *instance, gml_dim dim, gml_diags *diags);

/* ---- exec_check.c ----------------------------------------------------------------------- */

/* Every check whose sizes are known; notes in `has_open` whether there are others. */
gml_status gml_instance_check(gml_instance *instance, gml_diags *diags);
/* Before kernel `step` runs: fails when one of its own checks is still open. Called for rising
 * steps. */
gml_status gml_instance_check_step(gml_instance *instance, uint32_t step, gml_diags *diags);

/* ---- exec_memory.c ---------------------------------------------------------------------- */

/* Dimensions of `slot` now; false when one is not known. */
bool gml_instance_shape(const gml_instance *instance, uint32_t slot, gml_tensor *out_shape);
/* A buffer of at least `size` bytes in `*buffer`, on `device` (NULL: here), with what was in it
 * lost when it grows. */
gml_status gml_instance_reserve(gml_device *device, gml_buffer **buffer, uint64_t size,
                                gml_diags *diags);
/* Places every arena slot and every workspace, as far as sizes are known. */
gml_status gml_instance_place(gml_instance *instance, gml_diags *diags);
/* Memory for an arena slot that its step is about to write. */
gml_status gml_instance_ready(gml_instance *instance, uint32_t slot, gml_loc loc,
                              gml_diags *diags);
/* Sets mems[] for the temporaries of `step`; `out_scratch` is the threads' memory. */
gml_status gml_instance_workspace(gml_instance *instance, const gml_step *step, void **mems,
                                  char **out_scratch, size_t *out_scratch_size,
                                  gml_diags *diags);

/* ---- exec_host.c ------------------------------------------------------------------------ */

gml_status gml_instance_run_host(gml_instance *instance, uint32_t step, gml_diags *diags);
/* Replaces every tensor in `value` whose buffer is `marker` by a copy of its own. */
gml_status gml_rvalue_own(gml_rvalue *value, const gml_buffer *marker);

/* ---- exec_device.c ---------------------------------------------------------------------- */

/* When the instance of such a program is made, and when it ends. */
gml_status gml_instance_open_device(gml_instance *instance, gml_diags *diags);
void gml_instance_close_device(gml_instance *instance);
/* Before the first step: forgets the copies, and makes those of inputs that kernels read, since
 * the device is idle now. */
gml_status gml_instance_send_inputs(gml_instance *instance, gml_diags *diags);
/* The address that a kernel gets for `slot`. */
gml_status gml_instance_there(gml_instance *instance, uint32_t slot, void **out_address,
                              gml_diags *diags);
/* The value of `slot` for who runs here; as gml_instance_view of other programs. */
gml_status gml_instance_here(gml_instance *instance, uint32_t slot, gml_rvalue *out_view,
                             gml_diags *diags);
/* Copies the elements of `slot` to `target`, a tensor of its type with another address. */
gml_status gml_instance_deliver(gml_instance *instance, uint32_t slot, const gml_rvalue *target,
                                gml_diags *diags);

/* ---- exec_launch.c ---------------------------------------------------------------------- */

gml_status gml_instance_launch(gml_instance *instance, const gml_step *step, gml_diags *diags);

/* ---- exec_map.c ------------------------------------------------------------------------- */

/* The maps of a phase for what is in mems[], as parameters behind the `n_params` there are;
 * `*first` is the number of its first one among the instance's, and becomes the next phase's.
 */
gml_status gml_instance_map(gml_instance *instance, const gml_step *step, uint32_t phase,
                            size_t n_params, uint32_t *first, gml_diags *diags);

/* ---- exec_graph.c ----------------------------------------------------------------------- */

/* Says of launches to be recorded that they touch what `step` does; mems[] are set. */
void gml_instance_touch(gml_instance *instance, const gml_step *step);
/* Does all steps, if they are those of the run before; after inputs were sent. */
gml_status gml_instance_run_graph(gml_instance *instance, bool *out_done, gml_diags *diags);

/* ---- exec_output.c ---------------------------------------------------------------------- */

/* Before the steps: slots that can be computed right in the caller's tensors. */
void gml_instance_direct(gml_instance *instance, const gml_rvalue *outputs);
/* After the steps. The outputs are untouched on failure, but for elements in place. */
gml_status gml_instance_finish(gml_instance *instance, gml_rvalue *outputs, gml_diags *diags);

#endif
