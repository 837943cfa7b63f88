/* models/siameseim.h - what the files of the SiameseIM training step share.
 *
 * The step is built in the order it runs: the online branch (siameseim_encoder.c, _decoder.c),
 * the target branch (_encoder.c), the loss (_loss.c), gradients and updates (_step.c), all by
 * way of one gml_siam. docs/siameseim.md has the formulas. Private to models/.
 *
 * Sizes in comments: B images, N patches, V visible ones, K = 3 p p pixels of a patch, D the
 * width of the encoder, E of the decoder, G = sqrt(N).
 */
#ifndef GML_MODELS_SIAMESEIM_H
#define GML_MODELS_SIAMESEIM_H

#include "gemel/trainer.h"
#include "models/layers.h"
#include "models/models.h"

#define GML_SIAM_MAX_DEPTH   64
#define GML_SIAM_MAX_WEIGHTS (4 * GML_SIAM_MAX_DEPTH * 12 + 64)
#define GML_SIAM_MAX_NORMS   (3 * GML_SIAM_MAX_DEPTH * 2)
#define GML_SIAM_MLP_RATIO   4
#define GML_SIAM_LN_EPSILON  1e-6F /* of the transformer's norms */
#define GML_SIAM_EPSILON     1e-5F /* of BatchNorm, and of the target's norm */

/* The options, read and checked. */
typedef struct gml_siam_config {
    gml_extent batch;
    gml_dtype dtype;
    int64_t image, patch, grid, n_patches, n_visible;
    int64_t width, depth, heads;
    int64_t decoder_width, decoder_heads, projector_depth, predictor_depth;
    int64_t out;     /* channels of a prediction: decoder_width, K, or the MLP's */
    bool same_view;  /* one image is both views */
    bool pixels;     /* predicted, instead of the target branch's features */
    bool layer_norm; /* of projector and predictor; else BatchNorm */
    bool moco;       /* BatchNorm and unit length for prediction and target */
    bool unit_first; /* of moco: unit length, then BatchNorm */
    bool global;     /* one vector for an image */
    bool by_class;   /* of global: the class token's; else the mean over patches */
    bool l2;         /* no negatives */
    bool mlp;        /* projector and predictor are MLPs over one vector, as MoCo v3's */
    int64_t mlp_hidden;
    bool fills_slots;    /* the decoder's N patches are visible tokens or queries, as MAE's */
    bool grid_positions; /* queries have the fixed table's positions; else relative ones */
    bool masked_only;    /* the loss is of masked patches */
    bool biased;         /* variance of a patch's pixels */
    bool embeds_visible; /* patches alone; else all of them, and takes the visible ones then */
    bool trains_patches; /* the patch embedding is no longer frozen */
    bool divides;        /* the loss by its channels */
    double lambda, correlation;
    double lr, min_lr, warmup, epochs, iterations, ema;
    bool ema_cosine;
    double beta1, beta2, epsilon, decay, clip;
    int64_t accumulate;
} gml_siam_config;

/* A parameter of the online branch. */
typedef struct gml_siam_weight {
    char name[GML_NAME_MAX];
    gml_value *value;
    bool is_trained, is_decayed;
} gml_siam_weight;

/* A value that the initialiser `state` takes after the step. */
typedef struct gml_siam_change {
    gml_value *state, *value;
} gml_siam_change;

/* Running statistics of a BatchNorm, and this batch's. */
typedef struct gml_siam_statistics {
    char name[GML_NAME_MAX];
    gml_value *states[2];  /* mean, variance */
    gml_value *moments[2]; /* the variance is that of the n tokens, not n / (n - 1) times it */
    int64_t n_tokens;      /* of one image */
} gml_siam_statistics;

