/* gemel/gemel.h - load an ONNX model and run it.
 *
 *     gml_model *model = NULL;
 *     gml_session *session = NULL;
 *     gml_tensor y;
 *     float values[3] = {1, 2, 3};
 *     gml_tensor x = {.dtype = GML_F32, .rank = 2, .dims = {1, 3}, .data = values};
 *     if (gml_model_load("model.onnx", &model) != GML_OK ||
 *         gml_session_create(model, &session) != GML_OK ||
 *         gml_session_set_input(session, "x", &x) != GML_OK || gml_session_run(session) !=
 * GML_OK || gml_session_get_output(session, "y", &y) != GML_OK) fputs(gml_error_text(),
 * stderr); gml_session_destroy(session); gml_model_release(model);
 *
 * From simple to advanced: the first part is all that most programs need; then options, memory
 * without copies, and values other than tensors.
 *
 * Who owns what: a gml_model and a gml_session belong to the caller. What a function hands out
 * (names, tensors) is borrowed, and it says for how long. No function keeps a pointer into the
 * caller's memory but those called `bind` and gml_model_wrap.
 *
 * Failures: every function that can fail returns a gml_status (gemel/types.h) and leaves its
 * results as they were; gml_error_text says what is wrong, with the node or the file. Nothing
 * prints, nothing exits, but that a process without memory for the compiler's own tables is
 * aborted.
 *
 * Threads: a model may be used by any number of threads at once, a session by one at a time.
 * Several sessions of one model share what was compiled.
 */
#ifndef GEMEL_GEMEL_H
#define GEMEL_GEMEL_H

#include "gemel/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GML_VERSION_MAJOR 0
#define GML_VERSION_MINOR 1
#define GML_VERSION_PATCH 0

/* "0.1.0": of the library that is linked. Never NULL. */
const char *gml_version(void);

/* ---- simple -------------------------------------------------------------------------------
 */

typedef struct gml_model gml_model;
typedef struct gml_session gml_session;

/* Loads an .onnx file, textual IR, or what `gemel compile` made, with default options. (A
 * compiled model is code that runs in this process: load only those you trust.) The file stays
 * mapped while the model lives: weights are never copied. */
GML_MUST_CHECK gml_status gml_model_load(const char *path, gml_model **out_model);
/* Models are refcounted; their sessions hold a reference. Both accept NULL. */
gml_model *gml_model_retain(gml_model *model);
void gml_model_release(gml_model *model);

/* One execution context: its own inputs, outputs and memory. */
GML_MUST_CHECK gml_status gml_session_create(gml_model *model, gml_session **out_session);
void gml_session_destroy(gml_session *session); /* accepts NULL */

/* Gives the input called `name` a value; its elements are copied. It stays set for later runs.
 */
GML_MUST_CHECK gml_status gml_session_set_input(gml_session *session, const char *name,
                                                const gml_tensor *tensor);
/* Runs the model. Every input that is not optional must have a value. The first run, and the
 * first with other shapes than before, compiles; the sixteen programs used last are kept for
 * all sessions. */
GML_MUST_CHECK gml_status gml_session_run(gml_session *session);
/* The result called `name`: a view of the session's memory, valid until its next run. */
GML_MUST_CHECK gml_status gml_session_get_output(const gml_session *session, const char *name,
                                                 gml_tensor *out_tensor);

/* What the last call that failed on this thread had to say: one line a fault, "FILE: NODE (OP):
 * text\n", with indented notes. Never NULL; valid until the next failure on this thread. */
const char *gml_error_text(void);

/* ---- explicit: options --------------------------------------------------------------------
 */

/* The size of a dimension that the model leaves open: {"batch", 8}. */
typedef struct gml_dim_size {
    const char *name;
    int64_t size;
} gml_dim_size;

/* Which part of the model is run. A model with training information keeps *states* from run to
 * run: trained weights, averages, counters. */
typedef enum gml_entry {
    GML_ENTRY_FIXED,      /* the graph with the weights of the file, which never change */
    GML_ENTRY_RUN,        /* the graph with the states as they are */
    GML_ENTRY_STEP,       /* a step of training: changes the states */
    GML_ENTRY_INITIALISE, /* what the model does before the first step: sets states */
} gml_entry;

/* All zero is the default. Everything is copied. */
typedef struct gml_model_options {
    /* "cpu" (NULL), or "cuda", an NVIDIA GPU ("cuda:1": the second one): compiled. "emu": what
     * a GPU runs, here, to test it; "ref": the interpreter; both are slow. */
    const char *device;
    /* "highest" (NULL), or "medium", for which cuda and emu round the operands of matrix
     * products in f32 to bf16; sums stay f32. Elsewhere that is GML_E_UNSUPPORTED. */
    const char *precision;
    int n_threads; /* of a session's run, its caller included, up to 256; 0: one a processor */
    const gml_dim_size *dims;
    size_t n_dims;
    bool fast_compile; /* spend less on compiling, for programs that run once */
    gml_entry entry;
    size_t training; /* of STEP and INITIALISE: which of gml_model_n_trainings */
    uint64_t seed; /* of INITIALISE: of random numbers whose node has no seed; 0: by its name */
} gml_model_options;

GML_MUST_CHECK gml_status gml_model_load_with(const char *path,
                                              const gml_model_options *options,
                                              gml_model **out_model);
/* The same for the `len` bytes of a file, which are not copied and must outlive the model.
 * `folder` is where external data lies (NULL: there can be none). `options` may be NULL. */
GML_MUST_CHECK gml_status gml_model_wrap(const void *bytes, size_t len, const char *folder,
                                         const gml_model_options *options,
                                         gml_model **out_model);

