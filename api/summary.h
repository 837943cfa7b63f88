/* api/summary.h - what a model is: operators, parameters, arithmetic.
 *
 * Counts of arithmetic may depend on open dimensions and are gml_dims of `module`; bodies of
 * If, Loop and Scan count once. They need shapes: when those cannot be inferred without the
 * inputs, `no_cost` says why.
 */
#ifndef GML_API_SUMMARY_H
#define GML_API_SUMMARY_H

#include "api/session.h"

typedef struct gml_op_count {
    const char *domain; /* "ai.onnx", … */
    const char *op;
    uint64_t count;
    gml_dim macs; /* multiply-adds of contractions; 0 when not known */
} gml_op_count;

typedef struct gml_summary {
    gml_op_count *ops; /* by falling count, then by name; constants are left out */
    size_t n_ops;
    uint64_t n_nodes;
    uint64_t n_parameters; /* elements of constants, without those that are shapes and the like:
                              i64, bool, text */
    uint64_t constant_bytes; /* of all constants as a file has them */
    size_t n_states;         /* of a model opened as a training step, its interface's: */
    uint64_t state_bytes;
    size_t n_trained; /* of them, by which a Gradient is taken */
    uint64_t trained_elements;
    int64_t batch;      /* the size with which all inputs begin; 0: there is none */
    gml_module *module; /* inferred and expanded; NULL when no_cost */
    gml_dim macs;
    gml_dim flops;       /* every operator on floats; a multiply-add is two */
    const char *no_cost; /* NULL: the three above are known */
} gml_summary;

/* Names are the model's or in `arena`. Destroy `module` when done. */
void gml_summarize(const gml_model *model, gml_arena *arena, gml_summary *out_summary);

#endif
