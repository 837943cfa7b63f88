/* tests/bench_rival.c - times oneDNN on single layers, for tests/bench_rival.py.
 *
 * usage: bench_rival RUNS <ROWS
 *
 * A line of ROWS is one layer, fp32:
 *     NAME product ROWS DEPTH COLUMNS none|gelu|residual      (rows, depth) x (depth, columns)
 *     NAME conv IN SIZE OUT KERNEL STRIDE PADDING none|relu   one image of SIZE x SIZE pixels
 * All have a bias. Each is made in the ways oneDNN has: products as inner product and as
 * matmul, convolutions directly and, where it can, by Winograd. Layouts are oneDNN's choice,
 * and nothing is reordered inside of the timing. All rows run one after the other, RUNS times,
 * so that weights come from where they would in a network; what reads and writes activations
 * shares two buffers, and a loop over the layer's input stands for the layer before it.
 * A line of JSON is printed for each way, after some of its results have been compared with
 * sums in double precision; exit status 1 where they differ.
 *
 * Threads: OMP_NUM_THREADS.
 */
#define _POSIX_C_SOURCE 200809L

#include <dnnl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    GML_MAX_ROWS = 64,
    GML_N_OPERATIONS = 2,
    GML_MAX_WAYS = 12,
    GML_WARMUP = 1,
    GML_SAMPLES = 256
};

typedef enum post_kind {
    GML_POST_NONE,
    GML_POST_GELU,
    GML_POST_RELU,
    GML_POST_RESIDUAL
} post_kind;

/* A product is kept as a convolution of 1 x 1 over images of one pixel. */
typedef struct shape {
    char name[64];
    int is_product;
    post_kind post;
    long images, in, size, out, kernel, stride, padding, out_size;
} shape;

typedef struct way {
    const char *name;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_memory_t source, weights, bias, result;
    double seconds; /* of all timed runs */
    int n_runs;
    double error; /* the largest of some results, over the largest of them */
} way;

typedef struct row {
    shape shape;
    way ways[GML_MAX_WAYS];
    int n_ways;
} row;

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static float *activations[2]; /* what layers read, and write */
static size_t activation_bytes[2];

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_rival: %s\n", what);
    exit(2);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- rows -------------------------------------------------------------------------------- */

static post_kind read_post(const char *text)
{
    static const char *const names[] = {"none", "gelu", "relu", "residual"};
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return (post_kind)i;
    need(0, "a row ends in none, gelu, relu or residual");
    return GML_POST_NONE;
}

static int read_shape(const char *line, shape *s)
{
    char post[16];
    *s = (shape){.size = 1, .kernel = 1, .stride = 1, .out_size = 1, .images = 1};
    if (sscanf(line, "%63s product %ld %ld %ld %15s", s->name, &s->images, &s->in, &s->out,
               post) == 5)
        s->is_product = 1;
    else if (sscanf(line, "%63s conv %ld %ld %ld %ld %ld %ld %15s", s->name, &s->in, &s->size,
                    &s->out, &s->kernel, &s->stride, &s->padding, post) != 8)
        return 0;
    s->post = read_post(post);
    s->out_size = (s->size + 2 * s->padding - s->kernel) / s->stride + 1;
    return 1;
}

/* ---- memory ------------------------------------------------------------------------------ */

static dnnl_memory_desc_t describe(int rank, const long *dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t description;
    dnnl_dims_t sizes;
    for (int i = 0; i < rank; i++)
        sizes[i] = dims[i];
    need(dnnl_memory_desc_init_by_tag(&description, rank, sizes, dnnl_f32, tag) == dnnl_success,
         "a layout is refused");
    return description;
}

/* `data` may be DNNL_MEMORY_ALLOCATE. */
static dnnl_memory_t create_memory(const dnnl_memory_desc_t *description, void *data)
{
    dnnl_memory_t memory;
    need(dnnl_memory_create(&memory, description, engine, data) == dnnl_success,
         "memory is refused");
    return memory;
}

static float *data_of(dnnl_memory_t memory)
{
    void *data;
    need(dnnl_memory_get_data_handle(memory, &data) == dnnl_success, "memory without data");
    return data;
}

/* Uniform from -scale to scale. */
static void fill(float *data, size_t n, float scale)
{
    static unsigned long state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005UL + 1442695040888963407UL;
        data[i] = scale * ((float)(state >> 40) / 8388608.0f - 1);
    }
}

