/* api/bench.c - how long a compiled program takes, whole and kernel by kernel. */
#define _POSIX_C_SOURCE 200809L

#include "api/bench.h"

#include "api/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- inputs -------------------------------------------------------------------------------
 */

static uint64_t next_random(uint64_t *state)
{
    /* splitmix64 */
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state)
{
    return ((double)(next_random(state) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    return sqrt(-2 * log(uniform(state))) * cos(6.283185307179586 * uniform(state));
}

static void fill(const gml_tensor *tensor, uint64_t *state)
{
    bool is_float = gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT;
    for (int64_t i = 0; i < gml_tensor_numel(tensor); i++)
        gml_host_put(tensor, i, is_float ? normal(state) : (double)(next_random(state) & 1));
}

/* States begin as the model has them. */
static void set_states(const gml_program *program, const gml_rvalue *inputs)
{
    for (size_t i = 0; i < program->states.count; i++) {
        const gml_program_state *state = &program->states.items[i];
        size_t bytes = 0;
        if (state->input == GML_NO_SLOT)
            continue;
        const gml_tensor *tensor = &inputs[state->input].tensor;
        if (!gml_tensor_bytes(tensor, &bytes) || bytes == 0)
            continue;
        if (state->initial != NULL)
            memcpy(tensor->data, state->initial, bytes);
        else
            memset(tensor->data, 0, bytes);
    }
}

gml_status gml_random_inputs(const gml_program *program, uint64_t seed, gml_rvalue *out_inputs,
                             gml_diags *diags)
{
    memset(out_inputs, 0, program->n_inputs * sizeof *out_inputs);
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const gml_slot *slot = &program->slots.items[program->inputs[i]];
        gml_loc loc = {.node = program->input_names[i]};
        int64_t dims[GML_MAX_RANK];
        if (slot->dtype == GML_NONE || slot->dtype == GML_STRING || slot->rank == GML_NO_RANK)
            return gml_fail(diags, GML_E_UNSUPPORTED, loc, "no random value fits this input");
        for (int d = 0; d < slot->rank; d++)
            dims[d] = gml_dim_is_const(slot->dims[d]) ? slot->dims[d] : 1;
        gml_status status = gml_rvalue_alloc(&out_inputs[i], slot->dtype, slot->rank, dims);
        if (status != GML_OK)
            return gml_fail(diags, status, loc, "no memory for this input");
        uint64_t state = seed + i;
        fill(&out_inputs[i].tensor, &state);
    }
    set_states(program, out_inputs);
    return GML_OK;
}

/* A program for a device finds its states there, as it would leave them. */
static gml_status send_states(const gml_program *program, gml_rvalue *inputs, gml_diags *diags)
{
    for (size_t i = 0; program->device != NULL && i < program->states.count; i++) {
        size_t bytes = 0;
        if (program->states.items[i].input == GML_NO_SLOT)
            continue;
        gml_rvalue *here = &inputs[program->states.items[i].input];
        gml_rvalue there = *here;
        if (!gml_tensor_bytes(&here->tensor, &bytes) || bytes == 0)
            continue;
        there.buffer = gml_buffer_create_on(program->device, bytes);
        if (there.buffer == NULL)
            return gml_fail(diags, GML_E_MEMORY, (gml_loc){0},
                            "no memory on the device for the states");
        there.tensor.data = gml_buffer_data(there.buffer);
        gml_status status =
            gml_device_put(program->device, there.tensor.data, here->tensor.data, bytes, diags);
        gml_rvalue_reset(here);
        *here = there;
        GML_TRY(status);
    }
    return GML_OK;
}

/* ---- timing -------------------------------------------------------------------------------
 */

typedef struct watcher {
    gml_program *program; /* steps of regions are not told apart */
    gml_bench_step *steps;
    bool on;
} watcher;

static void watch_step(void *context, const gml_program *program, uint32_t step,
                       uint64_t nanoseconds)
{
    watcher *w = context;
    if (w->on && program == w->program)
        w->steps[step].total += nanoseconds;
}

static int by_total(const void *a, const void *b)
{
    uint64_t x = ((const gml_bench_step *)a)->total;
    uint64_t y = ((const gml_bench_step *)b)->total;
    return x < y ? 1 : (x > y ? -1 : 0);
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x > y ? 1 : (x < y ? -1 : 0);
}

/* The next run goes on from the state that this one leaves. */
static void step_in_place(const gml_program_state *state, const gml_rvalue *inputs,
                          gml_rvalue *outputs)
{
    if (state->input == GML_NO_SLOT || state->output == GML_NO_SLOT)
        return;
    const gml_rvalue *input = &inputs[state->input];
    outputs[state->output] = (gml_rvalue){
        .kind = GML_RVALUE_TENSOR, .tensor = input->tensor, .buffer = input->buffer};
    gml_buffer_retain(input->buffer);
}

static gml_status time_runs(gml_instance *instance, gml_program *program,
                            const gml_rvalue *inputs, const gml_bench_options *options,
                            watcher *w, gml_arena *arena, gml_bench *out, gml_diags *diags)
{
    gml_rvalue *outputs = gml_new_array(arena, gml_rvalue, program->n_outputs + 1);
    gml_vec(uint64_t) times = {NULL, 0, 0};
    uint64_t begin = now();
    uint32_t wanted = options->n_runs ? options->n_runs : 1000000;
    uint64_t limit = options->n_runs ? UINT64_MAX : (uint64_t)(options->seconds * 1e9);
    for (uint32_t run = 0; run < options->n_warmup + 1 + wanted; run++) {
        w->on = run > options->n_warmup;
        if (run == options->n_warmup + 1)
            begin = now();
        for (size_t i = 0; i < program->states.count; i++)
            step_in_place(&program->states.items[i], inputs, outputs);
        uint64_t t = now();
        GML_TRY(gml_instance_run(instance, inputs, program->n_inputs, outputs,
                                 program->n_outputs, diags));
        t = now() - t;
        for (uint32_t i = 0; i < program->n_outputs; i++)
            gml_rvalue_reset(&outputs[i]);
        if (run == 0)
            out->first = t;
        if (w->on)
            gml_push(arena, &times, t);
        if (w->on && now() - begin > limit && times.count >= 3)
            break;
    }
    out->runs = times.items;
    out->n_runs = (uint32_t)times.count;
    qsort(out->runs, out->n_runs, sizeof *out->runs, by_time);
    return GML_OK;
}

gml_status gml_bench_run(gml_program *program, const gml_rvalue *inputs,
                         const gml_bench_options *options, gml_arena *arena,
                         gml_bench *out_bench, gml_diags *diags)
{
    *out_bench = (gml_bench){.n_steps = (uint32_t)program->steps.count};
    gml_rvalue *own = NULL;
    if (!inputs) {
        own = gml_new_array(arena, gml_rvalue, program->n_inputs + 1);
        GML_TRY(gml_random_inputs(program, options->seed, own, diags));
        GML_TRY(send_states(program, own, diags));
        inputs = own;
    }
    out_bench->steps = gml_new_array(arena, gml_bench_step, out_bench->n_steps + 1);
    for (uint32_t i = 0; i < out_bench->n_steps; i++)
        out_bench->steps[i].step = i;
    watcher w = {program, out_bench->steps, false};
    gml_pool *pool = gml_pool_create(options->n_threads, NULL);
    gml_instance *instance = NULL;
    gml_status status = gml_instance_create(program, pool, &instance, diags);
    if (status == GML_OK) {
        gml_instance_watch(instance, watch_step, NULL, &w);
        status = time_runs(instance, program, inputs, options, &w, arena, out_bench, diags);
        out_bench->memory = gml_instance_memory(instance);
    }
    if (status == GML_OK && options->limits && program->device == NULL)
        gml_measure_limits(pool, &out_bench->gflops, &out_bench->gbytes);
    gml_instance_destroy(instance);
    gml_pool_destroy(pool);
    for (uint32_t i = 0; own && i < program->n_inputs; i++)
        gml_rvalue_reset(&own[i]);
    qsort(out_bench->steps, out_bench->n_steps, sizeof *out_bench->steps, by_total);
    return status;
}

double gml_bench_quantile(const gml_bench *bench, double q)
{
    if (bench->n_runs == 0)
        return 0;
    double at = q * (double)(bench->n_runs - 1);
    uint32_t i = (uint32_t)at;
    uint32_t next = i + 1 < bench->n_runs ? i + 1 : i;
    double part = at - (double)i;
    return ((double)bench->runs[i] * (1 - part) + (double)bench->runs[next] * part) / 1e6;
}
