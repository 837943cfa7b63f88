/* api/input.h - values for a model's inputs: from files, or random.
 *
 * A file is told by its first bytes: .npy, .npz, a picture, and what is none of these is one of
 * ONNX's messages, of the input's declared type. Types that NumPy does not have (bf16, 8-bit
 * floats, 4-bit integers, …) may come as numbers of another type of their class, when every one
 * is representable.
 *
 * The values are views into the arena given; sequences have an array of their own, so reset
 * them.
 */
#ifndef GML_API_INPUT_H
#define GML_API_INPUT_H

#include "api/picture.h"
#include "api/session.h"

typedef struct gml_inputs {
    const gml_model *model;
    gml_arena *arena;
    gml_rvalue *values;          /* one for each input of the model; NONE: not given */
    const char **files;          /* where each came from, or NULL */
    gml_picture_options picture; /* what is given: the rest is the model's (preparation.h) */
} gml_inputs;

void gml_inputs_init(gml_inputs *inputs, const gml_model *model, gml_arena *arena);
void gml_inputs_reset(gml_inputs *inputs);

/* Sets the input called `name` (NULL: the only one) to what the file holds. GML_E_USAGE when
 * there is no such input or it has a value already; GML_E_TYPE and GML_E_SHAPE when the value
 * does not fit. */
GML_MUST_CHECK gml_status gml_inputs_read(gml_inputs *inputs, const char *name,
                                          const char *path, gml_diags *diags);
/* Every array of an .npz by its name. */
GML_MUST_CHECK gml_status gml_inputs_read_npz(gml_inputs *inputs, const char *path,
                                              gml_diags *diags);

/* Gives random values to the inputs without one: floats from -1 to 1, integers and booleans 0
 * or 1, short texts; optionals and sequences stay empty. Open dimensions are what values given
 * so far say, else 1. The same seed gives the same values everywhere. */
GML_MUST_CHECK gml_status gml_inputs_fill(gml_inputs *inputs, uint64_t seed, gml_diags *diags);

#endif
