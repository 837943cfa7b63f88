/* runtime/host/tfidfvectorizer.c - counts the n-grams of a pool in each row, weighted or not.
 *
 * The pool's n-grams are sorted; every window of the row (n items, `skip` apart) is looked up
 * by bisection. Items are compared as integers or as strings. A window of one item has no
 * skips. */
#include "runtime/host/order_util.h"

#include <inttypes.h>

typedef struct items {
    const int64_t *ints; /* or NULL */
    const gml_string *strings;
    size_t count;
} items;

typedef struct gram {
    size_t first, length; /* in the pool */
    int64_t column;
} gram;

typedef struct vectorizer {
    items pool;
    gram *grams;
    int64_t *order; /* of the grams, sorted */
    int64_t n_grams;
    double *weights; /* per column */
    int64_t n_columns;
    int64_t min_length, max_length, max_skip;
    bool counts; /* TF, TFIDF: how often; else: whether */
    bool weighted;
} vectorizer;

static int compare_items(const items *a, size_t i, const items *b, size_t j)
{
    if (a->ints != NULL)
        return (a->ints[i] > b->ints[j]) - (a->ints[i] < b->ints[j]);
    return gml_string_compare(a->strings[i], b->strings[j]);
}

/* `length` items of `a` from `i` on, `step` apart, against a gram of the pool. */
static int compare_window(const vectorizer *v, const items *a, size_t i, size_t step,
                          size_t length, const gram *b)
{
    if (length != b->length)
        return length > b->length ? 1 : -1;
    for (size_t k = 0; k < length; k++) {
        int order = compare_items(a, i + k * step, &v->pool, b->first + k);
        if (order != 0)
            return order;
    }
    return 0;
}

static int compare_grams(const void *context, int64_t a, int64_t b)
{
    const vectorizer *v = context;
    const gram *g = &v->grams[a];
    return compare_window(v, &v->pool, g->first, 1, g->length, &v->grams[b]);
}