static void reorder(dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_memory_desc_t *from_description;
    const dnnl_memory_desc_t *to_description;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_memory_get_memory_desc(from, &from_description);
    dnnl_memory_get_memory_desc(to, &to_description);
    need(dnnl_reorder_primitive_desc_create(&description, from_description, engine,
                                            to_description, engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&primitive, description) == dnnl_success &&
             dnnl_primitive_execute(primitive, stream, 2, args) == dnnl_success &&
             dnnl_stream_wait(stream) == dnnl_success,
         "a reorder fails");
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
}

/* ---- primitives -------------------------------------------------------------------------- */

static dnnl_primitive_attr_t create_attributes(post_kind post)
{
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t operations;
    need(dnnl_primitive_attr_create(&attributes) == dnnl_success &&
             dnnl_post_ops_create(&operations) == dnnl_success,
         "attributes are refused");
    if (post == GML_POST_RESIDUAL)
        dnnl_post_ops_append_sum(operations, 1);
    else if (post != GML_POST_NONE)
        dnnl_post_ops_append_eltwise(
            operations, 1, post == GML_POST_GELU ? dnnl_eltwise_gelu_erf : dnnl_eltwise_relu, 0,
            0);
    dnnl_primitive_attr_set_post_ops(attributes, operations);
    dnnl_post_ops_destroy(operations);
    return attributes;
}

/* The plain layouts of source, weights, bias and result; those of matmul are its own. */
static void describe_all(const shape *s, int is_matmul, int any, dnnl_memory_desc_t out[4])
{
    dnnl_format_tag_t image = any ? dnnl_format_tag_any : s->is_product ? dnnl_ab : dnnl_nchw;
    dnnl_format_tag_t filter = any             ? dnnl_format_tag_any
                               : is_matmul     ? dnnl_ba /* kept as (columns, depth) */
                               : s->is_product ? dnnl_ab
                                               : dnnl_oihw;
    int rank = s->is_product ? 2 : 4;
    long bias[] = {1, s->out};
    long weights[] = {s->out, s->in, s->kernel, s->kernel};
    long transposed[] = {s->in, s->out};
    out[0] = describe(rank, (long[]){s->images, s->in, s->size, s->size}, image);
    out[1] = describe(rank, is_matmul ? transposed : weights, filter);
    out[2] = is_matmul ? describe(2, bias, dnnl_ab) : describe(1, bias + 1, dnnl_a);
    out[3] = describe(rank, (long[]){s->images, s->out, s->out_size, s->out_size}, image);
}

typedef union operation {
    dnnl_convolution_desc_t convolution;
    dnnl_inner_product_desc_t inner;
    dnnl_matmul_desc_t matmul;
} operation;

static dnnl_status_t describe_operation(const shape *s, int number, operation *out)
{
    dnnl_memory_desc_t d[4];
    dnnl_dims_t strides = {s->stride, s->stride};
    dnnl_dims_t padding = {s->padding, s->padding};
    describe_all(s, s->is_product && number == 1, 1, d);
    if (s->is_product && number == 0)
        return dnnl_inner_product_forward_desc_init(&out->inner, dnnl_forward_inference, &d[0],
                                                    &d[1], &d[2], &d[3]);
    if (s->is_product)
        return dnnl_matmul_desc_init(&out->matmul, &d[0], &d[1], &d[2], &d[3]);
    return dnnl_convolution_forward_desc_init(
        &out->convolution, dnnl_forward_inference,
        number ? dnnl_convolution_winograd : dnnl_convolution_direct, &d[0], &d[1], &d[2],
        &d[3], strides, padding, padding);
}

/* Walks over the implementations of `what`, which has to outlive it, best first by oneDNN's
 * judgement; NULL where there is none. */
static dnnl_primitive_desc_iterator_t create_iterator(const operation *what, post_kind post)
{
    dnnl_primitive_attr_t attributes = create_attributes(post);
    dnnl_primitive_desc_iterator_t iterator = NULL;
    if (dnnl_primitive_desc_iterator_create(&iterator, what, attributes, engine, NULL) !=
        dnnl_success)
        iterator = NULL;
    dnnl_primitive_attr_destroy(attributes);
    return iterator;
}

static const dnnl_memory_desc_t *layout(const way *w, dnnl_query_t which)
{
    return dnnl_primitive_desc_query_md(w->description, which, 0);
}

static void grow(int which, const dnnl_memory_desc_t *description)
{
    size_t bytes = dnnl_memory_desc_get_size(description);
    if (bytes > activation_bytes[which])
        activation_bytes[which] = bytes;
}

