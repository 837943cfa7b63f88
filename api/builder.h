/* api/builder.h - the inside of a gml_builder, for the files that implement it. */
#ifndef GML_API_BUILDER_H
#define GML_API_BUILDER_H

#include "api/build_model.h"
#include "api/fill.h"
#include "frontend/export.h"
#include "ir/op.h"

#include <string.h>

/* A weight whose elements are still to be made. */
typedef struct pending_fill {
    gml_fill fill;
    gml_dtype dtype;
    uint64_t key;
    size_t count; /* 0: they are made */
    void *data;
    const struct gml_weight *source; /* what it begins as; NULL: as `fill` says */
    bool is_turned;                  /* the source's transpose */
} pending_fill;

/* A constant of one number. */
typedef struct builder_number {
    double value;
    gml_dtype dtype;
    const char *prefix;
    gml_value *made;
} builder_number;

struct gml_builder {
    gml_module *module;
    gml_diags *diags;
    gml_build build; /* holds the sticky status */
    gml_map names;   /* of values */
    gml_map counts;  /* operator -> size_t: nodes of it without a name */
    gml_vec(pending_fill) fills;
    size_t n_filled; /* of them, from the front */
    gml_vec(builder_number) numbers;
    gml_vec(gml_export_entry) metadata;
    int64_t opset;
    uint64_t seed;
    uint64_t n_parameters;
    struct gml_weights *weights; /* that those of the graph begin as; NULL: random ones */
    bool in_step;
    gml_node *before_step;        /* the last node of the model alone; NULL: it has none */
    uint32_t n_params, n_results; /* of the model alone */
    gml_vec(gml_export_update) updates;
};

static inline bool gml_builder_has_failed(const gml_builder *b)
{
    return b->build.status != GML_OK;
}

static inline const char *gml_builder_text(gml_builder *b, const char *text)
{
    return gml_arena_text(&b->module->arena, text, strlen(text));
}

/* Records a failure of the node or value called `name`; `name` and `op` may be NULL. */
void gml_builder_fail_at(gml_builder *b, gml_status status, const char *name, const char *op,
                         const char *text);
/* What calls return after a failure: a scalar that nothing will look at. */
gml_value *gml_builder_some_value(gml_builder *b);

/* An empty builder over `module`, in its arena. */
gml_builder *gml_builder_new(gml_module *module, gml_diags *diags);
/* Continues `module`, whose types are inferred and which stays the caller's: the builder lies
 * in its arena and is not to be destroyed. Faults go to `diags`. */
gml_builder *gml_builder_open(gml_module *module, gml_diags *diags);
/* `name`, or with a number behind it when it is taken. */
const char *gml_builder_free_name(gml_builder *b, const char *name);
/* An input of any type. */
gml_value *gml_builder_param(gml_builder *b, const char *name, gml_type type);

/* Sets the location of the node that is built next: `name`, or "OP_3" for the fourth of an
 * operator. */
void gml_builder_begin_node(gml_builder *b, const char *name, const gml_op_info *op);
/* Names the results NAME_output_0 and so on; false, and a failure, when one is taken. */
bool gml_builder_name_results(gml_builder *b, gml_node *node);

/* The tensor that the weight `name` of the type of `tensor` begins with; `is_matrix`: stored
 * (in, out). NULL, and a failure, when there is none that fits. `*out_turned`: it is to be
 * transposed. */
const struct gml_weight *gml_builder_find_source(gml_builder *b, const char *name,
                                                 const gml_tensor *tensor, bool is_matrix,
                                                 bool *out_turned);
/* Makes the elements that are still missing. */
void gml_builder_fill_weights(gml_builder *b, const gml_save_options *options);

/* What the exporter is told of the step: NULL when there is none, else `out_training`. */
const gml_export_training *gml_builder_training(const gml_builder *b,
                                                gml_export_training *out_training);

#endif