/* ---- explicit: inputs and outputs ---------------------------------------------------------
 */

typedef enum gml_port_kind {
    GML_PORT_TENSOR,
    GML_PORT_SEQUENCE, /* of tensors */
    GML_PORT_OPTIONAL, /* a tensor, a sequence, or nothing */
    GML_PORT_OTHER,    /* maps and nested sequences: no function here reads or sets those */
} gml_port_kind;

#define GML_PORT_RANK_UNKNOWN (-1)
#define GML_PORT_DIM_UNKNOWN  (-1)

/* An input or output as the model declares it. Strings belong to the model. */
typedef struct gml_port {
    const char *name;
    const char *type; /* "f32[batch,3,224,224]", "seq(i64[?])" */
    gml_port_kind kind;
    gml_dtype dtype;            /* of the elements; GML_NONE when the model does not say */
    int rank;                   /* or GML_PORT_RANK_UNKNOWN */
    int64_t dims[GML_MAX_RANK]; /* or GML_PORT_DIM_UNKNOWN */
    const char *dim_names[GML_MAX_RANK]; /* of an open dimension: its name; else NULL */
} gml_port;

size_t gml_model_n_inputs(const gml_model *model);
size_t gml_model_n_outputs(const gml_model *model);
/* Valid while the model lives; NULL when `index` is too large. */
const gml_port *gml_model_input(const gml_model *model, size_t index);
const gml_port *gml_model_output(const gml_model *model, size_t index);
/* The index of an input or output; GML_E_USAGE, with the names there are, when none is called
 * so. */
GML_MUST_CHECK gml_status gml_model_find_input(const gml_model *model, const char *name,
                                               size_t *out_index);
GML_MUST_CHECK gml_status gml_model_find_output(const gml_model *model, const char *name,
                                                size_t *out_index);

/* ---- explicit: memory without copies ------------------------------------------------------
 */

/* The input is read where it lies, at every run until it is bound or set again: the memory must
 * stay and may change between runs. Any alignment will do, 64 bytes is best. NULL takes the
 * value away. */
GML_MUST_CHECK gml_status gml_session_bind_input(gml_session *session, size_t index,
                                                 const gml_tensor *tensor);
/* The result is put into `tensor`'s memory at every run, which fails with GML_E_SHAPE or
 * GML_E_TYPE when it has another shape or type. It is computed there, without a copy, when the
 * memory is aligned to 64 bytes and is no input's. NULL unbinds. Not for strings, sequences and
 * optionals. */
GML_MUST_CHECK gml_status gml_session_bind_output(gml_session *session, size_t index,
                                                  const gml_tensor *tensor);
/* gml_session_get_output by index. */
GML_MUST_CHECK gml_status gml_session_output(const gml_session *session, size_t index,
                                             gml_tensor *out_tensor);

/* ---- explicit: training -------------------------------------------------------------------
 *
 * The parts of a model are loaded one by one, and their sessions share the states:
 *
 *     gml_model_options options = {.entry = GML_ENTRY_STEP};
 *     gml_model_load_with("model.onnx", &options, &step);
 *     options.entry = GML_ENTRY_RUN;
 *     gml_model_load_with("model.onnx", &options, &run);
 *     gml_session_create(step, &training);
 *     gml_session_create_sharing(run, training, &use);
 *     gml_session_run(training);      one step, in which states change
 *     gml_session_run(use);           sees what it made of them
 *
 * What was compiled from such a model (OUT.so) has the same parts, and FIXED is RUN.
 */

/* How many ways to train it the file has: 0, mostly 1. A FIXED or RUN model tells, too. */
size_t gml_model_n_trainings(const gml_model *model);
/* A session on the states of `other`, which may go first. GML_E_USAGE when the model has not
 * the same states, or `other` has none. Sessions that share run one at a time. */
GML_MUST_CHECK gml_status gml_session_create_sharing(gml_model *model, const gml_session *other,
                                                     gml_session **out_session);
/* States begin as the file has them, in its order. 0 for a model without, or a FIXED one. */
size_t gml_session_n_states(const gml_session *session);
/* Valid while the session lives; NULL when `index` is too large. */
const char *gml_session_state_name(const gml_session *session, size_t index);
/* A view of the state's elements, which change with every step; valid while a session with
 * these states lives. On a device with memory of its own it shows what they were at the last
 * such call for the state. After a step that failed while running they are lost. */
GML_MUST_CHECK gml_status gml_session_get_state(const gml_session *session, const char *name,
                                                gml_tensor *out_tensor);
/* Copies the elements of `tensor`, which has the state's type (GML_E_TYPE) and shape
 * (GML_E_SHAPE). */
GML_MUST_CHECK gml_status gml_session_set_state(gml_session *session, const char *name,
                                                const gml_tensor *tensor);

/* ---- advanced: sequences and optionals ----------------------------------------------------
 */

/* A sequence of `n_items` tensors, read where they lie as above; the array itself is copied. */
GML_MUST_CHECK gml_status gml_session_bind_items(gml_session *session, size_t index,
                                                 const gml_tensor *items, size_t n_items);
/* How many tensors a result has: 1 for a tensor, any number for a sequence, 0 for an optional
 * without value. gml_session_output_item hands them out, valid until the next run. */
GML_MUST_CHECK gml_status gml_session_count_items(const gml_session *session, size_t index,
                                                  size_t *out_count);
GML_MUST_CHECK gml_status gml_session_output_item(const gml_session *session, size_t index,
                                                  size_t item, gml_tensor *out_tensor);

#ifdef __cplusplus
}
#endif
#endif
