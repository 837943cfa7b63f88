/* api/link_device.h - a built program becomes one that runs on a device. Private to api/. */
#ifndef GML_API_LINK_DEVICE_H
#define GML_API_LINK_DEVICE_H

#include "api/build_program.h"

/* Sets the GPU of `target` to `device`; text is in `arena`. */
void gml_target_device(gml_target *target, const gml_device *device, gml_arena *arena);

/* Loads the code onto `device`, and gives it and their kernels to all programs, with the final
 * table of sizes. `*out_jit` is the emulator's code, to be kept while the programs live; NULL
 * of other devices. */
GML_MUST_CHECK gml_status gml_link_device(gml_program_builder *builder, gml_device *device,
                                          gml_jit **out_jit, gml_diags *diags);

#endif
