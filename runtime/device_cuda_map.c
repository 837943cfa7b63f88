/* runtime/device_cuda_map.c - tensor maps by the driver, which alone knows what is in them. */
#include "runtime/device_cuda.h"

#include <string.h>

/* Numbers of cuda.h. */
enum {
    CU_BFLOAT16 = 9,
    CU_SWIZZLE_NONE = 0,
    CU_SWIZZLE_128 = 3,
    CU_INTERLEAVE_NONE = 0,
    CU_PROMOTE_256 = 3, /* what a copy misses in L2 comes from memory in so many bytes */
    CU_FILL_ZEROS = 0,
};

gml_status gml_cuda_encode(gml_device *device, const gml_map_layout *layout, const void *memory,
                           void *out_map, gml_diags *diags)
{
    _Alignas(64) unsigned char map[GML_MAP_BYTES];
    uint64_t extents[GML_MAP_RANK];
    uint64_t strides[GML_MAP_RANK];
    unsigned steps[GML_MAP_RANK];
    union {
        const char *from;
        char *to;
    } start = {.from = (const char *)memory + layout->offset};
    if (gml_cu.map_encode == NULL)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0},
                        "the CUDA driver is too old: it is for CUDA %d.%d and has no "
                        "cuTensorMapEncodeTiled, which kernels for sm_90a need; 12.0 has it",
                        gml_cu.version / 1000, gml_cu.version % 1000 / 10);
    if (layout->dtype != GML_BF16)
        return gml_fail(diags, GML_E_INTERNAL, (gml_loc){0},
                        "a tensor map of elements that are not bf16");
    for (uint32_t d = 0; d < layout->rank; d++) {
        extents[d] = (uint64_t)layout->extents[d];
        steps[d] = 1;
        if (d > 0)
            strides[d - 1] = (uint64_t)layout->strides[d];
    }
    GML_TRY(gml_cuda_enter(device, diags));
    GML_TRY(
        gml_cu_check(gml_cu.map_encode(map, CU_BFLOAT16, layout->rank, start.to, extents,
                                       strides, layout->box, steps, CU_INTERLEAVE_NONE,
                                       layout->is_swizzled ? CU_SWIZZLE_128 : CU_SWIZZLE_NONE,
                                       CU_PROMOTE_256, CU_FILL_ZEROS),
                     "encoding a tensor map", diags));
    memcpy(out_map, map, sizeof map);
    return GML_OK;
}
