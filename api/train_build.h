/* api/train_build.h - what the files of the training form share: the builder over the imported
 * graph, and the parts of the form in the order they are built. */
#ifndef GML_API_TRAIN_BUILD_H
#define GML_API_TRAIN_BUILD_H

#include "api/builder.h"
#include "api/train_form.h"

typedef struct gml_train_build {
    const gml_train_form *form;
    gml_builder *b;
    gml_train_report report;
    gml_value *loss;     /* a scalar */
    bool is_loss_output; /* the model gives it under the name "loss" already */
    gml_value **trained; /* constants of the graph */
    size_t n_trained;
} gml_train_build;

/* ---- train_loss.c: "loss" and its input ---------------------------------------------------
 */

void gml_train_add_loss(gml_train_build *t);

/* ---- train_weights.c: what is trained ------------------------------------------------------
 */

/* Sets `trained` and the report, from the loss back. */
void gml_train_find_weights(gml_train_build *t);

/* Whether any of `n` patterns, as the shell's, fits. */
bool gml_train_matches(const char *const *patterns, size_t n, const char *name);

/* ---- train_statistics.c ------------------------------------------------------------------ */

/* Before the step begins: BatchNormalization takes the batch's statistics. */
void gml_train_use_batches(gml_train_build *t);
/* In the step: running statistics become what those nodes say. */
void gml_train_update_statistics(gml_train_build *t);

/* Records what a function of diagnostics returned as the builder's failure. */
static inline void gml_train_fail(gml_train_build *t, gml_status status)
{
    if (!gml_builder_has_failed(t->b))
        t->b->build.status = status;
}

static inline gml_loc gml_train_loc(const gml_train_build *t)
{
    return (gml_loc){.file = t->b->module->file};
}

#endif
