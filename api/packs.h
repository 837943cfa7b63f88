/* api/packs.h - constants that are packed ahead, for the kernels that read them.
 *
 * A list of what is to be packed, made while a program is built. When the code exists they are
 * either all packed into memory of the list's own (gml_packs_keep), for a program that runs in
 * this process, or one at a time where they are wanted (gml_packs_fill), for one that is
 * written.
 *
 * The list belongs to the module's arena; only what it keeps must be released.
 */
#ifndef GML_API_PACKS_H
#define GML_API_PACKS_H

#include "codegen/codegen.h"
#include "ir/graph.h"
#include "runtime/program.h"

typedef struct gml_packs gml_packs;

gml_packs *gml_packs_create(gml_module *module);
/* `pack` fills `slot` (with others, perhaps) from `constants`, by number of the kernel's input;
 * NULL where an input is none. Everything is copied but the constants. */
void gml_packs_add(gml_packs *packs, gml_program *program, uint32_t slot,
                   const gml_code_pack *pack, const gml_tensor *const *constants);

/* Packs everything and sets the slots' data. */
GML_MUST_CHECK gml_status gml_packs_keep(gml_packs *packs, const gml_jit *jit,
                                         gml_diags *diags);
/* Packs what belongs into `slot`, which has no data, into the zeroed `bytes`, and lets go the
 * pages of mapped files that it was made from. */
GML_MUST_CHECK gml_status gml_packs_fill(const gml_packs *packs, const gml_jit *jit,
                                         const gml_program *program, uint32_t slot, void *bytes,
                                         gml_diags *diags);
void gml_packs_release(gml_packs *packs); /* what was kept */

#endif
