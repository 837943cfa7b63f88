/* runtime/embed.h - what the entry points of an artifact call. The compiler writes those entry
 * points (typed, one set an artifact); a user of an artifact includes only the header beside
 * it.
 *
 * Status numbers are the command line's exit statuses: 0 done, 3 bad input, 4 not supported, 5
 * the machine. Every handle is one thread's at a time; several handles of one artifact may run
 * at once.
 */
#ifndef GML_RUNTIME_EMBED_H
#define GML_RUNTIME_EMBED_H

#include "runtime/artifact.h"

typedef struct gml_embed gml_embed;

/* Opens the artifact that the library holds whose ELF header is at `library`, for `n_threads`
 * threads. Constants beside it are looked for in the library's folder. On failure `*out_embed`
 * is NULL and `error` (of `error_size` bytes, may be NULL) says why. */
int gml_embed_open(const void *library, const gml_artifact_symbols *symbols, int n_threads,
                   gml_embed **out_embed, char *error, size_t error_size);
void gml_embed_close(gml_embed *embed); /* accepts NULL */

/* Runs the first program once. `inputs[i]` points to dense elements of input i with dimensions
 * `dims[i]` (as many as its rank); `outputs[i]` to room for output i, whose dimensions follow
 * from the inputs'. */
int gml_embed_run(gml_embed *embed, const void *const *inputs, const int64_t *const *dims,
                  void *const *outputs);
/* The same for program `number` of the artifact. Its inputs and outputs are those that are no
 * states: these are read and change in memory that all programs share. After a failure while
 * running they are lost. */
int gml_embed_run_part(gml_embed *embed, unsigned number, const void *const *inputs,
                       const int64_t *const *dims, void *const *outputs);

/* A state as it is. The header that api/artifact_text.c writes declares the same structure. */
typedef struct gml_embed_state {
    const char *name;
    const char *dtype; /* "f32" */
    int rank;
    const int64_t *dims;
    void *data;  /* its elements, dense: to be read and written between runs */
    size_t size; /* bytes */
} gml_embed_state;

size_t gml_embed_n_states(const gml_embed *embed);
/* Valid until the artifact is closed; NULL when `index` is too large, or none is called so. */
const gml_embed_state *gml_embed_get_state(const gml_embed *embed, size_t index);
const gml_embed_state *gml_embed_find_state(const gml_embed *embed, const char *name);

/* What the last failure was. Never NULL. */
const char *gml_embed_error(const gml_embed *embed);

/* The image in a loaded library; NULL and 0 when it has none. */
const void *gml_embed_image(const void *library, size_t *out_size);
/* The file that it was loaded from, or "". */
const char *gml_embed_path(const void *library);

#endif
