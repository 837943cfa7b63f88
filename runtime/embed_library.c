/* runtime/embed_library.c - what a library knows of itself while it is loaded. */
#define _GNU_SOURCE /* dladdr */

#include "runtime/embed.h"

#include <dlfcn.h>
#include <elf.h>
#include <string.h>

static const char *find_image(const char *library, const Elf64_Phdr *segment)
{
    const char *at = library + segment->p_vaddr;
    bool is_image = segment->p_type == PT_LOAD && (segment->p_flags & PF_R) != 0 &&
                    segment->p_filesz >= 8 && memcmp(at, GML_ARTIFACT_MAGIC, 8) == 0;
    return is_image ? at : NULL;
}

/* The headers are in the first segment, which begins the library. */
const void *gml_embed_image(const void *library, size_t *out_size)
{
    Elf64_Ehdr header;
    memcpy(&header, library, sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, (const char *)library + header.e_phoff + i * sizeof segment,
               sizeof segment);
        const char *image = find_image(library, &segment);
        *out_size = (size_t)segment.p_filesz;
        if (image != NULL)
            return image;
    }
    *out_size = 0;
    return NULL;
}

const char *gml_embed_path(const void *library)
{
    Dl_info info;
    return dladdr(library, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "";
}
