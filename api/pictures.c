/* api/pictures.c - the loader's batches as the inputs of a model. */
#include "api/pictures.h"

#include "api/pictures_plan.h"
#include "base/map.h"
#include "data/geometry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct gml_pictures {
    gml_dataset *dataset;
    gml_loader *loader;
    gml_loader_options plan;
    gml_picture_places at;
    gml_dtype dtype;        /* of views and geometry: F32 or F64 */
    gml_buffer *doubles[3]; /* for a model in double precision: both views, geometry */
    size_t n_folder;        /* characters of the folder's path */
};

gml_pictures_options gml_pictures_defaults(void)
{
    return (gml_pictures_options){.crop_min = -1,
                                  .flip = -1,
                                  .jitter = -1,
                                  .grey = -1,
                                  .solarise = -1,
                                  .blur = {-1, -1},
                                  .n_workers = 1,
                                  .ahead = 2,
                                  .max_bad = 100};
}

/* ---- opening and closing ------------------------------------------------------------------
 */

static gml_status take_memory(gml_pictures *p, gml_diags *diags)
{
    size_t view = (size_t)p->plan.batch * 3 * (size_t)p->plan.views[0].size *
                  (size_t)p->plan.views[0].size;
    const size_t counts[] = {view, p->plan.n_views == 2 ? view : 0,
                             (size_t)p->plan.batch * GML_GEOMETRY};
    for (int i = 0; p->dtype == GML_F64 && i < 3; i++) {
        p->doubles[i] = gml_buffer_create(counts[i] * sizeof(double), false);
        if (p->doubles[i] == NULL)
            return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a batch");
    }
    return GML_OK;
}

/* A folder that has become smaller may not have the batch to begin with. */
static void begin_inside(gml_pictures *p)
{
    gml_loader_options *plan = &p->plan;
    if ((int64_t)plan->first_batch < gml_dataset_count(p->dataset) / plan->batch)
        return;
    plan->first_epoch += plan->first_batch > 0;
    plan->first_batch = 0;
    plan->bad_before = 0;
}

static gml_status fill(gml_pictures *p, const char *folder, const gml_model *model,
                       const gml_pictures_options *options, gml_diags *diags)
{
    GML_TRY(gml_pictures_make_plan(model, options, &p->plan, &p->at, diags));
    p->dtype = gml_model_inputs(model)[p->at.views[0]].dtype;
    p->n_folder = strlen(folder);
    GML_TRY(gml_dataset_open(folder, &p->dataset, diags));
    if (p->at.labels != GML_NO_INPUT && gml_dataset_n_classes(p->dataset) == 0)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = folder},
                        "has no classes: the model wants labels");
    begin_inside(p);
    GML_TRY(gml_loader_open(p->dataset, &p->plan, &p->loader, diags));
    return take_memory(p, diags);
}

gml_status gml_pictures_open(const char *folder, const gml_model *model,
                             const gml_pictures_options *options, gml_pictures **out_pictures,
                             gml_diags *diags)
{
    gml_pictures *p = calloc(1, sizeof *p);
    if (p == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "out of memory");
    gml_status status = fill(p, folder, model, options, diags);
    if (status != GML_OK)
        gml_pictures_close(p);
    else
        *out_pictures = p;
    return status;
}

void gml_pictures_close(gml_pictures *p)
{
    if (p == NULL)
        return;
    gml_loader_close(p->loader);
    gml_dataset_close(p->dataset);
    for (int i = 0; i < 3; i++)
        gml_buffer_release(p->doubles[i]);
    free(p);
}

const gml_dataset *gml_pictures_dataset(const gml_pictures *p)
{
    return p->dataset;
}

const gml_loader *gml_pictures_loader(const gml_pictures *p)
{
    return p->loader;
}

const gml_loader_options *gml_pictures_plan(const gml_pictures *p)
{
    return &p->plan;
}

/* ---- batches ------------------------------------------------------------------------------
 */

/* `tensor` in the model's type, as the value of input `index`. */
static void put(gml_rvalue *values, size_t index, const gml_tensor *tensor, gml_buffer *doubles)
{
    if (index == GML_NO_INPUT)
        return;
    values[index] = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = *tensor};
    if (doubles == NULL)
        return;
    const float *from = tensor->data;
    double *to = gml_buffer_data(doubles);
    for (int64_t i = 0; i < gml_tensor_numel(tensor); i++)
        to[i] = from[i];
    values[index].tensor.dtype = GML_F64;
    values[index].tensor.data = to;
}

gml_status gml_pictures_next(gml_pictures *p, gml_rvalue *values, const gml_batch **out_batch,
                             gml_diags *diags)
{
    static const char *const names[] = {"x1", "x2", "geometry"};
    const size_t places[] = {p->at.views[0], p->at.views[1], p->at.geometry};
    const gml_batch *batch = NULL;
    GML_TRY(gml_loader_next(p->loader, &batch, diags));
    for (int i = 0; i < batch->n_tensors; i++) {
        const gml_tensor *tensor = &batch->tensors[i];
        if (strcmp(batch->names[i], "visible") == 0)
            put(values, p->at.visible, tensor, NULL);
        for (int k = 0; k < 3; k++)
            if (strcmp(batch->names[i], names[k]) == 0)
                put(values, places[k], tensor, p->doubles[k]);
    }
    union {
        const int64_t *from;
        void *to;
    } classes = {.from = batch->classes};
    gml_tensor labels = {
        .dtype = GML_I64, .rank = 1, .dims = {batch->count}, .data = classes.to};
    put(values, p->at.labels, &labels, NULL);
    *out_batch = batch;
    return GML_OK;
}

/* ---- what decides them --------------------------------------------------------------------
 */

static void describe_view(const gml_recipe *r, gml_str *out)
{
    gml_str_printf(out,
                   "; crop %.10g-%.10g flip %.10g jitter %.10g grey %.10g blur %.10g "
                   "solarise %.10g",
                   r->crop_min, r->crop_max, r->flip, r->jitter, r->grey, r->blur, r->solarise);
}

void gml_pictures_describe(const gml_pictures *p, gml_str *out)
{
    const gml_loader_options *o = &p->plan;
    gml_str_printf(out,
                   "seed %" PRIu64 ", batch %" PRId64 ", size %" PRId64 ", mask %s %" PRId64
                   " of %" PRId64 "%s",
                   o->seed, o->batch, o->views[0].size, o->mask.random ? "random" : "block",
                   o->mask.masked, o->mask.grid * o->mask.grid,
                   o->fast_jpeg ? ", fast jpeg" : "");
    for (int i = 0; i < o->n_views; i++)
        describe_view(&o->views[i], out);
}

uint64_t gml_pictures_hash(const gml_pictures *p)
{
    uint64_t hash = 0;
    gml_str name;
    gml_str_init(&name);
    for (uint32_t i = 0; i < gml_dataset_count(p->dataset); i++) {
        name.len = 0;
        gml_dataset_name(p->dataset, i, &name);
        hash = gml_hash_bytes(name.text + p->n_folder, name.len - p->n_folder, hash);
    }
    gml_str_reset(&name);
    return hash;
}
