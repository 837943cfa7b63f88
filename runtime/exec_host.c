/* runtime/exec_host.c - host steps, and the regions that they run.
 *
 * A region has an instance of its own, made when it first runs and kept: the iterations of a
 * loop allocate their results and nothing else while shapes stay the same. */
#include "runtime/instance.h"

#include <string.h>

/* ---- Owning ----------------------------------------------------------------------------- */

static gml_status copy_tensor(gml_rvalue *value)
{
    gml_rvalue copy;
    const gml_tensor *tensor = &value->tensor;
    size_t bytes = 0;
    if (!gml_tensor_bytes(tensor, &bytes))
        return GML_E_SHAPE;
    if (tensor->dtype == GML_STRING) {
        GML_TRY(gml_rvalue_strings(&copy, tensor->rank, tensor->dims, tensor->data));
    } else {
        GML_TRY(gml_rvalue_alloc(&copy, tensor->dtype, tensor->rank, tensor->dims));
        if (bytes != 0)
            memcpy(copy.tensor.data, tensor->data, bytes);
    }
    gml_buffer_release(value->buffer);
    value->tensor = copy.tensor;
    value->buffer = copy.buffer;
    return GML_OK;
}

gml_status gml_rvalue_own(gml_rvalue *value, const gml_buffer *marker)
{
    for (size_t i = 0; i < value->n_items; i++)
        GML_TRY(gml_rvalue_own(&value->items[i], marker));
    if (value->kind == GML_RVALUE_TENSOR && value->buffer == marker)
        return copy_tensor(value);
    return GML_OK;
}

/* ---- Regions ---------------------------------------------------------------------------- */

typedef struct host_context {
    gml_instance *instance;
    uint32_t step;
    gml_diags *diags;
} host_context;

static const gml_step *step_of(const host_context *host)
{
    return &host->instance->program->steps.items[host->step];
}

static gml_status find_inner(const host_context *host, unsigned region,
                             gml_instance **out_inner)
{
    gml_instance *instance = host->instance;
    gml_instance **inner = &instance->regions[instance->first_region[host->step] + region];
    if (*inner == NULL)
        GML_TRY(gml_instance_create_inner(step_of(host)->regions[region].program, instance,
                                          inner, host->diags));
    (*inner)->watch = instance->watch;
    (*inner)->watch_values = instance->watch_values;
    (*inner)->watch_context = instance->watch_context;
    *out_inner = *inner;
    return GML_OK;
}

static gml_status run_region(gml_host_call *call, unsigned region, const gml_rvalue *inputs,
                             size_t n_inputs, gml_rvalue *outputs, size_t n_outputs)
{
    const host_context *host = call->context;
    const gml_step *step = step_of(host);
    if (region >= step->n_regions || step->regions[region].n_params != n_inputs ||
        step->regions[region].program->n_outputs != n_outputs)
        return gml_host_fail(call, GML_E_INVALID, "region %u has other parameters or results",
                             region);
    const gml_region *r = &step->regions[region];
    gml_instance *inner = NULL;
    GML_TRY(find_inner(host, region, &inner));
    for (size_t i = 0; i < n_inputs; i++)
        inner->region_args[i] = inputs[i];
    for (uint32_t i = 0; i < r->n_captures; i++)
        inner->region_args[n_inputs + i] = gml_instance_view(host->instance, r->captures[i]);
    for (size_t i = 0; i < n_outputs; i++)
        outputs[i] = (gml_rvalue){0};
    gml_status status = gml_instance_run(inner, inner->region_args, n_inputs + r->n_captures,
                                         outputs, n_outputs, host->diags);
    if (status != GML_OK)
        gml_note(host->diags, "in region %u of %s (%s)", region,
                 step->node != NULL ? step->node : "a node", step->op != NULL ? step->op : "?");
    return status;
}

