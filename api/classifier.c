#define _POSIX_C_SOURCE 200809L

#include "api/classifier.h"

#include "api/build_model.h"
#include "api/builder.h"
#include "api/names.h"
#include "api/source.h"

#include <fnmatch.h>
#include <string.h>

#define GML_LOGITS "logits"

/* ---- the head ---------------------------------------------------------------------------- */

static gml_value *reduce(gml_builder *b, gml_value *x, const int64_t *axes, size_t n)
{
    gml_value *list = gml_builder_ints(b, gml_builder_free_name(b, "pool.axes"), axes, n);
    return gml_builder_node(b, &(gml_node_spec){.op = "ReduceMean",
                                                .inputs = {x, list},
                                                .attrs = {GML_INT("keepdims", 0)}});
}

/* x (N, T, D) without its first token */
static gml_value *drop_token(gml_builder *b, gml_value *x)
{
    gml_value *one =
        gml_builder_ints(b, gml_builder_free_name(b, "pool.first"), (int64_t[]){1}, 1);
    gml_value *end =
        gml_builder_ints(b, gml_builder_free_name(b, "pool.end"), (int64_t[]){INT64_MAX}, 1);
    return gml_builder_node(b, &(gml_node_spec){.op = "Slice", .inputs = {x, one, end, one}});
}

/* (N, D) */
static gml_value *pool(gml_builder *b, gml_value *x, const gml_classifier *options)
{
    int rank = gml_builder_rank(b, x);
    if (rank == 3)
        return reduce(b, options->no_token ? x : drop_token(b, x), (int64_t[]){1}, 1);
    if (rank == 4)
        return reduce(b, x, (int64_t[]){2, 3}, 2);
    if (rank != 2)
        gml_builder_fail(b, GML_E_SHAPE, "features are of rank 2, 3 or 4, not %d", rank);
    return x;
}

static gml_value *weight(gml_builder *b, const char *name, int rank, const int64_t *dims,
                         gml_fill fill)
{
    return gml_builder_weight(b, gml_builder_free_name(b, name), GML_F32, rank, dims, fill);
}

static void add_head(gml_builder *b, gml_value *x, const gml_classifier *options)
{
    x = pool(b, x, options);
    int64_t dim = gml_builder_dim(b, x, 1);
    if (gml_builder_status(b) == GML_OK && dim < 1)
        gml_builder_fail(b, GML_E_SHAPE, "how many features there are is not known");
    if (gml_builder_status(b) != GML_OK)
        return;
    gml_value *scale = weight(b, "fc_norm.weight", 1, &dim, gml_fill_constant(1));
    gml_value *shift = weight(b, "fc_norm.bias", 1, &dim, gml_fill_constant(0));
    x = gml_builder_node(b, &(gml_node_spec){.op = "LayerNormalization",
                                             .inputs = {x, scale, shift},
                                             .attrs = {GML_FLOAT("epsilon", 1e-6F)}});
    gml_value *matrix = weight(b, "head.weight", 2, (int64_t[]){options->n_classes, dim},
                               gml_fill_truncated_normal(0, GML_CLASSIFIER_DEVIATION));
    gml_value *bias = weight(b, "head.bias", 1, &options->n_classes, gml_fill_constant(0));
    x = gml_builder_node(b, &(gml_node_spec){.op = "Gemm",
                                             .inputs = {x, matrix, bias},
                                             .attrs = {GML_INT("transB", 1)}});
    gml_builder_output(b, x, gml_builder_free_name(b, GML_LOGITS));
}

/* The bytes of the model with its head; it stays an inference model. */
static gml_status write_with_head(gml_module *module, const gml_classifier *options,
                                  gml_str *out, gml_diags *diags)
{
    const char **names = gml_output_names(module, &module->arena);
    size_t n = module->main->n_results;
    size_t i = 0;
    while (options->output != NULL && i < n && strcmp(names[i], options->output) != 0)
        i++;
    if (i == n)
        return gml_name_fail(diags, (gml_loc){.file = module->file}, "output",
                             options->output != NULL ? options->output : "", names, n);
    gml_builder *b = gml_builder_open(module, diags);
    b->seed = options->seed;
    if (options->drop != NULL)
        gml_drop_path_add(b, options->drop, diags->arena);
    add_head(b, module->main->results[i], options);
    return gml_builder_write(b, out);
}

/* ---- the step ---------------------------------------------------------------------------- */

/* Those of the patterns that fit a constant. */
static const char *const *find_present(const gml_module *module, const char *const *patterns,
                                       size_t n, gml_arena *arena, size_t *out_n)
{
    const char **present = gml_new_array(arena, const char *, n + 1);
    *out_n = 0;
    for (size_t i = 0; i < n; i++) {
        bool fits = false;
        gml_for_each_node(node, module->main) {
            const char *name = node->n_results == 1 ? node->results[0].name : NULL;
            fits = fits || (node->op == &gml_op_constant && name != NULL &&
                            fnmatch(patterns[i], name, 0) == 0);
        }
        if (fits)
            present[(*out_n)++] = patterns[i];
    }
    return present;
}

static gml_status write_with_step(const gml_str *model, const gml_train_form *form,
                                  gml_str *out, gml_diags *diags)
{
    gml_module *module = NULL;
    gml_train_form mine = *form;
    GML_TRY(gml_onnx_parse(model->text, model->len, NULL, &module, diags));
    const char **names = gml_output_names(module, &module->arena);
    mine.loss = "soft-cross-entropy";
    mine.class_axis = 1;
    mine.output = names[module->main->n_results - 1];
    mine.freeze =
        find_present(module, form->freeze, form->n_freeze, &module->arena, &mine.n_freeze);
    gml_status status = gml_train_form_bytes(&mine, module, out, diags);
    gml_module_destroy(module);
    return status;
}

gml_status gml_classifier_bytes(const char *path, const gml_classifier *options,
                                const gml_train_form *form, gml_str *out, gml_diags *diags)
{
    gml_module *module = NULL;
    gml_str model;
    GML_TRY(gml_onnx_load(path, NULL, &module, diags));
    gml_str_init(&model);
    gml_status status = write_with_head(module, options, &model, diags);
    gml_module_destroy(module);
    if (status == GML_OK)
        status = write_with_step(&model, form, out, diags);
    gml_str_reset(&model);
    return status;
}
