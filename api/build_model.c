/* api/build_model.c - the builder of include/gemel/build.h, over a module of the graph
 * language. */
#include "api/build_model.h"

#include "api/builder.h"
#include "api/weights.h"
#include "frontend/opset.h"
#include "ir/op.h"
#include "ir/verify.h"
#include "runtime/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(GML_BUILDER_OPSET == GML_OPSET_WRITTEN, "the header states the newest set");

gml_builder *gml_builder_new(gml_module *module, gml_diags *diags)
{
    gml_builder *b = gml_new(&module->arena, gml_builder);
    b->module = module;
    b->diags = diags;
    b->opset = GML_OPSET_WRITTEN;
    b->build = (gml_build){.graph = module->main, .diags = diags};
    gml_map_init(&b->names, &module->arena);
    gml_map_init(&b->counts, &module->arena);
    return b;
}

gml_builder *gml_builder_create(const char *graph_name, int64_t opset, uint64_t seed)
{
    gml_module *module = gml_module_create(NULL);
    gml_arena *arena = &module->arena;
    module->main =
        gml_graph_create(module, gml_arena_text(arena, graph_name, strlen(graph_name)), NULL);
    gml_diags *diags = gml_new(arena, gml_diags);
    gml_diags_init(diags, arena);
    gml_builder *b = gml_builder_new(module, diags);
    b->opset = opset == 0 ? GML_OPSET_WRITTEN : opset;
    b->seed = seed;
    if (b->opset < GML_OPSET_OLDEST_WRITTEN || b->opset > GML_OPSET_WRITTEN)
        gml_builder_fail(b, GML_E_UNSUPPORTED, "operator set %lld is outside %d to %d",
                         (long long)opset, GML_OPSET_OLDEST_WRITTEN, GML_OPSET_WRITTEN);
    return b;
}

void gml_builder_destroy(gml_builder *builder)
{
    if (builder != NULL)
        gml_module_destroy(builder->module); /* whose arena the builder lies in */
}

/* ---- failures ---------------------------------------------------------------------------- */

void gml_builder_fail_at(gml_builder *b, gml_status status, const char *name, const char *op,
                         const char *text)
{
    if (!gml_builder_has_failed(b))
        b->build.status =
            gml_fail(b->diags, status,
                     (gml_loc){.file = b->module->file, .node = name, .op = op}, "%s", text);
}

void gml_builder_fail(gml_builder *builder, gml_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    gml_builder_fail_at(builder, status, NULL, NULL,
                        gml_arena_vprintf(&builder->module->arena, format, args));
    va_end(args);
}

gml_status gml_builder_status(const gml_builder *builder)
{
    return builder->build.status;
}

const char *gml_builder_message(gml_builder *builder)
{
    return gml_diags_print(builder->diags);
}

gml_value *gml_builder_some_value(gml_builder *b)
{
    return gml_build_scalar(&(gml_build){.graph = b->module->main, .diags = b->diags}, GML_F32,
                            0);
}

/* ---- names and sizes --------------------------------------------------------------------- */

/* Takes `name` for a value; false, and a failure, when it is empty or taken. */
static bool claim_name(gml_builder *b, const char *name, const char **out_name)
{
    if (gml_builder_has_failed(b))
        return false;
    if (name == NULL || *name == '\0') {
        gml_builder_fail(b, GML_E_INVALID, "a value has no name");
        return false;
    }
    *out_name = gml_builder_text(b, name);
    if (gml_map_has(&b->names, name)) {
        gml_builder_fail_at(b, GML_E_INVALID, *out_name, NULL, "two values have this name");
        return false;
    }
    gml_map_set(&b->names, name, b);
    return true;
}

