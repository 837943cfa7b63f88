/* runtime/artifact.h - a program as bytes, without its code.
 *
 * An image is relocatable and position-independent: sizes, slots, steps, attributes, regions,
 * and the constants, page-aligned, or in a file beside it. Functions are in it by name; whoever
 * loads it lends a table from names to addresses, which the compiler writes beside the code
 * (gml_artifact_print_stub shows it in C). So an artifact links exactly the host operators it
 * uses.
 *
 *     gml_artifact_symbols symbols = model_symbols;
 *     symbols.folder = "/where/the/weights/are";
 *     GML_TRY(gml_artifact_read(image, size, &symbols, &program, diags));
 *
 * The same program gives the same bytes. Reading checks a checksum, the version, the machine,
 * every count, offset and name: a damaged image gives a diagnosis (GML_E_INVALID), an older or
 * newer one, and one for another processor, GML_E_UNSUPPORTED. What an image cannot be checked
 * for is its code.
 *
 * Host attributes that are types are kept by name only: no host operator reads them.
 */
#ifndef GML_RUNTIME_ARTIFACT_H
#define GML_RUNTIME_ARTIFACT_H

#include "base/file.h"
#include "base/str.h"
#include "runtime/program.h"
#include "runtime/states.h"

/* An image wants to lie at a multiple of this, so that its constants are aligned. */
#define GML_ARTIFACT_ALIGN 4096
/* Its first 8 bytes. */
#define GML_ARTIFACT_MAGIC "gemelprg"

/* An image holds one program or several, which share constants and states. Each has a name. */
typedef struct gml_artifact_entry {
    const char *name;
    gml_program *program;
} gml_artifact_entry;

/* What a program that is alone is called; an image of it says nothing of entries. */
#define GML_ARTIFACT_RUN "run"

/* ---- Writing ----------------------------------------------------------------------------
 *
 * In two steps, so that constants need not lie in memory together:
 *
 *     GML_TRY(gml_artifact_plan_create(program, &options, &plan, diags));
 *     status = gml_artifact_put(plan, &sink);    gml_artifact_size(plan) bytes
 *     gml_artifact_plan_destroy(plan);
 */

typedef struct gml_artifact_options {
    const char *const *features; /* that the code needs: "avx2", "amx-tile" (runtime/cpu.h) */
    size_t n_features;
    /* Fills the zeroed `bytes` with a constant whose slot has no data. NULL: all have. */
    gml_status (*make)(void *context, const gml_program *program, uint32_t slot, void *bytes);
    /* These bytes of a slot's data are written, and are not read again for this artifact; a
     * constant may come in pieces. May be NULL. */
    void (*wrote)(void *context, const void *data, size_t size);
    void *context;
} gml_artifact_options;

/* Where bytes go, in their order. `put_at` writes over some that are there. They return false
 * when they could not; writing then stops with GML_E_IO and no diagnostic, since the reason is
 * known to the sink. (GML_E_MEMORY comes without one, too.) */
typedef struct gml_sink {
    bool (*put)(void *context, const void *bytes, size_t len);
    bool (*put_at)(void *context, uint64_t at, const void *bytes, size_t len);
    void *context;
} gml_sink;

typedef struct gml_artifact_plan gml_artifact_plan;

/* Entries, at least one, have different names. A constant (a state's first elements are one)
 * that programs have under one name with the same type and elements is written once. */
GML_MUST_CHECK gml_status gml_artifact_plan_entries(const gml_artifact_entry *entries, size_t n,
                                                    const gml_artifact_options *options,
                                                    gml_artifact_plan **out_plan,
                                                    gml_diags *diags);
/* The same for one program, GML_ARTIFACT_RUN.
 * `options` may be NULL; they and the programs must outlive the plan. Every phase needs its
 * symbol, every host step its host_name. Constants are not made yet, and read only where
 * programs may share them. */
GML_MUST_CHECK gml_status gml_artifact_plan_create(const gml_program *program,
                                                   const gml_artifact_options *options,
                                                   gml_artifact_plan **out_plan,
                                                   gml_diags *diags);
void gml_artifact_plan_destroy(gml_artifact_plan *plan); /* accepts NULL */

/* A constant of the artifact. */
typedef struct gml_artifact_tensor {
    const char *name; /* of its slot, or NULL */
    gml_dtype dtype;
    int rank;
    const gml_dim *dims;
    uint64_t offset, size; /* bytes, in the constants */
} gml_artifact_tensor;