typedef struct gml_siam {
    gml_siam_config c;
    gml_layers layers;
    gml_builder *b;
    bool is_target;   /* the branch that is being built: names get "mm_" */
    gml_scope scope;  /* of the node made last */
    unsigned n_nodes; /* made in that scope without a break */
    gml_value *x1, *x2, *visible, *geometry;
    gml_value *each;          /* (B, 1, 1) as a shape: what Expand takes */
    gml_value *encoder_table; /* (1 + N, D) */
    gml_value *momentum;      /* of the target's average, and 1 minus it: scalars */
    gml_value *rest;
    gml_trainer *trainer;
    gml_step_count count;
    gml_value *epoch;    /* f64, with a fraction; stands still in an accumulation */
    gml_value *given[2]; /* what the gradient takes as constant */
    size_t n_given;
    gml_value *positive, *negative; /* terms of the loss; there may be no negatives */
    gml_siam_weight weights[GML_SIAM_MAX_WEIGHTS];
    size_t n_weights;
    gml_siam_change changes[2 * GML_SIAM_MAX_WEIGHTS + 8]; /* two for each weight, and one */
    size_t n_changes;
    gml_siam_statistics norms[GML_SIAM_MAX_NORMS];
    size_t n_norms;
} gml_siam;

/* ---- siameseim_options.c ----------------------------------------------------------------- */

/* Reads what was given, what the row and the variant set, and the defaults. Failures stick to
 * the builder; then false. The effective options go to its metadata. */
bool gml_siam_configure(gml_builder *builder, const gml_network_options *options,
                        gml_siam_config *out_config);

/* ---- siameseim_nodes.c: nodes named by a scope, "blocks.0.attn/MatMul_4" ------------------
 */

gml_value *gml_siam_node(gml_siam *s, const char *scope, gml_node_spec spec);
gml_value *gml_siam_unary(gml_siam *s, const char *scope, const char *op, gml_value *x);
gml_value *gml_siam_binary(gml_siam *s, const char *scope, const char *op, gml_value *x,
                           gml_value *y);
gml_value *gml_siam_where(gml_siam *s, const char *scope, gml_value *condition, gml_value *x,
                          gml_value *y);
gml_value *gml_siam_cast(gml_siam *s, const char *scope, gml_value *x, gml_dtype dtype);
gml_value *gml_siam_reshape(gml_siam *s, const char *scope, gml_value *x, const int64_t *shape,
                            size_t rank);
gml_value *gml_siam_transpose(gml_siam *s, const char *scope, gml_value *x, const int64_t *perm,
                              size_t rank);
/* Elements from `begin` to before `end` of `axis`. */
gml_value *gml_siam_slice(gml_siam *s, const char *scope, gml_value *x, int64_t axis,
                          const int64_t range[2]);
gml_value *gml_siam_concat(gml_siam *s, const char *scope, int64_t axis,
                           gml_value *const *values, size_t count);
/* Over `axis`, which stays with size 1 if `keeps`. */
gml_value *gml_siam_reduce(gml_siam *s, const char *scope, const char *op, gml_value *x,
                           int64_t axis, bool keeps);
/* Over all axes, to a scalar. */
gml_value *gml_siam_total(gml_siam *s, const char *scope, const char *op, gml_value *x);
/* A scalar constant, once for every value. */
gml_value *gml_siam_number(gml_siam *s, double value);
gml_value *gml_siam_number_of(gml_siam *s, gml_dtype dtype, double value);
/* A constant of the network's type from `count` numbers. */
gml_value *gml_siam_table(gml_siam *s, const char *name, double *values, int rank,
                          const int64_t *dims);
/* B times `tokens`, in the network's type. */
gml_value *gml_siam_count(gml_siam *s, const char *scope, int64_t tokens);

/* ---- siameseim_layers.c ------------------------------------------------------------------ */

/* The parameter `name` of the branch being built: online, a new one; target, a copy that goes
 * towards the online one first. `is_trained` concerns the online one. */
gml_value *gml_siam_parameter(gml_siam *s, const char *name, int rank, const int64_t *dims,
                              gml_fill fill);
