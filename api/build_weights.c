/* api/build_weights.c - the part of a gml_builder that makes the elements of weights: out of a
 * file, or by their fills. */
#include "api/builder.h"
#include "api/weights.h"
#include "weights/elements.h"

#include <inttypes.h>

/* Weights are filled in pieces of this many elements, between which progress is reported. */
#define GML_FILL_CHUNK ((size_t)1 << 18)

/* The failure of `w` becomes the builder's, with its words. */
static void take_failure(gml_builder *b, const gml_weights *w)
{
    if (gml_builder_has_failed(b))
        return;
    for (size_t i = 0; i < w->diags.list.count; i++)
        gml_push(b->diags->arena, &b->diags->list, w->diags.list.items[i]);
    b->build.status = w->status;
}

void gml_builder_weights(gml_builder *builder, struct gml_weights *weights)
{
    builder->weights = weights;
    if (weights != NULL && weights->status != GML_OK)
        take_failure(builder, weights);
    else if (weights != NULL && weights->mapping.map == NULL)
        gml_builder_fail(builder, GML_E_USAGE, "the weights are not mapped");
}

static const char *show_shape(gml_builder *b, const gml_tensor *tensor)
{
    const char *text = gml_dtype_name(tensor->dtype);
    for (int d = 0; d < tensor->rank; d++)
        text = gml_arena_printf(&b->module->arena, "%s%s%" PRId64, text, d == 0 ? "[" : ",",
                                tensor->dims[d]);
    return gml_arena_printf(&b->module->arena, "%s%s", text, tensor->rank > 0 ? "]" : "[]");
}

static bool same_shape(const gml_tensor *x, const gml_tensor *y, bool is_turned)
{
    bool same = x->rank == y->rank;
    for (int d = 0; same && d < x->rank; d++)
        same = x->dims[d] == y->dims[is_turned ? y->rank - 1 - d : d];
    return same;
}

static void fail_missing(gml_builder *b, const char *name)
{
    const gml_weights *w = b->weights;
    gml_builder_fail_at(
        b, GML_E_INVALID, name, NULL,
        gml_arena_printf(&b->module->arena, "%s has no tensor for it", gml_weights_file(w)));
    gml_note(b->diags, "the map is %s, the file's names begin with '%s'", w->mapping.map,
             w->mapping.prefix);
}

static void fail_shape(gml_builder *b, const char *name, const gml_tensor *wanted,
                       const gml_weight *weight, bool is_turned)
{
    gml_builder_fail_at(
        b, GML_E_SHAPE, name, NULL,
        gml_arena_printf(&b->module->arena, "is %s in the network, and %s in %s%s",
                         show_shape(b, wanted), show_shape(b, &weight->tensor),
                         gml_weights_file(b->weights), is_turned ? ", to be transposed" : ""));
    gml_note(b->diags, "there it is called %s", weight->name);
}

const gml_weight *gml_builder_find_source(gml_builder *b, const char *name,
                                          const gml_tensor *tensor, bool is_matrix,
                                          bool *out_turned)
{
    gml_weights *w = b->weights;
    *out_turned = false;
    if (w->status != GML_OK) {
        take_failure(b, w);
        return NULL;
    }
    const gml_weight *weight = gml_weights_use(w, name);
    if (weight == NULL) {
        fail_missing(b, name);
        return NULL;
    }
    *out_turned = tensor->rank == 2 && weight->is_turned != is_matrix;
    if (gml_elements_allow(weight->tensor.dtype) &&
        same_shape(tensor, &weight->tensor, *out_turned))
        return weight;
    fail_shape(b, name, tensor, weight, *out_turned);
    return NULL;
}

static void fill_from_source(const pending_fill *pending)
{
    const gml_tensor *from = &pending->source->tensor;
    if (pending->is_turned)
        gml_elements_turn(from->dtype, from->data, from->dims[0], from->dims[1], pending->dtype,
                          pending->data);
    else
        gml_elements_convert(from->dtype, from->data, pending->dtype, pending->data,
                             pending->count);
}

static void report_fill(const gml_save_options *options, uint64_t done, uint64_t total)
{
    if (options != NULL && options->progress != NULL && total != 0)
        options->progress(options->progress_context, "weights", done, total);
}

void gml_builder_fill_weights(gml_builder *b, const gml_save_options *options)
{
    uint64_t total = 0;
    uint64_t done = 0;
    for (size_t i = b->n_filled; i < b->fills.count; i++)
        total += b->fills.items[i].count;
    for (; b->n_filled < b->fills.count; b->n_filled++) {
        const pending_fill *p = &b->fills.items[b->n_filled];
        if (p->source != NULL) {
            fill_from_source(p);
            done += p->count;
            report_fill(options, done, total);
            continue;
        }
        for (size_t first = 0; first < p->count; first += GML_FILL_CHUNK) {
            size_t count =
                p->count - first < GML_FILL_CHUNK ? p->count - first : GML_FILL_CHUNK;
            char *to = (char *)p->data + first * gml_dtype_size(p->dtype);
            gml_fill_elements(&p->fill, p->key, p->dtype, first, count, to);
            done += count;
            report_fill(options, done, total);
        }
    }
}
