/* runtime/host/nonmaxsuppression.c - keeps boxes in the order of their scores, dropping those
 * that overlap one already kept. Of equal scores the lower index comes first. */
#include "runtime/host/order_util.h"

#include <inttypes.h>

typedef struct box {
    float x0, y0, x1, y1;
} box;

typedef struct suppression {
    const box *boxes;     /* of one batch */
    const uint64_t *keys; /* per box: order of its score */
    float iou_threshold;
    int64_t max_per_class;
} suppression;

static box box_of(const gml_tensor *boxes, int64_t i, bool is_centered)
{
    float v[4];
    for (int k = 0; k < 4; k++)
        v[k] = (float)gml_host_get_float(boxes, 4 * i + k);
    if (is_centered)
        return (box){v[0] - v[2] / 2, v[1] - v[3] / 2, v[0] + v[2] / 2, v[1] + v[3] / 2};
    return (box){v[1] < v[3] ? v[1] : v[3], v[0] < v[2] ? v[0] : v[2],
                 v[1] < v[3] ? v[3] : v[1], v[0] < v[2] ? v[2] : v[0]};
}

static bool overlap(const box *a, const box *b, float threshold)
{
    float x0 = a->x0 > b->x0 ? a->x0 : b->x0;
    float y0 = a->y0 > b->y0 ? a->y0 : b->y0;
    float x1 = a->x1 < b->x1 ? a->x1 : b->x1;
    float y1 = a->y1 < b->y1 ? a->y1 : b->y1;
    if (!(x1 > x0) || !(y1 > y0))
        return false;
    float both = (x1 - x0) * (y1 - y0);
    float area_a = (a->x1 - a->x0) * (a->y1 - a->y0);
    float area_b = (b->x1 - b->x0) * (b->y1 - b->y0);
    float either = area_a + area_b - both;
    if (!(area_a > 0) || !(area_b > 0) || !(either > 0))
        return false;
    return both / either > threshold;
}

static int by_score(const void *context, int64_t a, int64_t b)
{
    const uint64_t *keys = context;
    return (keys[a] < keys[b]) - (keys[a] > keys[b]);
}

/* Filters `order`, sorted by score, in place. Returns how many boxes are kept. */
static int64_t suppress(const suppression *s, int64_t *order, int64_t count)
{
    int64_t n_kept = 0;
    for (int64_t i = 0; i < count && n_kept < s->max_per_class; i++) {
        bool is_kept = true;
        for (int64_t j = 0; j < n_kept && is_kept; j++)
            is_kept = !overlap(&s->boxes[order[i]], &s->boxes[order[j]], s->iou_threshold);
        if (is_kept)
            order[n_kept++] = order[i];
    }
    return n_kept;
}

static gml_status read_float(gml_host_call *call, unsigned k, float *out_value)
{
    if (!gml_host_has(call, k))
        return GML_OK;
    const gml_tensor *tensor = NULL;
    GML_TRY(gml_host_require(call, k, &tensor));
    if (gml_tensor_numel(tensor) < 1)
        return gml_host_fail(call, GML_E_SHAPE, "operand %u has no element", k);
    *out_value = (float)gml_host_get_float(tensor, 0);
    return GML_OK;
}

typedef struct buffers {
    box *boxes;
    uint64_t *keys;
    int64_t *order, *spare;
    int64_t *chosen; /* (count, 3) */
    int64_t n_chosen;
} buffers;

static gml_status select_boxes(gml_host_call *call, suppression *s, buffers *b)
{
    const gml_tensor *boxes = &call->inputs[0].tensor;  /* (batch, n, 4) */
    const gml_tensor *scores = &call->inputs[1].tensor; /* (batch, class, n) */
    int64_t n = boxes->dims[1];
    bool has_threshold = gml_host_has(call, 4);
    float score_threshold = 0;
    GML_TRY(read_float(call, 4, &score_threshold));
    bool is_centered = gml_host_int(call, "center_point_box", 0) != 0;
    for (int64_t row = 0; row < scores->dims[0] * scores->dims[1]; row++) {
        int64_t batch = row / scores->dims[1];
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) {
            if (row % scores->dims[1] == 0)
                b->boxes[i] = box_of(boxes, batch * n + i, is_centered);
            float score = (float)gml_host_get_float(scores, row * n + i);
            b->keys[i] = gml_order_key(scores, row * n + i);
            if (!has_threshold || score > score_threshold)
                b->order[count++] = i;
        }
        gml_sort(b->order, b->spare, count, by_score, b->keys);
        count = suppress(s, b->order, count);
        for (int64_t i = 0; i < count; i++) {
            int64_t *to = &b->chosen[3 * b->n_chosen++];
            to[0] = batch;
            to[1] = row % scores->dims[1];
            to[2] = b->order[i];
        }
    }
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *boxes = NULL;
    const gml_tensor *scores = NULL;
    GML_TRY(gml_host_require(call, 0, &boxes));
    GML_TRY(gml_host_require(call, 1, &scores));
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2])
        return gml_host_fail(call, GML_E_SHAPE,
                             "boxes are (batch, n, 4), scores (batch, class, "
                             "n); these do not fit each other");
    suppression s = {0};
    GML_TRY(gml_host_scalar_int(call, 2, 0, &s.max_per_class));
    GML_TRY(read_float(call, 3, &s.iou_threshold));
    int64_t n = boxes->dims[1];
    int64_t per_class = s.max_per_class < n ? s.max_per_class : n;
    int64_t rows = gml_dims_product(scores, 0, 2);
    buffers b = {0};
    if (per_class > 0 && rows > 0) {
        if (rows > INT64_MAX / 64 / per_class)
            return gml_host_no_memory(call);
        b.boxes = gml_scratch_array(scratch, box, n);
        b.keys = gml_scratch_array(scratch, uint64_t, n);
        b.order = gml_scratch_array(scratch, int64_t, n);
        b.spare = gml_scratch_array(scratch, int64_t, n);
        b.chosen = gml_scratch_array(scratch, int64_t, 3 * rows * per_class);
        if (b.boxes == NULL || b.keys == NULL || b.order == NULL || b.spare == NULL ||
            b.chosen == NULL)
            return gml_host_no_memory(call);
        s.boxes = b.boxes;
        GML_TRY(select_boxes(call, &s, &b));
    }
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, GML_I64, 2, (const int64_t[]){b.n_chosen, 3}, &y));
    for (int64_t i = 0; i < 3 * b.n_chosen; i++)
        ((int64_t *)y->data)[i] = b.chosen[i];
    return GML_OK;
}

gml_status gml_host_nonmaxsuppression(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
