#include "runtime/host/region_util.h"

gml_status gml_region_init(gml_region *region, gml_host_call *call, const char *name,
                           gml_scratch *scratch)
{
    *region = (gml_region){.call = call};
    const gml_attr *attr = gml_host_attr(call, name);
    if (attr == NULL || attr->kind != GML_ATTR_GRAPH || call->run_region == NULL ||
        call->region_arity == NULL)
        return gml_host_fail(call, GML_E_INVALID, "there is no region %s to run", name);
    region->number = (unsigned)attr->count;
    size_t n_params = 0;
    size_t n_results = 0;
    call->region_arity(call, region->number, &n_params, &n_results);
    region->params = gml_scratch_array(scratch, gml_rvalue, n_params);
    region->results = gml_scratch_array(scratch, gml_rvalue, n_results);
    if (region->params == NULL || region->results == NULL)
        return gml_host_no_memory(call);
    region->n_params = n_params;
    region->n_results = n_results;
    return GML_OK;
}

static void reset_all(gml_rvalue *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gml_rvalue_reset(&values[i]);
}

void gml_region_reset(gml_region *region)
{
    reset_all(region->params, region->n_params);
    reset_all(region->results, region->n_results);
}

gml_status gml_region_expect(const gml_region *region, size_t n_params, size_t n_results)
{
    if (region->n_params == n_params && region->n_results == n_results)
        return GML_OK;
    return gml_host_fail(region->call, GML_E_INVALID,
                         "the body has %zu parameters and %zu results; expected %zu and %zu",
                         region->n_params, region->n_results, n_params, n_results);
}

gml_status gml_region_run(gml_region *region)
{
    reset_all(region->results, region->n_results);
    gml_status status =
        region->call->run_region(region->call, region->number, region->params, region->n_params,
                                 region->results, region->n_results);
    reset_all(region->params, region->n_params);
    return status;
}

gml_status gml_region_set(gml_region *region, size_t k, const gml_rvalue *value)
{
    gml_rvalue_reset(&region->params[k]);
    if (gml_rvalue_copy(&region->params[k], value) != GML_OK)
        return gml_host_no_memory(region->call);
    return GML_OK;
}

void gml_rvalue_take(gml_rvalue *to, gml_rvalue *from)
{
    gml_rvalue_reset(to);
    *to = *from;
    *from = (gml_rvalue){0};
}

gml_status gml_stacks_init(gml_stacks *stacks, gml_host_call *call, size_t n_lists,
                           gml_scratch *scratch)
{
    *stacks = (gml_stacks){.lists = gml_scratch_array(scratch, gml_rvalue, n_lists)};
    if (stacks->lists == NULL)
        return gml_host_no_memory(call);
    stacks->n_lists = n_lists;
    return GML_OK;
}

void gml_stacks_reset(gml_stacks *stacks)
{
    reset_all(stacks->lists, stacks->n_lists);
}

gml_status gml_stacks_push(gml_stacks *stacks, gml_host_call *call, gml_rvalue *values)
{
    for (size_t k = 0; k < stacks->n_lists; k++) {
        GML_TRY(gml_host_grow(call, &stacks->lists[k], stacks->count));
        gml_rvalue_take(&stacks->lists[k].items[stacks->count], &values[k]);
    }
    stacks->count++;
    return GML_OK;
}

gml_status gml_stacks_join(const gml_stacks *stacks, gml_host_call *call, size_t k,
                           unsigned result, const gml_join *join)
{
    if (result >= call->n_outputs)
        return GML_OK;
    if (stacks->count > 0)
        return gml_host_join(call, result, stacks->lists[k].items, stacks->count, join);
    gml_tensor shape = {.rank = 1};
    if (call->output_shapes != NULL && call->output_shapes[result].rank > 0)
        shape = call->output_shapes[result];
    int axis = 0;
    GML_TRY(gml_host_axis(call, join->axis, shape.rank, &axis));
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = i == axis || shape.dims[i] < 0 ? 0 : shape.dims[i];
    const gml_tensor *y = NULL;
    gml_dtype dtype = call->output_dtypes != NULL ? call->output_dtypes[result] : GML_F32;
    return gml_host_alloc(call, result, dtype, shape.rank, shape.dims, &y);
}