static const gram *find_gram(const vectorizer *v, const items *row, size_t i, size_t step,
                             size_t length)
{
    int64_t low = 0;
    int64_t high = v->n_grams;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const gram *candidate = &v->grams[v->order[middle]];
        int order = compare_window(v, row, i, step, length, candidate);
        if (order == 0)
            return candidate;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Adds the windows of `row` to its columns. */
static void count_row(const vectorizer *v, const items *row, double *columns)
{
    for (int64_t length = v->min_length; length <= v->max_length; length++) {
        for (int64_t skip = 0; skip <= (length == 1 ? 0 : v->max_skip); skip++) {
            size_t step = (size_t)skip + 1;
            if ((size_t)length > row->count ||
                (length > 1 && step > (row->count - 1) / ((size_t)length - 1)))
                break; /* longer than the row */
            size_t span = step * ((size_t)length - 1);
            for (size_t i = 0; i + span < row->count; i++) {
                const gram *found = find_gram(v, row, i, step, (size_t)length);
                if (found != NULL)
                    columns[found->column]++;
            }
        }
    }
}

static gml_status read_pool(gml_host_call *call, vectorizer *v)
{
    v->pool.ints = gml_host_ints(call, "pool_int64s", &v->pool.count);
    if (v->pool.ints == NULL)
        v->pool.strings = gml_host_attr_strings(call, "pool_strings", &v->pool.count);
    v->min_length = gml_host_int(call, "min_gram_length", 1);
    v->max_length = gml_host_int(call, "max_gram_length", 1);
    v->max_skip = gml_host_int(call, "max_skip_count", 0);
    bool is_tf = gml_host_string_is(call, "mode", "TF");
    bool is_idf = gml_host_string_is(call, "mode", "IDF");
    if (!is_tf && !is_idf && !gml_host_string_is(call, "mode", "TFIDF"))
        return gml_host_fail(call, GML_E_INVALID, "mode is none of TF, IDF and TFIDF");
    v->counts = !is_idf;
    v->weighted = !is_tf && gml_host_attr(call, "weights") != NULL;
    if (v->min_length < 1 || v->max_length < v->min_length || v->max_skip < 0)
        return gml_host_fail(call, GML_E_INVALID,
                             "grams of %" PRId64 " to %" PRId64 " items with %" PRId64 " skips",
                             v->min_length, v->max_length, v->max_skip);
    return GML_OK;
}

/* ngram_counts[i] is where the grams of i + 1 items begin in the pool. */
static gml_status read_grams(gml_host_call *call, vectorizer *v, gml_scratch *scratch)
{
    size_t n_sizes = 0;
    size_t n_columns = 0;
    size_t n_weights = 0;
    const int64_t *starts = gml_host_ints(call, "ngram_counts", &n_sizes);
    const int64_t *columns = gml_host_ints(call, "ngram_indexes", &n_columns);
    const float *weights = gml_host_floats(call, "weights", &n_weights);
    v->grams = gml_scratch_array(scratch, gram, n_columns);
    v->order = gml_scratch_array(scratch, int64_t, n_columns);
    v->weights = gml_scratch_array(scratch, double, v->n_columns);
    int64_t *spare = gml_scratch_array(scratch, int64_t, n_columns);
    if (v->grams == NULL || v->order == NULL || v->weights == NULL || spare == NULL)
        return gml_host_no_memory(call);
    size_t number = 0;
    for (size_t size = 1; size <= n_sizes; size++) {
        int64_t begin = starts[size - 1];
        int64_t end = size < n_sizes ? starts[size] : (int64_t)v->pool.count;
        if (begin < 0 || end < begin || (uint64_t)end > v->pool.count)
            return gml_host_fail(call, GML_E_INVALID, "ngram_counts %zu leaves the pool", size);
        for (size_t at = (size_t)begin; at + size <= (size_t)end; at += size, number++) {
            if (number >= n_columns)
                return gml_host_fail(call, GML_E_INVALID,
                                     "the pool has more grams than ngram_indexes' %zu",
                                     n_columns);
            if (v->weighted && number < n_weights)
                v->weights[columns[number]] = (double)weights[number];
            if ((int64_t)size < v->min_length || (int64_t)size > v->max_length)
                continue;
            v->grams[v->n_grams] = (gram){at, size, columns[number]};
            v->order[v->n_grams] = v->n_grams;
            v->n_grams++;
        }
    }
    gml_sort(v->order, spare, v->n_grams, compare_grams, v);
    return GML_OK;
}

static gml_status find_columns(gml_host_call *call, vectorizer *v)
{
    size_t count = 0;
    const int64_t *columns = gml_host_ints(call, "ngram_indexes", &count);
    for (size_t i = 0; i < count; i++) {
        if (columns[i] < 0 || columns[i] >= INT32_MAX)
            return gml_host_fail(call, GML_E_INVALID, "ngram_indexes has %" PRId64, columns[i]);
        if (columns[i] >= v->n_columns)
            v->n_columns = columns[i] + 1;
    }
    return GML_OK;
}

/* Row number `row` of (rows, n) as items. */
static void load_row(const gml_tensor *x, int64_t row, size_t n, int64_t *spare, items *out)
{
    for (size_t i = 0; x->dtype != GML_STRING && i < n; i++)
        spare[i] = gml_host_get_int(x, row * (int64_t)n + (int64_t)i);
    *out = (items){.count = n};
    if (x->dtype == GML_STRING)
        out->strings = gml_strings_of(x) + row * (int64_t)n;
    else
        out->ints = spare;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL; /* (n) or (rows, n) */
    const gml_tensor *y = NULL; /* (columns) or (rows, columns) */
    vectorizer v = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(read_pool(call, &v));
    if (x->rank > 2 || (x->dtype == GML_STRING) != (v.pool.strings != NULL))
        return gml_host_fail(call, GML_E_TYPE,
                             "the operand does not fit the pool, or has rank %d", x->rank);
    GML_TRY(find_columns(call, &v));
    GML_TRY(read_grams(call, &v, scratch));
    int64_t rows = x->rank == 2 ? x->dims[0] : 1;
    int64_t n = x->rank == 0 ? 1 : x->dims[x->rank - 1];
    int64_t dims[2] = {x->rank == 2 ? rows : v.n_columns, v.n_columns};
    GML_TRY(gml_host_alloc(call, 0, GML_F32, x->rank == 2 ? 2 : 1, dims, &y));
    double *columns = gml_scratch_array(scratch, double, v.n_columns);
    int64_t *spare = gml_scratch_array(scratch, int64_t, n);
    if (columns == NULL || spare == NULL)
        return gml_host_no_memory(call);
    for (int64_t row = 0; row < rows && v.n_columns > 0; row++) {
        items words;
        load_row(x, row, (size_t)n, spare, &words);
        for (int64_t j = 0; j < v.n_columns; j++)
            columns[j] = 0;
        count_row(&v, &words, columns);
        for (int64_t j = 0; j < v.n_columns; j++) {
            double value = v.counts ? columns[j] : columns[j] > 0;
            gml_host_put(y, row * v.n_columns + j, v.weighted ? value * v.weights[j] : value);
        }
    }
    return GML_OK;
}

gml_status gml_host_tfidfvectorizer(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
