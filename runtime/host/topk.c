/* runtime/host/topk.c - the k largest or smallest elements along an axis.
 *
 * One pass over a lane keeps the best k in a heap whose root is the worst of them: n log k
 * steps. Of equal elements the one with the lower index is better, so the answer is unique. */
#include "runtime/host/order_util.h"

#include <inttypes.h>

typedef struct top_k {
    const uint64_t *keys; /* of one lane; smaller is better */
    int64_t *heap;        /* positions in the lane */
    int64_t *spare;
    int64_t k;
} top_k;

/* Positive when `a` is worse than `b`. */
static int compare(const void *context, int64_t a, int64_t b)
{
    const uint64_t *keys = context;
    if (keys[a] != keys[b])
        return keys[a] > keys[b] ? 1 : -1;
    return (a > b) - (a < b);
}

static int compare_positions(const void *context, int64_t a, int64_t b)
{
    (void)context;
    return (a > b) - (a < b);
}

/* Restores the heap below `node` after its item became better. */
static void sift_down(const top_k *top, int64_t node, int64_t count)
{
    for (;;) {
        int64_t worst = node;
        for (int64_t child = 2 * node + 1; child <= 2 * node + 2 && child < count; child++) {
            if (compare(top->keys, top->heap[child], top->heap[worst]) > 0)
                worst = child;
        }
        if (worst == node)
            return;
        int64_t item = top->heap[node];
        top->heap[node] = top->heap[worst];
        top->heap[worst] = item;
        node = worst;
    }
}

static void select_lane(const top_k *top, int64_t size, bool sorted)
{
    for (int64_t i = 0; i < top->k; i++)
        top->heap[i] = i;
    for (int64_t i = top->k / 2 - 1; i >= 0; i--)
        sift_down(top, i, top->k);
    for (int64_t i = top->k; i < size && top->k > 0; i++) {
        if (compare(top->keys, i, top->heap[0]) < 0) {
            top->heap[0] = i;
            sift_down(top, 0, top->k);
        }
    }
    gml_sort(top->heap, top->spare, top->k, sorted ? compare : compare_positions, top->keys);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    int axis = 0;
    GML_TRY(gml_host_axis(call, gml_host_int(call, "axis", -1), x->rank, &axis));
    int64_t size = x->dims[axis];
    top_k top = {0};
    GML_TRY(gml_host_scalar_int(call, 1, 0, &top.k));
    if (top.k < 0 || top.k > size)
        return gml_host_fail(call, GML_E_RANGE,
                             "k is %" PRId64 ", but axis %d has %" PRId64 " elements", top.k,
                             axis, size);
    gml_tensor shape = *x;
    shape.dims[axis] = top.k;
    const gml_tensor *values = NULL;
    const gml_tensor *indices = NULL;
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank, shape.dims, &values));
    if (call->n_outputs > 1)
        GML_TRY(gml_host_alloc(call, 1, GML_I64, x->rank, shape.dims, &indices));
    if (gml_tensor_numel(&shape) == 0)
        return GML_OK;
    uint64_t *keys = gml_scratch_array(scratch, uint64_t, size);
    top.heap = gml_scratch_array(scratch, int64_t, top.k);
    top.spare = gml_scratch_array(scratch, int64_t, top.k);
    if (keys == NULL || top.heap == NULL || top.spare == NULL)
        return gml_host_no_memory(call);
    top.keys = keys;
    uint64_t flip = gml_host_int(call, "largest", 1) != 0 ? UINT64_MAX : 0;
    bool sorted = gml_host_int(call, "sorted", 1) != 0;
    int64_t outer = gml_dims_product(x, 0, axis);
    int64_t inner = gml_dims_product(x, axis + 1, x->rank);
    for (int64_t lane = 0; lane < outer * inner; lane++) {
        int64_t base = lane / inner * size * inner + lane % inner;
        int64_t to = lane / inner * top.k * inner + lane % inner;
        for (int64_t i = 0; i < size; i++)
            keys[i] = gml_order_key(x, base + i * inner) ^ flip;
        select_lane(&top, size, sorted);
        for (int64_t i = 0; i < top.k; i++) {
            gml_host_copy(values, to + i * inner, x, base + top.heap[i] * inner, 1);
            if (indices != NULL)
                ((int64_t *)indices->data)[to + i * inner] = top.heap[i];
        }
    }
    return GML_OK;
}

gml_status gml_host_topk(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
