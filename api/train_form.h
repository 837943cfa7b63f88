/* api/train_form.h - a plain graph becomes one that trains, without a change to its file.
 *
 * The form is ONNX's own: the file's graph, and behind it an algorithm that has a loss,
 * Gradient by the weights, an optimizer in ordinary operators, and updates. It is built over
 * the imported graph in memory; weights stay where they are mapped. What comes out is what
 * importing a file with such an algorithm gives (frontend/import.h, GML_ONNX_STEP): sessions
 * and programs do not know the difference.
 *
 *   inputs   the graph's, then "labels" (cross-entropy) or "target" (mse, soft-cross-entropy)
 *   outputs  the graph's, then "loss", "lr", "grad_norm"
 *   states   the trained weights, the optimizer's, the counter "step"
 *
 * Where the model has one of these names already, a number follows the new one.
 *
 * What is trained are initialisers of floating point with more than one element whose change
 * moves the loss: found from the graph, not from names. Results of ConstantOfShape over an
 * initialiser count as initialisers; so do Constant nodes in a file that has no initialisers,
 * and those that `only` names. Running statistics are not trained.
 */
#ifndef GML_API_TRAIN_FORM_H
#define GML_API_TRAIN_FORM_H

#include "base/str.h"
#include "frontend/import.h"
#include "gemel/trainer.h"

typedef struct gml_train_form {
    const char *loss; /* "cross-entropy", "soft-cross-entropy" (whose target is a share of each
                         class), "mse", or the output whose mean is the loss */
    const char *output; /* logits, or what is compared with the target; NULL: the first */
    double smoothing;   /* of labels */
    int64_t class_axis; /* of logits that no softmax follows */
    gml_trainer_options trainer;
    const char *const *freeze; /* patterns as the shell's, of names that are not trained */
    size_t n_freeze;
    const char *const *only; /* of the names alone that are trained; none: all */
    size_t n_only;
    bool batch_norm; /* inference-mode BatchNormalization gets training_mode: the batch's
                        statistics are used, the running ones are updated */
    const char *const *no_decay; /* patterns of weights that do not decay, beside those that
                                    gml_trainer_decays names; they need not match */
    size_t n_no_decay;
    double layer_decay; /* of a vision transformer of n blocks the rate of block k is
                           layer_decay^(n - k) of that of the head, of what is before the
                           blocks layer_decay^(n + 1); told by names. 0: the same for all */
} gml_train_form;

typedef enum gml_train_fate {
    GML_TRAINED,
    GML_KEPT_ASKED,    /* `freeze` or `only` say so */
    GML_KEPT_MEASURED, /* a running statistic */
    GML_KEPT_SINGLE,   /* one element or none: a number of a formula */
    GML_KEPT_SIZES,    /* shapes depend on it */
    GML_KEPT_UNUSED,   /* the loss does not depend on it */
} gml_train_fate;

typedef struct gml_train_weight {
    const char *name;
    uint64_t n_elements;
    gml_train_fate fate;
} gml_train_weight;

/* What became of a model. */
typedef struct gml_train_report {
    gml_train_weight *weights; /* floating-point initialisers, in the file's order */
    size_t n_weights;
    const char *softmax; /* the node that the loss left out: its operand is the logits; or NULL
                          */
} gml_train_report;

/* The number behind "blocks." that a weight's name begins with; -1: it does not. */
int64_t gml_train_block_of(const char *name);

/* "frozen", "running statistic", … */
const char *gml_train_fate_text(gml_train_fate fate);

/* Makes the training step of `module`, just imported and its types inferred. `report` may be
 * NULL; what it holds is the module's. Every operator without a gradient that is on the way
 * from a weight to the loss is reported: GML_E_UNSUPPORTED. GML_E_USAGE: no such output or
 * weight, nothing to train. After a failure the module is of no use. Module by module, any
 * thread. */
GML_MUST_CHECK gml_status gml_train_form_apply(const gml_train_form *form, gml_module *module,
                                               gml_train_report *report, gml_diags *diags);
/* The same, but writes an ONNX file that holds the form (with `external`, weights in PATH.data)
 * and leaves the module of no use. */
GML_MUST_CHECK gml_status gml_train_form_write(const gml_train_form *form, gml_module *module,
                                               const char *path, bool external,
                                               gml_train_report *report, gml_diags *diags);
/* The same in memory: appends the bytes of the file. */
GML_MUST_CHECK gml_status gml_train_form_bytes(const gml_train_form *form, gml_module *module,
                                               gml_str *out, gml_diags *diags);

#endif
