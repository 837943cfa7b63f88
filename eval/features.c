#include "eval/features.h"

#include "api/names.h"
#include "api/source.h"
#include "runtime/image.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GML_GREY_SIDE 16

void gml_features_reset(gml_features *features)
{
    gml_buffer_release(features->buffer);
    *features = (gml_features){NULL};
}

gml_status gml_features_alloc(const char *kind, int64_t count, int64_t dim,
                              gml_features *out_features, gml_diags *diags)
{
    gml_tensor shape = gml_eval_view(GML_F32, count, dim, NULL);
    size_t bytes = 0;
    gml_buffer *buffer =
        gml_tensor_bytes(&shape, &bytes) ? gml_buffer_create(bytes, true) : NULL;
    if (buffer == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0},
                        "there is no memory for %" PRId64 " by %" PRId64 " features", count,
                        dim);
    *out_features = (gml_features){kind, count, dim, gml_buffer_data(buffer), buffer};
    return GML_OK;
}

/* ---- the model --------------------------------------------------------------------------- */

static gml_status refuse(const gml_backbone *x, const char *port, const char *what,
                         gml_diags *diags)
{
    return gml_fail(diags, GML_E_USAGE,
                    (gml_loc){.file = gml_model_source(x->model)->path, .node = port}, "%s",
                    what);
}

/* The one input, (N, 3, S, S). */
static gml_status check_input(gml_backbone *x, const gml_backbone_options *options,
                              gml_diags *diags)
{
    const gml_port *port = gml_model_inputs(x->model);
    if (gml_model_n_inputs(x->model) != 1)
        return refuse(x, NULL, "a backbone has one input, pictures", diags);
    bool is_picture = port->kind == GML_PORT_TENSOR && port->dtype == GML_F32 &&
                      port->rank == 4 && (port->dims[1] == 3 || port->dims[1] < 0);
    if (!is_picture)
        return refuse(x, port->name, "pictures are f32[N,3,H,W]", diags);
    if (port->dims[2] != port->dims[3] && port->dims[2] >= 0 && port->dims[3] >= 0)
        return refuse(x, port->name, "pictures are square here", diags);
    int64_t size = port->dims[2] >= 0 ? port->dims[2] : port->dims[3];
    if (size >= 0 && options->size != 0 && options->size != size)
        return refuse(x, port->name, "the model's pictures have another size", diags);
    x->size = size >= 0 ? size : options->size;
    x->batch = port->dims[0] > 0 ? port->dims[0] : options->batch;
    return GML_OK;
}

/* What the output's rank says; where it is not known the first run will. */
static gml_status find_kinds(gml_backbone *x, gml_diags *diags)
{
    const gml_port *port = &gml_model_outputs(x->model)[x->output];
    if (port->kind != GML_PORT_TENSOR || port->dtype != GML_F32 || port->rank < 2 ||
        port->rank > 4)
        return refuse(x, port->name, "features are f32 of rank 2, 3 (tokens) or 4 (places)",
                      diags);
    x->kinds[x->n_kinds++] = port->rank == 2 ? port->name : "mean";
    if (port->rank == 3 && !x->no_token)
        x->kinds[x->n_kinds++] = "cls";
    return GML_OK;
}

static gml_status find_output(gml_backbone *x, const char *name, gml_diags *diags)
{
    const gml_model *model = x->model;
    size_t n = gml_model_n_outputs(model);
    if (n == 0)
        return refuse(x, NULL, "has no output", diags);
    if (name == NULL)
        return GML_OK;
    for (x->output = 0; x->output < n; x->output++)
        if (strcmp(gml_model_outputs(model)[x->output].name, name) == 0)
            return GML_OK;
    const gml_source *source = gml_model_source(model);
    return gml_name_fail(diags, (gml_loc){.file = source->path}, "output", name,
                         gml_output_names(gml_model_module(model), diags->arena), n);
}

static gml_status open_model(const gml_backbone_options *options, gml_backbone *x,
                             const gml_eval_context *context)
{
    gml_open_options open = {.entry = GML_ONNX_FIXED,
                             .device = context->device,
                             .device_number = context->device_number,
                             .precision = context->precision,
                             .n_threads = context->n_threads};
    GML_TRY(gml_model_open(options->path, &open, &x->model, context->diags));
    GML_TRY(check_input(x, options, context->diags));
    GML_TRY(find_output(x, options->output, context->diags));
    GML_TRY(find_kinds(x, context->diags));
    x->outputs = gml_new_array(context->arena, gml_rvalue, gml_model_n_outputs(x->model) + 1);
    return gml_session_open(x->model, NULL, &x->session, context->diags);
}

