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

#ifdef __cplusplus
}
#endif
#endif
