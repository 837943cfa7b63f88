/* cli/given.h - a model's inputs as options give them: files, sizes, a seed. Private to cli/.
 */
#ifndef GML_CLI_GIVEN_H
#define GML_CLI_GIVEN_H

#include "api/input.h"

/* A value given with the command line. */
typedef struct gml_given_input {
    const char *text; /* NAME=FILE or FILE; an .npz when `all` */
    bool all;
} gml_given_input;

/* All zero to begin with, but for the arena. */
typedef struct gml_given {
    gml_arena *arena;
    gml_vec(gml_given_input) inputs;
    gml_vec(gml_onnx_dim) dims;
    gml_picture_options picture;
    uint64_t seed;
} gml_given;

/* Rows of a verb's option table for what gml_given_handle knows. */
#define GML_GIVEN_OPTIONS                                                                      \
    {"input", "NAME=FILE", "the value of an input: .npy, .npz, .pb or a picture", 'i'},        \
        {"inputs", "FILE.npz", "the values of several, by their names"},                       \
        {"dim", "NAME=N", "the size of an open dimension"},                                    \
        {"seed", "N", "of the inputs that are not given, and of random first states (0)"},     \
        {"mean", "R,G,B",                                                                      \
         "subtracted from pictures, after scaling to 0..1 (the model's, or ImageNet's)"},      \
        {"std", "R,G,B", "and then the divisor (the model's, or ImageNet's)"},                 \
    {                                                                                          \
        "no-normalize", NULL, "pictures are only scaled to 0..1"                               \
    }

/* What --help says about them. */
#define GML_GIVEN_HELP                                                                         \
    "Inputs that are not given are random: floats from -1 to 1, integers 0 or 1.\n"            \
    "Pictures are resized to what the input wants. NAME= may be left out when there is one\n"  \
    "input."

/* True when the option was one of these; then *out_ok says whether the value will do. */
bool gml_given_handle(gml_given *given, const char *name, const char *value, bool *out_ok);

/* Reads the files and fills in the rest. `inputs` was initialised for the model. */
GML_MUST_CHECK gml_status gml_given_read(const gml_given *given, gml_inputs *inputs,
                                         gml_diags *diags);

#endif