static gml_status open_rest(const gml_backbone_options *options, gml_backbone *x,
                            const gml_eval_context *context)
{
    if (options->path != NULL)
        GML_TRY(open_model(options, x, context));
    if (x->size < 1 || x->size > 1 << 12)
        return gml_fail(context->diags, GML_E_USAGE, (gml_loc){.file = options->path},
                        "--image-size says how large pictures are to be, up to 4096");
    if (options->pixels) {
        x->kinds[x->n_kinds] = "pixels";
        x->dims[x->n_kinds++] = 3 * x->size * x->size;
        x->kinds[x->n_kinds] = "grey16";
        x->dims[x->n_kinds++] = (int64_t)GML_GREY_SIDE * GML_GREY_SIDE;
    }
    size_t bytes = 0;
    gml_tensor shape = {.dtype = GML_F32, .rank = 4, .dims = {x->batch, 3, x->size, x->size}};
    if (gml_tensor_bytes(&shape, &bytes))
        x->pictures = gml_buffer_create(bytes, true);
    return x->pictures != NULL ? GML_OK
                               : gml_fail(context->diags, GML_E_MEMORY, (gml_loc){0},
                                          "there is no memory for a batch of pictures");
}

gml_status gml_backbone_open(const gml_backbone_options *options, gml_backbone *out_backbone,
                             const gml_eval_context *context)
{
    gml_backbone x = {.no_token = options->no_token,
                      .pixels = options->pixels,
                      .batch = options->batch,
                      .size = options->size};
    gml_status status = open_rest(options, &x, context);
    if (status != GML_OK)
        gml_backbone_close(&x);
    else
        *out_backbone = x;
    return status;
}

void gml_backbone_close(gml_backbone *backbone)
{
    for (size_t i = 0; backbone->outputs && i < gml_model_n_outputs(backbone->model); i++)
        gml_rvalue_reset(&backbone->outputs[i]);
    gml_session_destroy(backbone->session);
    gml_model_release(backbone->model);
    gml_buffer_release(backbone->pictures);
    *backbone = (gml_backbone){NULL};
}

/* ---- rows -------------------------------------------------------------------------------- */

/* The mean of `n` rows of `dim` numbers, in double precision. */
static void take_mean(const float *rows, int64_t n, int64_t dim, float *out)
{
    for (int64_t d = 0; d < dim; d++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += rows[i * dim + d];
        out[d] = (float)(sum / (double)n);
    }
}

/* Kind `k` of one picture's share of the output. */
static void pool(const gml_backbone *x, int k, const gml_tensor *y, const float *from,
                 float *out)
{
    int64_t dim = x->dims[k];
    if (y->rank == 2 || k == 1) {
        memcpy(out, from, (size_t)dim * sizeof *out);
    } else if (y->rank == 3) {
        int64_t first = x->no_token ? 0 : 1;
        take_mean(from + first * dim, y->dims[1] - first, dim, out);
    } else {
        for (int64_t c = 0; c < dim; c++)
            take_mean(from + c * y->dims[2] * y->dims[3], y->dims[2] * y->dims[3], 1, out + c);
    }
}

/* Of 0 … 1, as the recipe's normalisation is undone. */
static void shrink_grey(const float *picture, const gml_eval_recipe *recipe, float *out)
{
    static const double luma[3] = {0.299, 0.587, 0.114};
    int64_t size = recipe->crop;
    for (int64_t cell = 0; cell < (int64_t)GML_GREY_SIDE * GML_GREY_SIDE; cell++) {
        int64_t top = cell / GML_GREY_SIDE * size / GML_GREY_SIDE;
        int64_t left = cell % GML_GREY_SIDE * size / GML_GREY_SIDE;
        int64_t bottom = (cell / GML_GREY_SIDE + 1) * size / GML_GREY_SIDE;
        int64_t right = (cell % GML_GREY_SIDE + 1) * size / GML_GREY_SIDE;
        bottom = bottom == top ? top + 1 : bottom; /* of a picture below 16 pixels */
        right = right == left ? left + 1 : right;
        double sum = 0;
        for (int64_t row = top; row < bottom; row++)
            for (int64_t column = left; column < right; column++)
                for (int c = 0; c < 3; c++)
                    sum += luma[c] *
                           ((double)picture[(c * size + row) * size + column] * recipe->std[c] +
                            recipe->mean[c]);
        out[cell] = (float)(sum / (double)((bottom - top) * (right - left)));
    }
}

/* ---- batches ----------------------------------------------------------------------------- */

