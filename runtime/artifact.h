/* runtime/artifact.h - a program as bytes, without its code.
 *
 * An image is relocatable and position-independent: sizes, slots, steps, attributes, regions,
 * and the constants, page-aligned. Functions are in it by name; whoever loads it lends a table
 * from names to addresses, which the compiler writes beside the code (gml_artifact_print_stub
 * shows it in C). So an artifact links exactly the host operators it uses.
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

/* An image wants to lie at a multiple of this, so that its constants are aligned. */
#define GML_ARTIFACT_ALIGN 4096

/* ---- Writing ---------------------------------------------------------------------------- */

/* A file that stays beside the artifact: constants that lie in its mapping are referred to. */
typedef struct gml_artifact_file {
    const char *name; /* without folder */
    gml_file file;
} gml_artifact_file;

typedef struct gml_artifact_options {
    const char *const *features; /* that the code needs: "avx2", "amx-tile" (runtime/cpu.h) */
    size_t n_features;
    const gml_artifact_file *files;
    size_t n_files;
} gml_artifact_options;

/* Appends the image to `out`, which must be empty; `options` may be NULL. Every phase needs its
 * symbol and every host step its host_name. */
gml_status gml_artifact_write(const gml_program *program, const gml_artifact_options *options,
                              gml_str *out, gml_diags *diags);

/* Names without repetition, sorted; in `arena`. */
typedef struct gml_artifact_names {
    const char **phases; /* functions of the object file */
    size_t n_phases;
    const char **hosts; /* rows of runtime/host.def */
    size_t n_hosts;
} gml_artifact_names;

void gml_artifact_find_names(const gml_program *program, gml_arena *arena,
                             gml_artifact_names *out_names);
/* C source that defines `const gml_artifact_symbols NAME`, with the tables of this program. */
void gml_artifact_print_stub(const gml_program *program, const char *name, gml_str *out);

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
    const char *folder; /* where its files are; NULL: the working directory */
    bool
        trust_constants; /* do not read them all for their checksum: they are paged in on use */
} gml_artifact_symbols;

/* Makes a planned program with one reference. `bytes` must outlive it; files are mapped as long
 * as it lives (program->release is taken for that). `*out_program` is untouched on failure. */
gml_status gml_artifact_read(const void *bytes, size_t len, const gml_artifact_symbols *symbols,
                             gml_program **out_program, gml_diags *diags);

/* Tests: makes the checksums of a changed image right again. False when it has no header. */
bool gml_artifact_seal(void *bytes, size_t len);

#endif
