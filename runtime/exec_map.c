/* runtime/exec_map.c - the tensor maps that kernels get, encoded when something in them
 * changed.
 */
#include "runtime/instance.h"

#include <string.h>

/* `layout` with numbers for its sizes; false: one is not known. */
static bool resolve(const gml_instance *instance, const gml_map_layout *layout,
                    gml_map_layout *out)
{
    *out = *layout;
    bool is_known = gml_instance_dim(instance, layout->offset, &out->offset);
    for (uint32_t d = 0; d < layout->rank; d++)
        is_known = is_known &&
                   gml_instance_dim(instance, layout->extents[d], &out->extents[d]) &&
                   gml_instance_dim(instance, layout->strides[d], &out->strides[d]);
    return is_known;
}

static bool is_same(const gml_map_layout *a, const gml_map_layout *b)
{
    size_t size = a->rank * sizeof *a->extents;
    return a->offset == b->offset && memcmp(a->extents, b->extents, size) == 0 &&
           memcmp(a->strides, b->strides, size) == 0;
}

gml_status gml_instance_map(gml_instance *instance, const gml_step *step, uint32_t phase,
                            size_t n_params, uint32_t *first, gml_diags *diags)
{
    const gml_phase *p = &step->phases[phase];
    for (uint32_t i = 0; i < p->launch.n_maps; i++) {
        gml_kept_map *kept = &instance->maps[*first + i];
        const void *memory = instance->mems[p->maps[i].mem];
        gml_map_layout now;
        if (!resolve(instance, &p->maps[i], &now))
            return gml_fail(diags, GML_E_INTERNAL, gml_step_loc(step),
                            "the sizes of a tensor map are not known");
        if (kept->memory != memory || !is_same(&kept->layout, &now)) {
            kept->memory = NULL;
            GML_TRY(
                gml_device_encode(instance->program->device, &now, memory, kept->map, diags));
            kept->memory = memory;
            kept->layout = now;
        }
        instance->params[n_params + i] = kept->map;
    }
    *first += p->launch.n_maps;
    return GML_OK;
}