/* The same for one that no gradient reaches. */
gml_value *gml_siam_frozen(gml_siam *s, const char *name, int rank, const int64_t *dims,
                           gml_fill fill);
/* Xavier's uniform for a matrix. */
gml_fill gml_siam_xavier(int64_t in, int64_t out);
/* x (..., in) -> (..., out), without bias and with. */
gml_value *gml_siam_product(gml_siam *s, const char *name, gml_value *x, int64_t in,
                            int64_t out);
gml_value *gml_siam_linear(gml_siam *s, const char *name, gml_value *x, int64_t in,
                           int64_t out);
/* BatchNorm of rows (B tokens, size), with parameters and running statistics. */
gml_value *gml_siam_batch_norm(gml_siam *s, const char *name, gml_value *rows, int64_t size,
                               int64_t tokens);
/* LayerNorm over the last axis by constants 1 and 0. */
gml_value *gml_siam_plain_norm(gml_siam *s, const char *scope, gml_value *x, int64_t size);
/* BatchNorm of rows (n, size) by constants 1 and 0. */
gml_value *gml_siam_plain_batch_norm(gml_siam *s, const char *scope, gml_value *rows,
                                     int64_t size);

typedef struct gml_siam_shape {
    int64_t width, heads, tokens;
    bool batch_norm;
} gml_siam_shape;

/* `depth` pre-norm blocks NAME.0, NAME.1, ...: x (B, T, C) -> (B, T, C) */
gml_value *gml_siam_blocks(gml_siam *s, const char *name, gml_value *x, int64_t depth,
                           const gml_siam_shape *shape);

/* ---- the parts --------------------------------------------------------------------------- */

/* x (B, 3, S, S) -> (B, N, K): channel, row, column; or row, column, channel. */
gml_value *gml_siam_patches(gml_siam *s, const char *scope, gml_value *x, bool channels_last);
/* Class token and patches of the branch's image, the visible ones or all, through encoder,
 * decoder_embed and projector: (B, 1 + V, E) or (B, 1 + N, E); or through encoder and MLP:
 * (B, out). */
gml_value *gml_siam_encode(gml_siam *s, gml_value *x, gml_value *visible);
/* Rows 1 + visible of a table (1 + N, C), behind its row 0: (B, 1 + V, C). */
gml_value *gml_siam_positions(gml_siam *s, const char *scope, gml_value *table,
                              gml_value *visible);
/* The fixed table (1 + N, width): row 0 is zero, the others sines and cosines. */
gml_value *gml_siam_grid_table(gml_siam *s, const char *name, int64_t width);
/* 1 where the patch is visible: (B, V, N). */
gml_value *gml_siam_is_visible(gml_siam *s, const char *scope);

/* seen (B, 1 + V, E) -> predictions (B, N, out), or the class token's (B, 1, out). */
gml_value *gml_siam_predict(gml_siam *s, gml_value *seen);

/* ---- siameseim_mlp.c --------------------------------------------------------------------- */

/* tokens (B, T, D) -> projected (B, out) */
gml_value *gml_siam_project(gml_siam *s, gml_value *tokens, int64_t n_tokens);
/* projected (B, out) -> predictions (B, out) */
gml_value *gml_siam_predict_vector(gml_siam *s, gml_value *x);

/* What is to be predicted: the target branch's features, (B, N, E), the class token's
 * (B, 1, E), or the MLP's (B, out), or pixels (B, N, K). */
gml_value *gml_siam_target(gml_siam *s);
/* Outputs loss, pos, neg, pred and target. */
void gml_siam_loss(gml_siam *s, gml_value *pred, gml_value *target);
/* (pos + lambda neg) / E */
gml_value *gml_siam_weigh(gml_siam *s, const char *scope, double lambda);

/* Before the branches: step counter, epoch, momentum. */
void gml_siam_begin(gml_siam *s);
/* Gradients, clipping, AdamW, averages, running statistics. */
void gml_siam_train(gml_siam *s);

#endif
