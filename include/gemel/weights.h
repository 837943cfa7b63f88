/* gemel/weights.h - the weights of trained networks, out of the files that frameworks write.
 *
 *     gml_weights *w = gml_weights_open("checkpoint.pth");
 *     gml_weights_map(w, &(gml_weights_mapping){.map = NULL});   which names are the network's?
 *     const gml_weight *table = gml_weights_find(w, "pos_embed");
 *     if (gml_weights_status(w) != GML_OK)
 *         fputs(gml_weights_message(w), stderr);
 *     gml_weights_close(w);
 *
 * Files are told apart by their content: safetensors, PyTorch's .pth (the zip since 1.6 and the
 * form before it; its pickle is read as data, nothing in it is executed), and the initialisers
 * of ONNX models. Elements lie in the mapped file and are valid until the close; a file is not
 * to be changed until then. Dictionaries inside of files become names with points:
 * "model.blocks.0.norm1.weight".
 *
 * Failures stick: the first one is remembered, and later calls do nothing. Out of memory for
 * the tables aborts. Not thread-safe: one object, one thread.
 */
#ifndef GEMEL_WEIGHTS_H
#define GEMEL_WEIGHTS_H

#include "gemel/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gml_weights gml_weights;

/* A tensor of a file. */
typedef struct gml_weight {
    const char *name;
    gml_tensor tensor;
    bool is_turned; /* a matrix stored as the transpose of the framework's (out, in) */
} gml_weight;

/* What else a file holds: numbers and texts. */
typedef struct gml_weights_text {
    const char *name;
    const char *value;
} gml_weights_text;

/* Never NULL. */
gml_weights *gml_weights_open(const char *path);
/* Accepts NULL. */
void gml_weights_close(gml_weights *weights);

gml_status gml_weights_status(const gml_weights *weights);
/* The first failure: "FILE: TENSOR: text\n" with notes; "" when there is none. */
const char *gml_weights_message(gml_weights *weights);

/* "safetensors", "pytorch", "pytorch (legacy)" or "onnx"; "" after a failure to open. */
const char *gml_weights_format(const gml_weights *weights);
const char *gml_weights_file(const gml_weights *weights);

/* Everything in the file, in its order. */
size_t gml_weights_count(const gml_weights *weights);
const gml_weight *gml_weights_get(const gml_weights *weights, size_t i);
size_t gml_weights_text_count(const gml_weights *weights);
const gml_weights_text *gml_weights_get_text(const gml_weights *weights, size_t i);

/* Reads a further file of the same kind of names: its tensors take the places of those of the
 * same name, which they must be like in shape, and new ones are added. A checkpoint has what
 * training changed, the model that was trained has the rest. */
void gml_weights_add(gml_weights *weights, const char *path);

/* ---- names of a network ------------------------------------------------------------------ */

/* A map says what the tensors of one method's files are in a network of models/. */
typedef struct gml_weights_map_info {
    const char *name;
    const char *doc;
} gml_weights_map_info;

const gml_weights_map_info *gml_weights_maps(size_t *out_count);

/* All zero is the default. */
typedef struct gml_weights_mapping {
    const char *map;          /* NULL: the first one that fits */
    const char *prefix;       /* of the names that count: "model."; NULL: found by the map */
    const char *const *leave; /* patterns, with `*`, of whole names that are left out */
    size_t n_leave;
} gml_weights_mapping;

typedef enum gml_weight_fate {
    GML_WEIGHT_TAKEN,
    GML_WEIGHT_OPTIONAL, /* taken where the network has a place for it */
    GML_WEIGHT_LEFT,     /* of no use, and known to be */
    GML_WEIGHT_UNKNOWN,  /* no row of the map fits it: a network does not begin with such a file
                          */
} gml_weight_fate;

/* Once, behind all files. */
void gml_weights_map(gml_weights *weights, const gml_weights_mapping *mapping);
/* NULL before. */
const char *gml_weights_map_name(const gml_weights *weights);
const char *gml_weights_prefix(const gml_weights *weights);
/* What becomes of weight `i`. `*out_text` is the network's name, or why it is left, or "". */
gml_weight_fate gml_weights_get_fate(const gml_weights *weights, size_t i,
                                     const char **out_text);
/* What the map knows and shapes do not tell: "heads.384" is how many heads an encoder of that
 * width has. NULL when it does not say. */
const char *gml_weights_fact(const gml_weights *weights, const char *key);

/* By the network's name; NULL when there is none, or nothing is mapped. */
const gml_weight *gml_weights_find(const gml_weights *weights, const char *name);

/* The table of positions called `name`, (1, n_before + grid, channels), is brought to a grid of
 * `rows` x `columns` by bicubic interpolation; the first `n_before` rows stay. Nothing happens
 * when it has that grid. The file's is a square. */
void gml_weights_fit_positions(gml_weights *weights, const char *name, int64_t n_before,
                               int64_t rows, int64_t columns);

/* ---- other files ---------------------------------------------------------------------------
 */

/* All zero is the default. */
typedef struct gml_weights_save_options {
    gml_dtype dtype;    /* of all floats: F32, F16 or BF16; GML_NONE: as they are */
    const char *prefix; /* when nothing is mapped: only names behind it, without it */
} gml_weights_save_options;

/* Writes the tensors to a file by the end of its name, ".safetensors" or ".npz"; it appears
 * whole or not at all. Once mapped, those are written that are taken, under the network's
 * names. Matrices are as frameworks store them. `options` may be NULL. */
void gml_weights_save(gml_weights *weights, const char *path,
                      const gml_weights_save_options *options);

#ifdef __cplusplus
}
#endif
#endif
