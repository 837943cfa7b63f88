/* runtime/host/unique.c - distinct elements, or distinct slices along an axis.
 *
 * Slices are sorted by their elements in order; runs of equal ones are the groups. Since the
 * sort is stable the first of a run is the first occurrence. Unsorted results put the groups in
 * the order of their first occurrences. */
#include "runtime/host/order_util.h"

typedef struct slices {
    const gml_tensor *x;
    const uint64_t *keys; /* NULL for strings */
    int64_t outer, size, inner;
    bool flat; /* no axis: (1, numel, 1) */
    int axis;
} slices;

static int compare(const void *context, int64_t a, int64_t b)
{
    const slices *s = context;
    for (int64_t o = 0; o < s->outer; o++) {
        for (int64_t i = 0; i < s->inner; i++) {
            int64_t at_a = (o * s->size + a) * s->inner + i;
            int64_t at_b = (o * s->size + b) * s->inner + i;
            if (s->keys == NULL) {
                const gml_string *strings = gml_strings_of(s->x);
                int order = gml_string_compare(strings[at_a], strings[at_b]);
                if (order != 0)
                    return order;
            } else if (s->keys[at_a] != s->keys[at_b]) {
                return s->keys[at_a] > s->keys[at_b] ? 1 : -1;
            }
        }
    }
    return 0;
}

static int compare_first(const void *context, int64_t a, int64_t b)
{
    const int64_t *first = context;
    return (first[a] > first[b]) - (first[a] < first[b]);
}

typedef struct groups {
    int64_t count;
    int64_t *group_of; /* per slice */
    int64_t *first;    /* per group: its first slice */
    int64_t *size;     /* per group */
    int64_t *rank;     /* per group: its place in the result */
    int64_t *order;    /* places to groups */
} groups;

static bool find_groups(const slices *s, bool sorted, gml_scratch *scratch, groups *g)
{
    int64_t n = s->size;
    int64_t *order = gml_scratch_array(scratch, int64_t, n);
    int64_t *spare = gml_scratch_array(scratch, int64_t, n);
    g->group_of = gml_scratch_array(scratch, int64_t, n);
    g->first = gml_scratch_array(scratch, int64_t, n);
    g->size = gml_scratch_array(scratch, int64_t, n);
    g->rank = gml_scratch_array(scratch, int64_t, n);
    g->order = gml_scratch_array(scratch, int64_t, n);
    if (order == NULL || spare == NULL || g->group_of == NULL || g->first == NULL ||
        g->size == NULL || g->rank == NULL || g->order == NULL)
        return false;
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    gml_sort(order, spare, n, compare, s);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || compare(s, order[i - 1], order[i]) != 0)
            g->first[g->count++] = order[i];
        g->group_of[order[i]] = g->count - 1;
        g->size[g->count - 1]++;
    }
    for (int64_t i = 0; i < g->count; i++)
        g->order[i] = i;
    if (!sorted)
        gml_sort(g->order, spare, g->count, compare_first, g->first);
    for (int64_t i = 0; i < g->count; i++)
        g->rank[g->order[i]] = i;
    return true;
}

static gml_status set_values(gml_host_call *call, const slices *s, const groups *g)
{
    int64_t dims[GML_MAX_RANK] = {g->count};
    for (int i = 0; !s->flat && i < s->x->rank; i++)
        dims[i] = i == s->axis ? g->count : s->x->dims[i];
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, s->x->dtype, s->flat ? 1 : s->x->rank, dims, &y));
    if (gml_tensor_numel(y) == 0)
        return GML_OK;
    for (int64_t o = 0; o < s->outer; o++) {
        for (int64_t i = 0; i < g->count; i++)
            gml_host_copy(y, (o * g->count + i) * s->inner, s->x,
                          (o * s->size + g->first[g->order[i]]) * s->inner, s->inner);
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}

/* Result `k` as a vector: table[map[i]], or table[i] without a map. */
static gml_status set_vector(gml_host_call *call, unsigned k, int64_t count,
                             const int64_t *table, const int64_t *map)
{
    if (call->n_outputs <= k)
        return GML_OK;
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, k, GML_I64, 1, &count, &y));
    for (int64_t i = 0; i < count; i++)
        ((int64_t *)y->data)[i] = table[map[i]];
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    int64_t numel = gml_tensor_numel(x);
    slices s = {.x = x, .outer = 1, .size = numel, .inner = 1, .flat = true};
    if (gml_host_attr(call, "axis") != NULL) {
        s.flat = false;
        GML_TRY(gml_host_axis(call, gml_host_int(call, "axis", 0), x->rank, &s.axis));
        s.size = x->dims[s.axis];
        s.outer = numel == 0 ? 0 : gml_dims_product(x, 0, s.axis);
        s.inner = numel == 0 ? 0 : gml_dims_product(x, s.axis + 1, x->rank);
    }
    if (x->dtype != GML_STRING) {
        uint64_t *keys = gml_scratch_array(scratch, uint64_t, numel);
        if (keys == NULL)
            return gml_host_no_memory(call);
        for (int64_t i = 0; i < numel; i++)
            keys[i] = gml_order_key(x, i);
        s.keys = keys;
    }
    groups g = {0};
    if (!find_groups(&s, gml_host_int(call, "sorted", 1) != 0, scratch, &g))
        return gml_host_no_memory(call);
    GML_TRY(set_values(call, &s, &g));
    GML_TRY(set_vector(call, 1, g.count, g.first, g.order));
    GML_TRY(set_vector(call, 2, s.size, g.rank, g.group_of));
    return set_vector(call, 3, g.count, g.size, g.order);
}

gml_status gml_host_unique(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
