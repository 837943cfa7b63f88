/* api/classifier.h - a classifier on top of a model's features, as a model that trains.
 *
 * Behind the output come, by its rank: nothing (N, D); the mean of all tokens but the first, or
 * of all (N, T, D); the mean over places (N, C, H, W). Then "fc_norm", a LayerNormalization
 * (epsilon 1e-6) that begins with 1 and 0, and "head", linear, which begins with nearly
 * nothing; the output "logits" comes behind the model's own. With stochastic depth the input
 * "drop_path" comes behind the model's, of the step and of the classifier alike
 * (api/drop_path.h). A number follows a name that is taken.
 */
#ifndef GML_API_CLASSIFIER_H
#define GML_API_CLASSIFIER_H

#include "api/drop_path.h"
#include "api/train_form.h"
#include "gemel/types.h"

#define GML_CLASSIFIER_DEVIATION 2e-5 /* of the head's first weights */

typedef struct gml_classifier {
    const char *output; /* NULL: the first */
    bool no_token;      /* the first token is one of the others */
    int64_t n_classes;
    uint64_t seed;
    gml_drop_path *drop; /* NULL: all of the model, always; what is found is in the arena of the
                            diagnostics */
} gml_classifier;

/* Appends the bytes of an ONNX model: that of the file at `path` with a classifier, and with a
 * step that trains it as `form` says; its loss is "soft-cross-entropy" of the logits. Patterns
 * of `freeze` need not match. */
GML_MUST_CHECK gml_status gml_classifier_bytes(const char *path, const gml_classifier *options,
                                               const gml_train_form *form, gml_str *out,
                                               gml_diags *diags);

#endif