static bool is_identifier(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char others[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *text != '\0' && strchr(letters, *text) != NULL &&
           text[strspn(text, others)] == '\0';
}

static bool check_rank(gml_builder *b, const char *name, int rank)
{
    if (rank < 0 || rank > GML_MAX_RANK)
        gml_builder_fail_at(b, GML_E_SHAPE, name, NULL,
                            "the rank is not one that tensors have");
    return !gml_builder_has_failed(b);
}

static bool read_extents(gml_builder *b, const char *name, int rank, const gml_extent *extents,
                         gml_dim *out_dims)
{
    for (int i = 0; i < rank; i++) {
        const gml_extent *size = &extents[i];
        bool is_valid = size->name != NULL ? is_identifier(size->name)
                                           : size->value >= 0 && size->value < GML_DIM_LIMIT;
        if (!is_valid) {
            gml_builder_fail_at(b, GML_E_SHAPE, name, NULL,
                                "a size is neither an identifier nor a count of elements");
            return false;
        }
        out_dims[i] =
            size->name != NULL ? gml_dim_symbol(&b->module->dims, size->name) : size->value;
    }
    return true;
}

/* ---- inputs and initialisers ------------------------------------------------------------- */

static gml_value *add_param(gml_builder *b, const char *name, gml_type type)
{
    gml_loc loc = {.file = b->module->file, .node = name};
    gml_status status = gml_type_check(&type, b->diags, loc);
    if (status == GML_OK)
        return gml_graph_add_param(b->module->main, name, type);
    b->build.status = status;
    return gml_builder_some_value(b);
}

gml_value *gml_builder_input(gml_builder *builder, const char *name, gml_dtype dtype, int rank,
                             const gml_extent *extents)
{
    gml_dim dims[GML_MAX_RANK];
    if (!claim_name(builder, name, &name) || !check_rank(builder, name, rank) ||
        !read_extents(builder, name, rank, extents, dims))
        return gml_builder_some_value(builder);
    return add_param(builder, name,
                     gml_type_tensor(&builder->module->arena, dtype, rank, dims));
}

gml_value *gml_builder_param(gml_builder *b, const char *name, gml_type type)
{
    return claim_name(b, name, &name) ? add_param(b, name, type) : gml_builder_some_value(b);
}

static void release_buffer(void *context)
{
    gml_buffer_release(context);
}

/* Zeros that take up no memory before somebody writes to them. */
static void *give_zeros(gml_builder *b, size_t bytes)
{
    void *zeros = calloc(bytes + 1, 1);
    if (zeros != NULL)
        gml_module_own(b->module, free, zeros);
    return zeros;
}

/* Memory for the elements of `tensor`, the module's, zero if so asked; false and a failure when
 * there is none. */
static bool give_memory(gml_builder *b, const char *name, gml_tensor *tensor, bool zero,
                        size_t *out_bytes)
{
    if (!gml_tensor_bytes(tensor, out_bytes)) {
        gml_builder_fail_at(b, GML_E_SHAPE, name, NULL, "the tensor is too large");
        return false;
    }
    gml_buffer *buffer = zero ? NULL : gml_buffer_create(*out_bytes, false);
    if (buffer != NULL) {
        gml_module_own(b->module, release_buffer, buffer);
        tensor->data = gml_buffer_data(buffer);
    } else {
        tensor->data = zero ? give_zeros(b, *out_bytes) : NULL;
    }
    if (tensor->data == NULL)
        gml_builder_fail_at(b, GML_E_MEMORY, name, NULL, "there is no memory for the elements");
    return tensor->data != NULL;
}

static gml_value *add_constant(gml_builder *b, const char *name, const gml_tensor *tensor)
{
    gml_value *value =
        gml_graph_constant(b->module->main, NULL, tensor, (gml_loc){.node = name});
    value->name = name;
    return value;
}

/* `pending` says what the elements will be; the rest of it is found here. */
static gml_value *add_filled(gml_builder *b, const char *name, gml_tensor *tensor,
                             pending_fill pending)
{
    size_t bytes = 0;
    if (!gml_fill_allows(tensor->dtype)) {
        gml_builder_fail_at(b, GML_E_TYPE, name, NULL, "weights are f16, bf16, f32 or f64");
        return gml_builder_some_value(b);
    }
    const gml_fill *fill = &pending.fill;
    bool is_zero = pending.source == NULL && fill->kind == GML_FILL_CONSTANT && fill->a == 0 &&
                   !signbit(fill->a);
    if (!give_memory(b, name, tensor, is_zero, &bytes))
        return gml_builder_some_value(b);
    pending.dtype = tensor->dtype;
    pending.count = is_zero ? 0 : bytes / gml_dtype_size(tensor->dtype);
    pending.data = tensor->data;
    gml_push(&b->module->arena, &b->fills, pending);
    return add_constant(b, name, tensor);
}

static bool read_sizes(gml_builder *b, const char **name, int rank, const int64_t *dims,
                       gml_tensor *tensor)
{
    if (!claim_name(b, *name, name) || !check_rank(b, *name, rank))
        return false;
    for (int i = 0; i < rank; i++)
        tensor->dims[i] = dims[i];
    return true;
}

static uint64_t key_of(const gml_builder *b, const char *name)
{
    return gml_hash_bytes(name, strlen(name), b->seed);
}

gml_value *gml_builder_state(gml_builder *builder, const char *name, gml_dtype dtype, int rank,
                             const int64_t *dims, gml_fill fill)
{
    gml_tensor tensor = {.dtype = dtype, .rank = rank};
    if (!read_sizes(builder, &name, rank, dims, &tensor))
        return gml_builder_some_value(builder);
    return add_filled(builder, name, &tensor,
                      (pending_fill){.fill = fill, .key = key_of(builder, name)});
}

/* The fill of `value`, or NULL when it is none that the builder makes. */
static const pending_fill *find_fill(const gml_builder *b, const gml_value *value)
{
    for (size_t i = 0; i < b->fills.count && value->constant != NULL; i++)
        if (b->fills.items[i].data == value->constant->data)
            return &b->fills.items[i];
    return NULL;
}

gml_value *gml_builder_copy(gml_builder *builder, const char *name, gml_value *like)
{
    const pending_fill *fill =
        gml_builder_has_failed(builder) ? NULL : find_fill(builder, like);
    if (!claim_name(builder, name, &name))
        return gml_builder_some_value(builder);
    if (fill == NULL) {
        gml_builder_fail_at(builder, GML_E_INVALID, name, NULL,
                            "a copy begins as a weight or state does");
        return gml_builder_some_value(builder);
    }
    gml_tensor tensor = *like->constant;
    return add_filled(builder, name, &tensor, *fill);
}

static gml_value *add_weight(gml_builder *b, const char *name, gml_tensor *tensor,
                             const int64_t *dims, gml_fill fill, bool is_matrix)
{
    if (!read_sizes(b, &name, tensor->rank, dims, tensor))
        return gml_builder_some_value(b);
    pending_fill pending = {.fill = fill, .key = key_of(b, name)};
    if (b->weights != NULL)
        pending.source =
            gml_builder_find_source(b, name, tensor, is_matrix, &pending.is_turned);
    if (gml_builder_has_failed(b))
        return gml_builder_some_value(b);
    gml_value *value = add_filled(b, name, tensor, pending);
    if (!gml_builder_has_failed(b))
        b->n_parameters += (uint64_t)gml_tensor_numel(value->constant);
    return value;
}

gml_value *gml_builder_weight(gml_builder *builder, const char *name, gml_dtype dtype, int rank,
                              const int64_t *dims, gml_fill fill)
{
    return add_weight(builder, name, &(gml_tensor){.dtype = dtype, .rank = rank}, dims, fill,
                      false);
}

gml_value *gml_builder_matrix(gml_builder *builder, const char *name, gml_dtype dtype,
                              int64_t in, int64_t out, gml_fill fill)
{
    gml_builder_metadata_append(builder, "gemel.transposed", name);
    return add_weight(builder, name, &(gml_tensor){.dtype = dtype, .rank = 2},
                      (int64_t[]){in, out}, fill, true);
}

gml_value *gml_builder_tensor(gml_builder *builder, const char *name, const gml_tensor *tensor,
                              bool copy)
{
    gml_tensor mine = *tensor;
    size_t bytes = 0;
    if (!claim_name(builder, name, &name))
        return gml_builder_some_value(builder);
    if (tensor->rank < 0 || tensor->rank > GML_MAX_RANK || tensor->dtype == GML_STRING ||
        gml_dtype_size(tensor->dtype) == 0) {
        gml_builder_fail_at(builder, GML_E_TYPE, name, NULL,
                            "an initialiser is a tensor of numbers");
        return gml_builder_some_value(builder);
    }
    if (!gml_tensor_bytes(tensor, &bytes) || (bytes > 0 && tensor->data == NULL)) {
        gml_builder_fail_at(builder, GML_E_SHAPE, name, NULL,
                            "the tensor has no elements to hold");
        return gml_builder_some_value(builder);
    }
    if (copy && bytes > 0) {
        if (!give_memory(builder, name, &mine, false, &bytes))
            return gml_builder_some_value(builder);
        memcpy(mine.data, tensor->data, bytes);
    }
    return add_constant(builder, name, &mine);
}

gml_value *gml_builder_ints(gml_builder *builder, const char *name, const int64_t *values,
                            size_t count)
{
    gml_tensor tensor = {.dtype = GML_I64, .rank = 1, .dims = {(int64_t)count}};
    tensor.data = gml_arena_copy(&builder->module->arena, values, count * sizeof *values);
    return gml_builder_tensor(builder, name, &tensor, false);
}

gml_value *gml_builder_float(gml_builder *builder, const char *name, float value)
{
    gml_tensor tensor = {.dtype = GML_F32};
    tensor.data = gml_arena_copy(&builder->module->arena, &value, sizeof value);
    return gml_builder_tensor(builder, name, &tensor, false);
}

uint64_t gml_builder_parameters(const gml_builder *builder)
{
    return builder->n_parameters;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static bool read_attr(gml_builder *b, const gml_node_attr *from, gml_attr *out_attr)
{
    gml_arena *arena = &b->module->arena;
    gml_attr attr = {.name = gml_builder_text(b, from->name)};
    switch (from->kind) {
    case GML_NODE_INT:
        attr.kind = GML_ATTR_INT;
        attr.as.i = from->i;
        break;
    case GML_NODE_FLOAT:
        attr.kind = GML_ATTR_FLOAT;
        attr.as.f = from->f;
        break;
    case GML_NODE_TEXT:
        attr = gml_attr_string(attr.name, gml_builder_text(b, from->text));
        break;
    case GML_NODE_INTS:
        attr.kind = GML_ATTR_INTS;
        attr.count = from->count;
        attr.as.ints = gml_arena_copy(arena, from->ints, from->count * sizeof(int64_t));
        break;
    case GML_NODE_FLOATS:
        attr.kind = GML_ATTR_FLOATS;
        attr.count = from->count;
        attr.as.floats = gml_arena_copy(arena, from->floats, from->count * sizeof(float));
        break;
    case GML_NODE_TENSOR: {
        size_t bytes = 0;
        if (!gml_tensor_bytes(from->tensor, &bytes) || from->tensor->dtype == GML_STRING)
            return false;
        gml_tensor *tensor = gml_arena_copy(arena, from->tensor, sizeof *tensor);
        tensor->data = gml_arena_copy(arena, from->tensor->data, bytes);
        attr.kind = GML_ATTR_TENSOR;
        attr.count = 1;
        attr.as.t = tensor;
        break;
    }
    default: return false;
    }
    *out_attr = attr;
    return true;
}

/* The name of a node: the given one, or "OP_3" for the fourth of an operator. */
static const char *node_name(gml_builder *b, const char *name, const char *op)
{
    if (name != NULL)
        return gml_builder_text(b, name);
    size_t *count = gml_map_find(&b->counts, op);
    if (count == NULL) {
        count = gml_new(&b->module->arena, size_t);
        gml_map_set(&b->counts, op, count);
    }
    return gml_arena_printf(&b->module->arena, "%s_%zu", op, (*count)++);
}

void gml_builder_begin_node(gml_builder *b, const char *name, const gml_op_info *op)
{
    b->build.loc = (gml_loc){
        .file = b->module->file, .node = node_name(b, name, op->name), .op = op->name};
}

bool gml_builder_name_results(gml_builder *b, gml_node *node)
{
    for (uint32_t i = 0; i < node->n_results; i++) {
        const char *result =
            gml_arena_printf(&b->module->arena, "%s_output_%u", node->loc.node, i);
        if (!claim_name(b, result, &result))
            return false;
        node->results[i].name = result;
    }
    return true;
}

static gml_node *add_node(gml_builder *b, const gml_op_info *op, const gml_node_spec *spec)
{
    gml_attr attrs[GML_NODE_ATTRS];
    size_t n_attrs = 0;
    for (; n_attrs < GML_NODE_ATTRS && spec->attrs[n_attrs].name != NULL; n_attrs++)
        if (!read_attr(b, &spec->attrs[n_attrs], &attrs[n_attrs])) {
            gml_builder_fail_at(b, GML_E_INVALID, b->build.loc.node, op->name,
                                "an attribute has no kind");
            return NULL;
        }
    gml_value *const *inputs = spec->input_list;
    size_t n_inputs = spec->n_inputs;
    if (inputs == NULL) {
        inputs = spec->inputs;
        n_inputs = GML_NODE_INPUTS;
        while (n_inputs > 0 && inputs[n_inputs - 1] == NULL)
            n_inputs--;
    }
    uint32_t n_outputs = spec->n_outputs == 0 ? 1 : (uint32_t)spec->n_outputs;
    gml_node *node =
        gml_build_node(&b->build, op, inputs, (uint32_t)n_inputs, attrs, n_attrs, n_outputs);
    return gml_builder_has_failed(b) ? NULL : node;
}

gml_value *gml_builder_node(gml_builder *builder, const gml_node_spec *spec)
{
    if (gml_builder_has_failed(builder))
        return gml_builder_some_value(builder);
    const gml_op_info *op = gml_op_find(spec->domain, spec->op);
    if (op == NULL || spec->n_outputs > UINT16_MAX || spec->n_inputs > UINT16_MAX) {
        gml_builder_fail_at(builder, GML_E_UNSUPPORTED,
                            node_name(builder, spec->name, spec->op),
                            gml_builder_text(builder, spec->op), "there is no such operator");
        return gml_builder_some_value(builder);
    }
    gml_builder_begin_node(builder, spec->name, op);
    gml_node *node = add_node(builder, op, spec);
    if (node == NULL || !gml_builder_name_results(builder, node))
        return gml_builder_some_value(builder);
    return &node->results[0];
}

gml_value *gml_builder_result(gml_builder *builder, gml_value *value, size_t k)
{
    if (gml_builder_has_failed(builder))
        return gml_builder_some_value(builder);
    if (value->def == NULL || k >= value->def->n_results) {
        gml_builder_fail_at(builder, GML_E_INVALID, value->name, NULL,
                            "there is no such result");
        return gml_builder_some_value(builder);
    }
    return &value->def->results[k];
}

int gml_builder_rank(const gml_builder *builder, const gml_value *value)
{
    bool is_tensor = !gml_builder_has_failed(builder) && value->type.kind == GML_TYPE_TENSOR;
    return is_tensor ? value->type.rank : -1;
}

int64_t gml_builder_dim(const gml_builder *builder, const gml_value *value, int axis)
{
    int rank = gml_builder_rank(builder, value);
    if (axis < 0 || axis >= rank || !gml_dim_is_const(value->type.dims[axis]))
        return -1;
    return value->type.dims[axis];
}

/* ---- the end ----------------------------------------------------------------------------- */

void gml_builder_output(gml_builder *builder, gml_value *value, const char *name)
{
    if (gml_builder_has_failed(builder))
        return;
    gml_graph_add_result(builder->module->main, value, gml_builder_text(builder, name));
}

/* The entry called `key`, made when new. */
static gml_export_entry *metadata_entry(gml_builder *b, const char *key)
{
    for (size_t i = 0; i < b->metadata.count; i++)
        if (strcmp(b->metadata.items[i].key, key) == 0)
            return &b->metadata.items[i];
    gml_export_entry entry = {gml_builder_text(b, key), ""};
    gml_push(&b->module->arena, &b->metadata, entry);
    return &b->metadata.items[b->metadata.count - 1];
}

void gml_builder_metadata(gml_builder *builder, const char *key, const char *value)
{
    metadata_entry(builder, key)->value = gml_builder_text(builder, value);
}

void gml_builder_metadata_append(gml_builder *builder, const char *key, const char *line)
{
    gml_export_entry *entry = metadata_entry(builder, key);
    const char *separator = *entry->value != '\0' ? "\n" : "";
    entry->value =
        gml_arena_printf(&builder->module->arena, "%s%s%s", entry->value, separator, line);
}

gml_status gml_builder_module(gml_builder *builder, const gml_save_options *options,
                              gml_module **out_module)
{
    *out_module = NULL;
    if (!gml_builder_has_failed(builder) && builder->module->main->n_results == 0)
        gml_builder_fail(builder, GML_E_INVALID, "the graph has no output");
    if (!gml_builder_has_failed(builder))
        builder->build.status = gml_module_verify(builder->module, builder->diags);
    if (!gml_builder_has_failed(builder) && builder->weights != NULL)
        builder->build.status = gml_weights_check_used(builder->weights, builder->diags);
    GML_TRY(builder->build.status);
    gml_builder_fill_weights(builder, options);
    *out_module = builder->module;
    return GML_OK;
}

static gml_export_options export_options(const gml_builder *b, gml_export_training *training)
{
    return (gml_export_options){
        .training = gml_builder_training(b, training),
        .opset = b->opset,
        .metadata = b->metadata.items,
        .n_metadata = b->metadata.count,
    };
}

gml_status gml_builder_write(gml_builder *builder, gml_str *out)
{
    gml_module *module = NULL;
    gml_export_training training;
    GML_TRY(gml_builder_module(builder, NULL, &module));
    gml_export_options export = export_options(builder, &training);
    return gml_onnx_write(module, &export, out, builder->diags);
}

gml_status gml_builder_save(gml_builder *builder, const char *path,
                            const gml_save_options *options)
{
    gml_module *module = NULL;
    gml_export_training training;
    GML_TRY(gml_builder_module(builder, options, &module));
    gml_export_options export = export_options(builder, &training);
    if (options != NULL) {
        export.external_data = options->external_data;
        export.progress = options->progress;
        export.progress_context = options->progress_context;
    }
    /* A disk that is full or a path that is wrong is not the graph's fault: try again is
     * allowed. */
    return gml_onnx_save(module, path, &export, builder->diags);
}
