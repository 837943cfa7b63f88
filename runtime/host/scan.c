/* runtime/host/scan.c - Scan: operands (states…, scanned tensors…); the body takes (states…,
 * one slice of each scanned tensor) and gives (states…, one slice of each scan output). */
#include "runtime/host/region_util.h"

#include <inttypes.h>

typedef struct scan {
    gml_region body;
    gml_stacks stacks;
    size_t n_states, n_inputs, n_outputs; /* scanned ones */
    int64_t length;
} scan;

/* Entry `k` of an integer list attribute; 0 when absent. */
static gml_status list_entry(gml_host_call *call, const char *name, size_t k, size_t n,
                             int64_t *out_value)
{
    size_t count = 0;
    const int64_t *values = gml_host_ints(call, name, &count);
    *out_value = 0;
    if (values == NULL)
        return GML_OK;
    if (count != n)
        return gml_host_fail(call, GML_E_INVALID, "%s has %zu entries, not %zu", name, count,
                             n);
    *out_value = values[k];
    return GML_OK;
}

/* Scanned tensor `k`, its axis, and whether it is read from the end. */
static gml_status scanned(gml_host_call *call, const scan *s, size_t k, int *out_axis,
                          bool *out_backwards)
{
    const gml_tensor *x = NULL;
    int64_t axis = 0;
    int64_t direction = 0;
    GML_TRY(gml_host_require(call, (unsigned)(s->n_states + k), &x));
    GML_TRY(list_entry(call, "scan_input_axes", k, s->n_inputs, &axis));
    GML_TRY(list_entry(call, "scan_input_directions", k, s->n_inputs, &direction));
    GML_TRY(gml_host_axis(call, axis, x->rank, out_axis));
    *out_backwards = direction != 0;
    return GML_OK;
}

static gml_status find_length(gml_host_call *call, scan *s)
{
    for (size_t k = 0; k < s->n_inputs; k++) {
        int axis = 0;
        bool backwards = false;
        GML_TRY(scanned(call, s, k, &axis, &backwards));
        int64_t length = call->inputs[s->n_states + k].tensor.dims[axis];
        if (k > 0 && length != s->length)
            return gml_host_fail(call, GML_E_SHAPE,
                                 "scanned tensor %zu has %" PRId64
                                 " slices, the first %" PRId64,
                                 k, length, s->length);
        s->length = length;
    }
    return GML_OK;
}

static gml_status set_slices(gml_host_call *call, scan *s, int64_t step)
{
    for (size_t k = 0; k < s->n_inputs; k++) {
        int axis = 0;
        bool backwards = false;
        GML_TRY(scanned(call, s, k, &axis, &backwards));
        gml_part part = {.axis = axis,
                         .squeeze = true,
                         .start = backwards ? s->length - 1 - step : step,
                         .length = 1};
        GML_TRY(gml_host_slice(call, &call->inputs[s->n_states + k].tensor, &part,
                               &s->body.params[s->n_states + k]));
    }
    return GML_OK;
}

/* Between two steps the states are in the results of the body. */
static gml_status iterate(gml_host_call *call, scan *s)
{
    for (int64_t step = 0; step < s->length; step++) {
        for (size_t k = 0; k < s->n_states; k++) {
            if (step == 0)
                GML_TRY(gml_region_set(&s->body, k, &call->inputs[k]));
            else
                gml_rvalue_take(&s->body.params[k], &s->body.results[k]);
        }
        GML_TRY(set_slices(call, s, step));
        GML_TRY(gml_region_run(&s->body));
        GML_TRY(gml_stacks_push(&s->stacks, call, s->body.results + s->n_states));
    }
    return GML_OK;
}

static gml_status set_results(gml_host_call *call, scan *s)
{
    for (size_t k = 0; k < s->n_states && k < call->n_outputs; k++) {
        if (s->length == 0)
            GML_TRY(gml_host_set_copy(call, (unsigned)k, &call->inputs[k]));
        else
            gml_rvalue_take(&call->outputs[k], &s->body.results[k]);
    }
    for (size_t k = 0; k < s->n_outputs; k++) {
        gml_join join = {.new_axis = true};
        int64_t direction = 0;
        GML_TRY(list_entry(call, "scan_output_axes", k, s->n_outputs, &join.axis));
        GML_TRY(list_entry(call, "scan_output_directions", k, s->n_outputs, &direction));
        join.backwards = direction != 0;
        GML_TRY(gml_stacks_join(&s->stacks, call, k, (unsigned)(s->n_states + k), &join));
    }
    return GML_OK;
}

static gml_status run_body(gml_host_call *call, scan *s, gml_scratch *scratch)
{
    GML_TRY(gml_region_init(&s->body, call, "body", scratch));
    int64_t n_inputs = gml_host_int(call, "num_scan_inputs", 0);
    if (n_inputs < 1 || (uint64_t)n_inputs > call->n_inputs)
        return gml_host_fail(call, GML_E_INVALID, "num_scan_inputs is %" PRId64 " of %zu",
                             n_inputs, call->n_inputs);
    s->n_inputs = (size_t)n_inputs;
    s->n_states = call->n_inputs - s->n_inputs;
    if (s->body.n_params != call->n_inputs || s->body.n_results < s->n_states)
        return gml_region_expect(&s->body, call->n_inputs, s->n_states);
    s->n_outputs = s->body.n_results - s->n_states;
    GML_TRY(gml_stacks_init(&s->stacks, call, s->n_outputs, scratch));
    GML_TRY(find_length(call, s));
    GML_TRY(iterate(call, s));
    return set_results(call, s);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    scan s = {0};
    gml_status status = run_body(call, &s, scratch);
    gml_stacks_reset(&s.stacks);
    gml_region_reset(&s.body);
    return status;
}

gml_status gml_host_scan(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
