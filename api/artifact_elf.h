/* api/artifact_elf.h - room in a shared library for an image that is written behind it.
 *
 * The C compiler links a library without the model's weights, which would have to pass through
 * assembler and linker. They are appended afterwards, as one more segment: the library has a
 * small note (GML_IMAGE_SECTION, which api/artifact_text.c writes), whose program header and
 * section header become the segment's. What comes out is as good an ELF file as before; `strip`
 * keeps the segment. The library finds it again by the image's first bytes
 * (gml_embed_image, runtime/embed.h).
 */
#ifndef GML_API_ARTIFACT_ELF_H
#define GML_API_ARTIFACT_ELF_H

#include "gemel/types.h"

#include <stddef.h>

#define GML_IMAGE_SECTION ".gemel.image"

/* Changes the `len` bytes of a library so that `size` bytes of its file, from *out_offset on,
 * will be mapped read-only. *out_offset is `len` rounded up to a page; between them are zeros.
 * NULL, or what is wrong with the library. */
const char *gml_elf_add_image(char *bytes, size_t len, uint64_t size, uint64_t *out_offset);

#endif