static void region_arity(const gml_host_call *call, unsigned region, size_t *out_params,
                         size_t *out_results)
{
    const host_context *host = call->context;
    const gml_step *step = step_of(host);
    bool exists = region < step->n_regions;
    *out_params = exists ? step->regions[region].n_params : 0;
    *out_results = exists ? step->regions[region].program->n_outputs : 0;
}

/* ---- The step --------------------------------------------------------------------------- */

static void find_shapes(gml_instance *instance, const gml_step *step)
{
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        gml_tensor *shape = &instance->shapes[i];
        *shape = (gml_tensor){.rank = GML_NO_RANK};
        if (step->outputs[i] == GML_NO_SLOT)
            continue;
        const gml_slot *slot = &instance->program->slots.items[step->outputs[i]];
        if (slot->dtype == GML_NONE)
            continue;
        shape->dtype = slot->dtype;
        shape->rank = slot->rank;
        for (int d = 0; d < slot->rank; d++) {
            if (!gml_instance_dim(instance, slot->dims[d], &shape->dims[d]))
                shape->dims[d] = -1;
        }
    }
}

static gml_status keep_outputs(gml_instance *instance, const gml_step *step,
                               gml_rvalue *outputs, gml_diags *diags)
{
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        if (step->outputs[i] == GML_NO_SLOT)
            continue;
        gml_status status = gml_rvalue_own(&outputs[i], instance->marker);
        if (status != GML_OK)
            return gml_fail(diags, status, gml_step_loc(step), "no memory for result %u", i);
        instance->values[step->outputs[i]] = outputs[i];
        instance->addresses[step->outputs[i]] =
            outputs[i].kind == GML_RVALUE_TENSOR ? outputs[i].tensor.data : NULL;
        outputs[i] = (gml_rvalue){0};
        GML_TRY(gml_instance_match(instance, step, i, diags));
    }
    return instance->has_open ? gml_instance_check(instance, diags) : GML_OK;
}

static gml_status call_host(gml_instance *instance, uint32_t number, gml_rvalue *outputs,
                            gml_diags *diags)
{
    const gml_step *step = &instance->program->steps.items[number];
    host_context context = {instance, number, diags};
    gml_host_call call = {
        .node = step->node != NULL ? step->node : "",
        .op = step->op != NULL ? step->op : "",
        .attrs = step->attrs,
        .n_attrs = step->n_attrs,
        .inputs = instance->args,
        .n_inputs = step->n_inputs,
        .outputs = outputs,
        .n_outputs = step->n_outputs,
        .output_dtypes = step->output_dtypes,
        .run_region = run_region,
        .region_arity = region_arity,
        .output_shapes = instance->shapes,
        .context = &context,
    };
    size_t n_diags = diags->list.count;
    gml_status status = step->host(&call);
    if (status != GML_OK && (call.error[0] != '\0' || diags->list.count == n_diags))
        return gml_fail(diags, status, gml_step_loc(step), "%s",
                        call.error[0] != '\0' ? call.error : gml_status_text(status));
    return status;
}

gml_status gml_instance_run_host(gml_instance *instance, uint32_t step, gml_diags *diags)
{
    const gml_step *s = &instance->program->steps.items[step];
    gml_rvalue *outputs = instance->args + s->n_inputs;
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        instance->args[i] = (gml_rvalue){0};
        if (s->inputs[i] != GML_NO_SLOT)
            GML_TRY(gml_instance_here(instance, s->inputs[i], &instance->args[i], diags));
    }
    for (uint32_t i = 0; i < s->n_outputs; i++)
        outputs[i] = (gml_rvalue){0};
    find_shapes(instance, s);
    gml_status status = call_host(instance, step, outputs, diags);
    if (status == GML_OK)
        status = keep_outputs(instance, s, outputs, diags);
    for (uint32_t i = 0; i < s->n_outputs; i++)
        gml_rvalue_reset(&outputs[i]);
    return status;
}
