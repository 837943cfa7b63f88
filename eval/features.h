/* eval/features.h - what a backbone, or nothing at all, makes of pictures: matrices of a row a
 * picture.
 *
 * A backbone is any model with one input of pictures, f32 (N, 3, H, W). Of its output become
 *
 *     (N, D)         one row, called as the output
 *     (N, T, D)      tokens: "mean" of those behind the first, and "cls", the first;
 *                    without a class token "mean" of all
 *     (N, C, H, W)   "mean" over the places
 *
 * Beside it, or instead, the pictures themselves: "pixels", and "grey16", 16 by 16 means of the
 * luma.
 */
#ifndef GML_EVAL_FEATURES_H
#define GML_EVAL_FEATURES_H

#include "eval/pictures.h"

#define GML_MAX_FEATURES 4 /* kinds of them at once */

typedef struct gml_features {
    const char *kind;
    int64_t count, dim;
    float *data; /* (count, dim) */
    gml_buffer *buffer;
} gml_features;

typedef struct gml_backbone_options {
    const char *path;   /* NULL: no model, pixels alone */
    const char *output; /* NULL: the first */
    bool no_token;      /* tokens have no class token among them */
    bool pixels;        /* these too */
    int64_t batch;      /* pictures a run, where the model leaves it open */
    int64_t size;       /* of pictures, where the model leaves it open; 0: not known */
} gml_backbone_options;

typedef struct gml_backbone {
    gml_model *model; /* NULL: there is none */
    gml_session *session;
    size_t output;
    bool no_token, pixels;
    int64_t batch, size;
    gml_rvalue *outputs;
    gml_buffer *pictures; /* (batch, 3, size, size) */
    int n_kinds;          /* known before the first run, */
    const char *kinds[GML_MAX_FEATURES];
    int64_t dims[GML_MAX_FEATURES]; /* 0: not before the first run */
} gml_backbone;

/* GML_E_USAGE for a model that has no such input or output. The model is compiled when it is
 * run first. */
GML_MUST_CHECK gml_status gml_backbone_open(const gml_backbone_options *options,
                                            gml_backbone *out_backbone,
                                            const gml_eval_context *context);
void gml_backbone_close(gml_backbone *backbone);

/* Progress of long work, and what is to be known of it. */
typedef struct gml_eval_watch {
    void (*report)(void *context, const char *stage, uint64_t done,
                   uint64_t total);                  /* or NULL */
    void (*remark)(void *context, const char *text); /* or NULL */
    void *context;
    const char *stage;
} gml_eval_watch;

/* `out_features` has room for backbone->n_kinds; they are the caller's, also after a failure.
 * GML_E_RANGE when a feature is no finite number. `watch` may be NULL. */
GML_MUST_CHECK gml_status gml_features_make(gml_backbone *backbone, const gml_eval_pick *pick,
                                            const gml_eval_watch *watch,
                                            gml_features *out_features,
                                            const gml_eval_context *context);
void gml_features_reset(gml_features *features);

/* Rows of a matrix, fresh. */
GML_MUST_CHECK gml_status gml_features_alloc(const char *kind, int64_t count, int64_t dim,
                                             gml_features *out_features, gml_diags *diags);

#endif