static const char *implementation(const way *w)
{
    const char *text = NULL;
    dnnl_primitive_desc_query(w->description, dnnl_query_impl_info_str, 0, (void *)&text);
    return text ? text : "?";
}

/* Every implementation of an operation that is written for the widest vectors, or the first
 * where none is. */
static void create_ways(row *r, int number)
{
    static const char *const names[2][GML_N_OPERATIONS] = {{"direct", "winograd"},
                                                           {"inner product", "matmul"}};
    operation what;
    if (describe_operation(&r->shape, number, &what) != dnnl_success)
        return;
    dnnl_primitive_desc_iterator_t iterator = create_iterator(&what, r->shape.post);
    if (!iterator)
        return;
    int before = r->n_ways;
    do {
        way *w = &r->ways[r->n_ways];
        need(r->n_ways < GML_MAX_WAYS, "too many implementations");
        w->description = dnnl_primitive_desc_iterator_fetch(iterator);
        if (r->n_ways > before && !strstr(implementation(w), "avx512")) {
            dnnl_primitive_desc_destroy(w->description);
            continue;
        }
        need(dnnl_primitive_create(&w->primitive, w->description) == dnnl_success,
             "a primitive cannot be made");
        w->name = names[r->shape.is_product][number];
        grow(0, layout(w, dnnl_query_src_md));
        grow(1, layout(w, dnnl_query_dst_md));
        r->n_ways++;
    } while (dnnl_primitive_desc_iterator_next(iterator) == dnnl_success);
    dnnl_primitive_desc_iterator_destroy(iterator);
}

static void execute(const way *w)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, w->source},
                              {DNNL_ARG_WEIGHTS, w->weights},
                              {DNNL_ARG_BIAS, w->bias},
                              {DNNL_ARG_DST, w->result}};
    need(dnnl_primitive_execute(w->primitive, stream, 4, args) == dnnl_success &&
             dnnl_stream_wait(stream) == dnnl_success,
         "a primitive fails");
}

/* ---- results ----------------------------------------------------------------------------- */

/* One element of the result, in double precision; `before` is what a residual adds to. */
static double expected(const shape *s, float *const plain[4], const long at[4], double before)
{
    const float *source = plain[0] + (at[0] * s->in * s->size * s->size);
    const float *weights = plain[1] + (at[1] * s->in * s->kernel * s->kernel);
    double sum = plain[2][at[1]];
    for (long tap = 0; tap < s->in * s->kernel * s->kernel; tap++) {
        long y = at[2] * s->stride - s->padding + tap / s->kernel % s->kernel;
        long x = at[3] * s->stride - s->padding + tap % s->kernel;
        long channel = tap / (s->kernel * s->kernel);
        if (y >= 0 && y < s->size && x >= 0 && x < s->size)
            sum += (double)weights[tap] * source[(channel * s->size + y) * s->size + x];
    }
    if (s->post == GML_POST_GELU)
        return sum * 0.5 * (1 + erf(sum * sqrt(0.5)));
    if (s->post == GML_POST_RELU)
        return sum > 0 ? sum : 0;
    return s->post == GML_POST_RESIDUAL ? sum + before : sum;
}

static double largest_error(const shape *s, float *const plain[4], const float *before)
{
    long n = s->images * s->out * s->out_size * s->out_size;
    double largest = 0;
    double error = 0;
    for (long k = 0; k < GML_SAMPLES; k++) {
        long i = k * (n - 1) / (GML_SAMPLES - 1);
        long pixels = s->out_size * s->out_size;
        long at[4] = {i / pixels / s->out, i / pixels % s->out, i % pixels / s->out_size,
                      i % s->out_size};
        double want = expected(s, plain, at, before[i]);
        largest = fmax(largest, fabs(want));
        error = isnan(plain[3][i]) ? INFINITY : fmax(error, fabs(plain[3][i] - want));
    }
    return error / largest;
}

/* Fills weights and bias, and runs the layer once on random numbers; false when its results are
 * wrong. */