/* All constants: in order of their offsets, one behind the other without gaps. Those whose size
 * is a multiple of 64 are first, so that they are aligned where the constants are. */
const gml_artifact_tensor *gml_artifact_tensors(const gml_artifact_plan *plan,
                                                size_t *out_count);
/* Writes them, and gives a hash of all of them. */
GML_MUST_CHECK gml_status gml_artifact_put_constants(gml_artifact_plan *plan,
                                                     const gml_sink *sink,
                                                     uint64_t *out_checksum);

/* A file beside the artifact that holds its constants. */
typedef struct gml_artifact_file {
    const char *name; /* without folder */
    uint64_t size;
    uint64_t constants;          /* where they begin in it */
    uint64_t head_checksum;      /* gml_artifact_head_checksum */
    uint64_t constants_checksum; /* of gml_artifact_put_constants */
} gml_artifact_file;

/* Of what stands before the constants in a file: tells it from others when loading. */
uint64_t gml_artifact_head_checksum(const void *bytes, size_t len);
/* From now on the image has no constants, but looks for them in `file`, which was written. */
void gml_artifact_plan_file(gml_artifact_plan *plan, const gml_artifact_file *file);

/* Bytes of the image. */
uint64_t gml_artifact_size(const gml_artifact_plan *plan);
GML_MUST_CHECK gml_status gml_artifact_put(gml_artifact_plan *plan, const gml_sink *sink);

/* The same in memory: appends the image to `out`, which must be empty. */
GML_MUST_CHECK gml_status gml_artifact_write(const gml_program *program,
                                             const gml_artifact_options *options, gml_str *out,
                                             gml_diags *diags);

/* Names without repetition, sorted; in `arena`. */
typedef struct gml_artifact_names {
    const char **phases; /* functions of the object file */
    size_t n_phases;
    const char **hosts; /* rows of runtime/host.def */
    size_t n_hosts;
} gml_artifact_names;

void gml_artifact_find_names(const gml_artifact_entry *entries, size_t n, gml_arena *arena,
                             gml_artifact_names *out_names);
/* C source that defines `const gml_artifact_symbols NAME`, with the tables of these programs.
 */
void gml_artifact_print_stub(const gml_artifact_entry *entries, size_t n, const char *name,
                             gml_str *out);

/* ---- Reading ---------------------------------------------------------------------------- */

typedef struct gml_artifact_phase {
    const char *name;
    gml_phase_fn run;
} gml_artifact_phase;

typedef struct gml_artifact_host {
    const char *name;
    gml_host_fn run;
} gml_artifact_host;

typedef struct gml_artifact_symbols {
    const gml_artifact_phase *phases; /* in any order */
    size_t n_phases;
    const gml_artifact_host *hosts;
    size_t n_hosts;
    const char *name;   /* of the artifact, in messages; may be NULL */
    const char *folder; /* where its file of constants is; NULL: the working directory */
    /* Do not read all constants for their checksum: they are paged in on use. */
    bool trust_constants;
} gml_artifact_symbols;

/* What an image holds: each program has one reference, which is this one's. */
typedef struct gml_artifact_image {
    gml_arena arena;
    gml_artifact_entry *entries;
    size_t n_entries;
} gml_artifact_image;

/* Makes planned programs. `bytes` must outlive them; their file is mapped as long as one of
 * them lives (program->release is taken for that). `*out_image` is untouched on failure. */
GML_MUST_CHECK gml_status gml_artifact_read_entries(const void *bytes, size_t len,
                                                    const gml_artifact_symbols *symbols,
                                                    gml_artifact_image *out_image,
                                                    gml_diags *diags);
void gml_artifact_image_reset(gml_artifact_image *image); /* accepts one of zeros */
/* NULL when none is called so. */
gml_program *gml_artifact_image_find(const gml_artifact_image *image, const char *name);

/* Where the states go in and come out of `program`, one of the image's: program->states.count
 * of them, in `arena`. What they are at first is known from any program that reads them. */
gml_state_port *gml_artifact_ports(const gml_artifact_image *image, const gml_program *program,
                                   gml_arena *arena);

/* The first program alone, with one reference. `*out_program` is untouched on failure. */
gml_status gml_artifact_read(const void *bytes, size_t len, const gml_artifact_symbols *symbols,
                             gml_program **out_program, gml_diags *diags);

/* Tests: makes the checksums of a changed image right again. False when it has no header. */
bool gml_artifact_seal(void *bytes, size_t len);

#endif
