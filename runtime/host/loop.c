/* runtime/host/loop.c - Loop: operands (trip count, condition, carried values…); the body takes
 * (iteration, condition, carried…) and gives (condition, carried…, scan outputs…).
 *
 * Both limits may be absent; without both the loop ends only when the body says so. */
#include "runtime/host/region_util.h"

typedef struct loop {
    gml_region body;
    gml_stacks stacks;
    gml_rvalue *carried;
    size_t n_carried;
    int64_t trips; /* INT64_MAX: no limit */
    bool goes_on;
} loop;

static gml_status read_flag(gml_host_call *call, const gml_rvalue *value, bool *out_flag)
{
    if (value->kind != GML_RVALUE_TENSOR || gml_tensor_numel(&value->tensor) != 1)
        return gml_host_fail(call, GML_E_SHAPE, "the condition does not have one element");
    *out_flag = gml_host_get_int(&value->tensor, 0) != 0;
    return GML_OK;
}

static gml_status set_scalar(gml_host_call *call, gml_rvalue *out, gml_dtype dtype,
                             int64_t number)
{
    if (gml_rvalue_alloc(out, dtype, 0, NULL) != GML_OK)
        return gml_host_no_memory(call);
    gml_host_put_int(&out->tensor, 0, number);
    return GML_OK;
}

static gml_status iterate(gml_host_call *call, loop *l)
{
    gml_rvalue *params = l->body.params;
    for (int64_t i = 0; i < l->trips && l->goes_on; i++) {
        GML_TRY(set_scalar(call, &params[0], GML_I64, i));
        GML_TRY(set_scalar(call, &params[1], GML_BOOL, l->goes_on));
        for (size_t k = 0; k < l->n_carried; k++)
            gml_rvalue_take(&params[2 + k], &l->carried[k]);
        GML_TRY(gml_region_run(&l->body));
        GML_TRY(read_flag(call, &l->body.results[0], &l->goes_on));
        for (size_t k = 0; k < l->n_carried; k++)
            gml_rvalue_take(&l->carried[k], &l->body.results[1 + k]);
        GML_TRY(gml_stacks_push(&l->stacks, call, l->body.results + 1 + l->n_carried));
    }
    return GML_OK;
}

static gml_status set_results(gml_host_call *call, loop *l)
{
    for (size_t k = 0; k < l->n_carried && k < call->n_outputs; k++)
        gml_rvalue_take(&call->outputs[k], &l->carried[k]);
    gml_join join = {.new_axis = true};
    for (size_t k = 0; k < l->stacks.n_lists; k++)
        GML_TRY(gml_stacks_join(&l->stacks, call, k, (unsigned)(l->n_carried + k), &join));
    return GML_OK;
}

static gml_status run_body(gml_host_call *call, loop *l, gml_scratch *scratch)
{
    GML_TRY(gml_region_init(&l->body, call, "body", scratch));
    size_t n_carried = call->n_inputs > 2 ? call->n_inputs - 2 : 0;
    if (l->body.n_params != n_carried + 2 || l->body.n_results < n_carried + 1)
        return gml_region_expect(&l->body, n_carried + 2, n_carried + 1);
    GML_TRY(gml_stacks_init(&l->stacks, call, l->body.n_results - 1 - n_carried, scratch));
    l->carried = gml_scratch_array(scratch, gml_rvalue, n_carried);
    if (l->carried == NULL)
        return gml_host_no_memory(call);
    l->n_carried = n_carried;
    for (size_t k = 0; k < n_carried; k++) {
        if (gml_rvalue_copy(&l->carried[k], &call->inputs[2 + k]) != GML_OK)
            return gml_host_no_memory(call);
    }
    GML_TRY(gml_host_scalar_int(call, 0, INT64_MAX, &l->trips));
    if (gml_host_has(call, 1))
        GML_TRY(read_flag(call, &call->inputs[1], &l->goes_on));
    GML_TRY(iterate(call, l));
    return set_results(call, l);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    loop l = {.goes_on = true};
    gml_status status = run_body(call, &l, scratch);
    for (size_t k = 0; k < l.n_carried; k++)
        gml_rvalue_reset(&l.carried[k]);
    gml_stacks_reset(&l.stacks);
    gml_region_reset(&l.body);
    return status;
}

gml_status gml_host_loop(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
