/* runtime/artifact_reader.h - a cursor over an image that cannot leave it. Private to
 * artifact_{read,reader,image,file}.c.
 *
 * After the first fault every read gives zeros and `status` keeps the fault, so that callers
 * test it where they loop or allocate. A count is accepted only when so many elements can still
 * follow: what is allocated is in proportion to the image.
 */
#ifndef GML_RUNTIME_ARTIFACT_READER_H
#define GML_RUNTIME_ARTIFACT_READER_H

#include "runtime/artifact_format.h"

typedef struct gml_reader {
    const unsigned char *image;
    const unsigned char *at, *end;  /* of the description */
    const unsigned char *constants; /* in the image, or in `file` */
    uint64_t constants_size;
    gml_file file; /* mapped; empty when there is none */
    const gml_artifact_symbols *symbols;
    gml_map phases; /* name to row of `symbols` */
    gml_map hosts;
    gml_arena *arena; /* of the program being read */
    gml_loc loc;
    gml_status status;
    gml_diags *diags;
} gml_reader;

/* Records the first fault. */
void gml_reader_refuse(gml_reader *r, const char *what);
uint32_t gml_read_u32(gml_reader *r);
uint64_t gml_read_u64(gml_reader *r);
int64_t gml_read_i64(gml_reader *r);
float gml_read_float(gml_reader *r);
/* A number of elements, each of at least `size` bytes. */
uint32_t gml_read_count(gml_reader *r, size_t size);
/* NULL when there is none. */
const char *gml_read_text(gml_reader *r);
/* Never NULL. */
const char *gml_read_name(gml_reader *r);
const uint32_t *gml_read_numbers(gml_reader *r, uint32_t *out_count);
/* Where the elements of `tensor`, whose type and shape are set, lie. */
void gml_read_elements(gml_reader *r, gml_tensor *tensor);
/* Planned and checked; NULL after a fault. Leaves r->arena the program's. */
gml_program *gml_read_program(gml_reader *r);
const gml_attr *gml_read_attrs(gml_reader *r, uint32_t *out_count);
/* Maps the file of constants, if there is one, and checks that it is the artifact's. */
void gml_read_file(gml_reader *r);

#endif