static gml_status check_output(gml_backbone *x, const gml_tensor *y, gml_diags *diags)
{
    const gml_port *port = &gml_model_outputs(x->model)[x->output];
    int64_t dim = y->rank == 4 ? y->dims[1] : y->dims[y->rank - 1];
    bool is_good = y->rank == port->rank && y->dims[0] == x->batch && dim > 0 &&
                   gml_tensor_numel(y) > 0 && (y->rank != 3 || x->no_token || y->dims[1] > 1);
    if (!is_good)
        return refuse(x, port->name, "gives no row of features for each picture", diags);
    for (int k = 0; k < (y->rank == 3 && !x->no_token ? 2 : 1); k++) {
        if (x->dims[k] != 0 && x->dims[k] != dim)
            return refuse(x, port->name, "gives as many features now and other ones then",
                          diags);
        x->dims[k] = dim;
    }
    return GML_OK;
}

static gml_status run_model(gml_backbone *x, const gml_tensor **out, gml_diags *diags)
{
    *out = NULL;
    if (x->model == NULL)
        return GML_OK;
    gml_rvalue input = {
        .kind = GML_RVALUE_TENSOR,
        .tensor = {.dtype = GML_F32,
                   .rank = 4,
                   .dims = {x->batch, 3, x->size, x->size},
                   .data = gml_buffer_data(x->pictures)},
    };
    GML_TRY(gml_model_check_input(x->model, 0, &input, diags));
    GML_TRY(gml_session_execute(x->session, &input, x->outputs, diags));
    *out = &x->outputs[x->output].tensor;
    return check_output(x, *out, diags);
}

/* Rows `first` … of all kinds, from the batch. */
static void store_rows(const gml_backbone *x, const gml_tensor *y,
                       const gml_eval_recipe *recipe, size_t first, size_t n, gml_features *out)
{
    int64_t picture = 3 * x->size * x->size;
    int n_of_model = x->n_kinds - (x->pixels ? 2 : 0);
    const float *pictures = gml_buffer_data(x->pictures);
    for (size_t i = 0; i < n; i++) {
        const float *from = pictures + (int64_t)i * picture;
        for (int k = 0; k < x->n_kinds; k++) {
            float *to = out[k].data + (int64_t)(first + i) * out[k].dim;
            if (k < n_of_model)
                pool(x, k, y,
                     (const float *)y->data + (int64_t)i * (gml_tensor_numel(y) / y->dims[0]),
                     to);
            else if (k == n_of_model)
                memcpy(to, from, (size_t)picture * sizeof *to);
            else
                shrink_grey(from, recipe, to);
        }
    }
}

static gml_status alloc_all(const gml_backbone *x, size_t n, gml_features *out,
                            gml_diags *diags)
{
    for (int k = 0; k < x->n_kinds; k++)
        if (out[k].data == NULL)
            GML_TRY(gml_features_alloc(x->kinds[k], (int64_t)n, x->dims[k], &out[k], diags));
    return GML_OK;
}

static gml_status check_finite(const gml_features *features, gml_diags *diags)
{
    for (int64_t i = 0; i < features->count * features->dim; i++)
        if (!isfinite(features->data[i]))
            return gml_fail(diags, GML_E_RANGE, (gml_loc){0},
                            "feature %" PRId64 " (%s) of picture %" PRId64
                            " is no finite number",
                            i % features->dim, features->kind, i / features->dim);
    return GML_OK;
}

/* The pictures of one run; what is behind the last ones are those of an earlier run. */
static gml_status run_batch(gml_backbone *x, const gml_eval_pick *pick, size_t first,
                            gml_features *out, const gml_eval_context *context)
{
    gml_eval_pick these = *pick;
    const gml_tensor *y = NULL;
    these.indices += first;
    these.n = pick->n - first < (size_t)x->batch ? pick->n - first : (size_t)x->batch;
    GML_TRY(gml_eval_pictures(&these, gml_buffer_data(x->pictures), context));
    GML_TRY(run_model(x, &y, context->diags));
    GML_TRY(alloc_all(x, pick->n, out, context->diags));
    store_rows(x, y, pick->recipe, first, these.n, out);
    return GML_OK;
}

gml_status gml_features_make(gml_backbone *backbone, const gml_eval_pick *pick,
                             const gml_eval_watch *watch, gml_features *out_features,
                             const gml_eval_context *context)
{
    size_t batch = (size_t)backbone->batch;
    for (int k = 0; k < GML_MAX_FEATURES; k++)
        out_features[k] = (gml_features){NULL};
    for (size_t first = 0; first < pick->n; first += batch) {
        GML_TRY(run_batch(backbone, pick, first, out_features, context));
        uint64_t done = pick->n - first < batch ? pick->n : first + batch;
        if (watch != NULL && watch->report != NULL)
            watch->report(watch->context, watch->stage, done, pick->n);
    }
    for (int k = 0; k < backbone->n_kinds; k++)
        GML_TRY(check_finite(&out_features[k], context->diags));
    return GML_OK;
}