static int prepare(const shape *s, way *w)
{
    static const dnnl_query_t queries[] = {dnnl_query_src_md, dnnl_query_weights_md, 0,
                                           dnnl_query_dst_md};
    float scale[] = {1, (float)(1.7 / sqrt((double)(s->in * s->kernel * s->kernel))), 1, 1};
    dnnl_memory_desc_t d[4];
    dnnl_memory_t plain[4];
    float *data[4];
    describe_all(s, strcmp(w->name, "matmul") == 0, 0, d);
    for (int i = 0; i < 4; i++) {
        plain[i] = create_memory(&d[i], DNNL_MEMORY_ALLOCATE);
        data[i] = data_of(plain[i]);
        fill(data[i], dnnl_memory_desc_get_size(&d[i]) / sizeof(float), scale[i]);
    }
    w->source = create_memory(layout(w, queries[0]), activations[0]);
    w->weights = create_memory(layout(w, queries[1]), DNNL_MEMORY_ALLOCATE);
    w->result = create_memory(layout(w, queries[3]), activations[1]);
    w->bias = plain[2];
    reorder(plain[0], w->source);
    reorder(plain[1], w->weights);
    reorder(plain[3], w->result);
    size_t bytes = dnnl_memory_desc_get_size(&d[3]);
    float *before = malloc(bytes);
    need(before != NULL, "out of memory");
    memcpy(before, data[3], bytes);
    execute(w);
    reorder(w->result, plain[3]);
    w->error = largest_error(s, data, before);
    free(before);
    dnnl_memory_destroy(plain[0]);
    dnnl_memory_destroy(plain[1]);
    dnnl_memory_destroy(plain[3]);
    if (w->error > 1e-4)
        fprintf(stderr, "bench_rival: %s: %s is off by %g\n", s->name, implementation(w),
                w->error);
    return w->error <= 1e-4;
}

/* ---- times ------------------------------------------------------------------------------- */

/* Stands for the layer before: reads and writes the input, shared out among all threads. */
static void touch(const way *w)
{
    long n = (long)(dnnl_memory_desc_get_size(layout(w, dnnl_query_src_md)) / sizeof(float));
    float *data = activations[0];
#pragma omp parallel for schedule(static)
    for (long i = 0; i < n; i++)
        data[i] = -data[i];
}

static void measure(row *rows, int n_rows, int runs)
{
    int n_passes = 0;
    for (int i = 0; i < n_rows; i++)
        n_passes = rows[i].n_ways > n_passes ? rows[i].n_ways : n_passes;
    for (int pass = 0; pass < n_passes; pass++)
        for (int run = -GML_WARMUP; run < runs; run++)
            for (int i = 0; i < n_rows; i++) {
                way *w = &rows[i].ways[pass < rows[i].n_ways ? pass : 0];
                touch(w);
                double begin = now();
                execute(w);
                double seconds = now() - begin;
                if (run >= 0 && w->n_runs < runs) {
                    w->seconds += seconds;
                    w->n_runs++;
                }
            }
}

static void print_times(const row *r)
{
    for (int k = 0; k < r->n_ways; k++) {
        const way *w = &r->ways[k];
        printf("{\"row\": \"%s\", \"way\": \"%s\", \"implementation\": \"%s\", \"us\": %.3f, "
               "\"error\": %.3g}\n",
               r->shape.name, w->name, implementation(w), w->seconds / w->n_runs * 1e6,
               w->error);
    }
}

int main(int argc, char **argv)
{
    static row rows[GML_MAX_ROWS];
    char line[256];
    int n_rows = 0;
    int runs = argc == 2 ? atoi(argv[1]) : 0;
    need(runs > 0, "usage: bench_rival RUNS <ROWS");
    need(dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
             dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success,
         "oneDNN does not start");
    for (; fgets(line, sizeof line, stdin); n_rows++) {
        need(n_rows < GML_MAX_ROWS && read_shape(line, &rows[n_rows].shape), "not a row");
        row *r = &rows[n_rows];
        for (int number = 0; number < GML_N_OPERATIONS; number++)
            create_ways(r, number);
        need(r->n_ways > 0, "oneDNN refuses a layer");
    }
    for (int i = 0; i < 2; i++) {
        size_t bytes = (activation_bytes[i] + 4095) / 4096 * 4096;
        activations[i] = aligned_alloc(4096, bytes);
        need(activations[i] != NULL, "out of memory");
        fill(activations[i], bytes / sizeof(float), 1);
    }
    int right = 1;
    for (int i = 0; i < n_rows; i++)
        for (int k = 0; k < rows[i].n_ways; k++) {
            right &= prepare(&rows[i].shape, &rows[i].ways[k]);
        }
    measure(rows, n_rows, runs);
    for (int i = 0; i < n_rows; i++)
        print_times(&rows[i]);
    need(fflush(stdout) == 0, "cannot print");
    return right ? 0 : 1;
}
