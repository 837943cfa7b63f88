/* scripts/gpu/gemm.c - cuBLASLt at every matrix product of SiameseIM's ViT-B/16 step, batch
 * 1024.
 *
 * bf16 operands, fp32 sums. For each product, by itself and with each epilogue that the step
 * could use, every algorithm that the heuristic names is timed and the best is kept. Data is
 * random. A sample of the plain product's elements is compared with sums in double precision.
 *
 * A linear layer is Y = X W' with X [M, K], W [N, K], Y [M, N], rows one after the other.
 * cuBLASLt counts columns, so it is asked for Y' = W X', and likewise for the gradients:
 *
 *            rows  columns  depth   A            B
 *     Y'     N     M        K       W transposed X
 *     dX'    K     M        N       W            dY
 *     dW'    K     N        M       X            dY transposed
 */
#include "report.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>

#define ALGORITHMS  16
#define WORKSPACE   ((size_t)64 << 20)
#define SAMPLES     16
#define TOLERANCE   1e-2
#define TRIES       7
#define PEAK_TFLOPS 989.0
#define BATCH       1024

typedef enum product_kind { FORWARD, DGRAD, WGRAD } product_kind;

typedef struct product {
    const char *name;
    product_kind kind;
    int64_t tokens;  /* M, of one image; 0: not in the batch */
    int64_t out, in; /* N, K of the layer */
} product;

/* Tokens: 79 online encoder and projector, 197 target, 275 predictor, 196 patches. */
static const product products[] = {
    {"qkv 79", FORWARD, 79, 2304, 768},
    {"proj 79", FORWARD, 79, 768, 768},
    {"fc1 79", FORWARD, 79, 3072, 768},
    {"fc2 79", FORWARD, 79, 768, 3072},
    {"qkv 197", FORWARD, 197, 2304, 768},
    {"proj 197", FORWARD, 197, 768, 768},
    {"fc1 197", FORWARD, 197, 3072, 768},
    {"fc2 197", FORWARD, 197, 768, 3072},
    {"qkv 275", FORWARD, 275, 2304, 768},
    {"proj 275", FORWARD, 275, 768, 768},
    {"fc1 275", FORWARD, 275, 3072, 768},
    {"fc2 275", FORWARD, 275, 768, 3072},
    {"qkv 79", DGRAD, 79, 2304, 768},
    {"proj 79", DGRAD, 79, 768, 768},
    {"fc1 79", DGRAD, 79, 3072, 768},
    {"fc2 79", DGRAD, 79, 768, 3072},
    {"qkv 275", DGRAD, 275, 2304, 768},
    {"proj 275", DGRAD, 275, 768, 768},
    {"fc1 275", DGRAD, 275, 3072, 768},
    {"fc2 275", DGRAD, 275, 768, 3072},
    {"qkv 79", WGRAD, 79, 2304, 768},
    {"proj 79", WGRAD, 79, 768, 768},
    {"fc1 79", WGRAD, 79, 3072, 768},
    {"fc2 79", WGRAD, 79, 768, 3072},
    {"qkv 275", WGRAD, 275, 2304, 768},
    {"proj 275", WGRAD, 275, 768, 768},
    {"fc1 275", WGRAD, 275, 3072, 768},
    {"fc2 275", WGRAD, 275, 768, 3072},
    {"patch embedding 78", FORWARD, 78, 768, 768},
    {"patch embedding 196", FORWARD, 196, 768, 768},
    {"position layer 196", FORWARD, 196, 768, 1536},
    {"position layer 196", WGRAD, 196, 768, 1536},
    {"last layer or P C 196", FORWARD, 196, 768, 768},
    {"last layer 196", DGRAD, 196, 768, 768},
    {"last layer or covariance 196", WGRAD, 196, 768, 768},
};

/* What is done besides the product. */
typedef enum extra {
    PLAIN,
    WITH_BIAS,
    GELU_AUX,
    DGELU,
    BIAS_GRADIENT,
    RESIDUAL,
    ACCUMULATE
} extra;

typedef struct variant {
    const char *name;
    extra extra;
    cublasLtEpilogue_t epilogue;
    int fp32_result; /* and added to what is there */
} variant;

static const variant variants[] = {
    {"plain", PLAIN, CUBLASLT_EPILOGUE_DEFAULT, 0},
    {"bias", WITH_BIAS, CUBLASLT_EPILOGUE_BIAS, 0},
    {"bias, tanh-GELU, both kept", GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, 0},
    {"GELU's derivative and bias gradient", DGELU, CUBLASLT_EPILOGUE_DGELU_BGRAD, 0},
    {"bias gradient", BIAS_GRADIENT, CUBLASLT_EPILOGUE_BGRADB, 0},
    {"bias, added to fp32", RESIDUAL, CUBLASLT_EPILOGUE_BIAS, 1},
    {"added to fp32", ACCUMULATE, CUBLASLT_EPILOGUE_DEFAULT, 1},
};

/* Whether the step could use the variant at that product. */
static int is_wanted(const product *p, extra extra)
{
    int is_block = strncmp(p->name, "qkv", 3) == 0 || strncmp(p->name, "proj", 4) == 0 ||
                   strncmp(p->name, "fc", 2) == 0;
    switch (extra) {
    case PLAIN: return 1;
    case WITH_BIAS: return p->kind == FORWARD;
    case GELU_AUX: return p->kind == FORWARD && strncmp(p->name, "fc1", 3) == 0;
    case DGELU: return p->kind == DGRAD && strncmp(p->name, "fc2", 3) == 0;
    case BIAS_GRADIENT: return p->kind == WGRAD;
    case RESIDUAL:
        return p->kind == FORWARD && is_block && strncmp(p->name, "qkv", 3) != 0 &&
               strncmp(p->name, "fc1", 3) != 0;
    case ACCUMULATE: return p->kind == WGRAD;
    }
    return 0;
}

/* ---- the device ---------------------------------------------------------------------------
 */

typedef struct device {
    report *r;
    cublasLtHandle_t lt;
    cudaStream_t stream;
    cudaEvent_t begin, end;
    void *workspace;
    char *a, *b, *d; /* as large as the largest product needs */
    char *aux, *bias;
    uint16_t *pattern_a, *pattern_b; /* what A and B repeat */
} device;

static void check_cuda(report *r, const char *what, cudaError_t status)
{
    if (status != cudaSuccess)
        report_fail(r, what, cudaGetErrorString(status));
}

static void check(report *r, const char *what, cublasStatus_t status)
{
    if (status != CUBLAS_STATUS_SUCCESS)
        report_fail(r, what, cublasLtGetStatusString(status));
}

static float from_bf16(uint16_t bits)
{
    union {
        uint32_t u;
        float f;
    } value = {(uint32_t)bits << 16};
    return value.f;
}

static uint16_t to_bf16(float f)
{
    union {
        float f;
        uint32_t u;
    } value = {f};
    return (uint16_t)((value.u + 0x7fff + (value.u >> 16 & 1)) >> 16);
}

/* An odd length, so that no row of a matrix is like the next. */
#define PATTERN (((size_t)16 << 20) - 8 * 129)

/* PATTERN random numbers from -scale to scale over and over. Returns them. */
static uint16_t *fill(device *dev, char *target, size_t bytes, float scale, uint64_t seed)
{
    uint16_t *host = malloc(PATTERN * 2);
    if (!host)
        abort();
    for (size_t i = 0; i < PATTERN; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        host[i] = to_bf16(scale * ((float)(seed >> 40) / (float)(1 << 23) - 1));
    }
    for (size_t at = 0; at < bytes; at += PATTERN * 2) {
        size_t size = bytes - at < PATTERN * 2 ? bytes - at : PATTERN * 2;
        check_cuda(dev->r, "cudaMemcpy",
                   at == 0 ? cudaMemcpy(target, host, size, cudaMemcpyHostToDevice)
                           : cudaMemcpy(target + at, target, size, cudaMemcpyDeviceToDevice));
    }
    return host;
}

static size_t max_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void allocate(device *dev, int64_t batch)
{
    size_t a = 0, b = 0, d = 0, aux = 0;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const product *p = &products[i];
        size_t m = (size_t)(p->tokens * batch), n = (size_t)p->out, k = (size_t)p->in;
        size_t w = n * k * 2, x = m * k * 2, y = m * n * 2;
        a = max_of(a, p->kind == WGRAD ? x : w);
        b = max_of(b, p->kind == FORWARD ? x : y);
        d = max_of(d, p->kind == FORWARD ? 2 * y : p->kind == DGRAD ? x : 2 * w);
        aux = max_of(aux, p->kind == FORWARD ? y : p->kind == DGRAD ? x : 0);
    }
    report *r = dev->r;
    check(r, "cublasLtCreate", cublasLtCreate(&dev->lt));
    check_cuda(r, "cudaStreamCreate", cudaStreamCreate(&dev->stream));
    check_cuda(r, "cudaEventCreate", cudaEventCreate(&dev->begin));
    check_cuda(r, "cudaEventCreate", cudaEventCreate(&dev->end));
    check_cuda(r, "cudaMalloc", cudaMalloc(&dev->workspace, WORKSPACE));
    check_cuda(r, "cudaMalloc", cudaMalloc((void **)&dev->a, a));
    check_cuda(r, "cudaMalloc", cudaMalloc((void **)&dev->b, b));
    check_cuda(r, "cudaMalloc", cudaMalloc((void **)&dev->d, d));
    check_cuda(r, "cudaMalloc", cudaMalloc((void **)&dev->aux, aux));
    check_cuda(r, "cudaMalloc", cudaMalloc((void **)&dev->bias, 65536));
    dev->pattern_a = fill(dev, dev->a, a, 1.0f, 1);
    dev->pattern_b = fill(dev, dev->b, b, 1.0f, 2);
    free(fill(dev, dev->aux, aux, 2.0f, 3));
    free(fill(dev, dev->bias, 65536, 1.0f, 4));
}

/* ---- one product --------------------------------------------------------------------------
 */

typedef struct shape {
    int64_t rows, columns, depth;
    int64_t lda, ldb; /* of A and B as they are stored */
    cublasOperation_t op_a, op_b;
} shape;

static shape shape_of(const product *p, int64_t batch)
{
    int64_t m = p->tokens * batch;
    switch (p->kind) {
    case FORWARD: return (shape){p->out, m, p->in, p->in, p->in, CUBLAS_OP_T, CUBLAS_OP_N};
    case DGRAD: return (shape){p->in, m, p->out, p->in, p->out, CUBLAS_OP_N, CUBLAS_OP_N};
    case WGRAD: break;
    }
    return (shape){p->in, p->out, m, p->in, p->out, CUBLAS_OP_N, CUBLAS_OP_T};
}

typedef struct plan {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    float beta;
} plan;

static void set(report *r, plan *plan, cublasLtMatmulDescAttributes_t attribute,
                const void *value, size_t size)
{
    check(r, "cublasLtMatmulDescSetAttribute",
          cublasLtMatmulDescSetAttribute(plan->desc, attribute, value, size));
}

static plan make_plan(device *dev, const shape *s, const variant *v)
{
    report *r = dev->r;
    plan p = {.beta = v->fp32_result ? 1.0f : 0.0f};
    cudaDataType result = v->fp32_result ? CUDA_R_32F : CUDA_R_16BF;
    check(r, "cublasLtMatmulDescCreate",
          cublasLtMatmulDescCreate(&p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(r, &p, CUBLASLT_MATMUL_DESC_TRANSA, &s->op_a, sizeof s->op_a);
    set(r, &p, CUBLASLT_MATMUL_DESC_TRANSB, &s->op_b, sizeof s->op_b);
    set(r, &p, CUBLASLT_MATMUL_DESC_EPILOGUE, &v->epilogue, sizeof v->epilogue);
    if (v->epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        set(r, &p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &dev->bias, sizeof dev->bias);
    if (v->extra == GELU_AUX || v->extra == DGELU) {
        set(r, &p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &dev->aux, sizeof dev->aux);
        set(r, &p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &s->rows, sizeof s->rows);
    }
    int trans_a = s->op_a == CUBLAS_OP_T;
    int trans_b = s->op_b == CUBLAS_OP_T;
    check(r, "layout of A",
          cublasLtMatrixLayoutCreate(&p.a, CUDA_R_16BF,
                                     (uint64_t)(trans_a ? s->depth : s->rows),
                                     (uint64_t)(trans_a ? s->rows : s->depth), s->lda));
    check(r, "layout of B",
          cublasLtMatrixLayoutCreate(&p.b, CUDA_R_16BF,
                                     (uint64_t)(trans_b ? s->columns : s->depth),
                                     (uint64_t)(trans_b ? s->depth : s->columns), s->ldb));
    check(r, "layout of the result",
          cublasLtMatrixLayoutCreate(&p.d, result, (uint64_t)s->rows, (uint64_t)s->columns,
                                     s->rows));
    return p;
}

static void free_plan(plan *p)
{
    cublasLtMatrixLayoutDestroy(p->a);
    cublasLtMatrixLayoutDestroy(p->b);
    cublasLtMatrixLayoutDestroy(p->d);
    cublasLtMatmulDescDestroy(p->desc);
}

static cublasStatus_t run(device *dev, const plan *p, const cublasLtMatmulHeuristicResult_t *h)
{
    float alpha = 1.0f;
    return cublasLtMatmul(dev->lt, p->desc, &alpha, dev->a, p->a, dev->b, p->b, &p->beta,
                          dev->d, p->d, dev->d, p->d, &h->algo, dev->workspace, WORKSPACE,
                          dev->stream);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Microseconds, the median of some runs; negative when the algorithm does not run. */
static double time_one(device *dev, const plan *p, const cublasLtMatmulHeuristicResult_t *h)
{
    float ms[TRIES];
    for (int i = -1; i < TRIES; i++) {
        check_cuda(dev->r, "event", cudaEventRecord(dev->begin, dev->stream));
        if (run(dev, p, h) != CUBLAS_STATUS_SUCCESS)
            return -1;
        check_cuda(dev->r, "event", cudaEventRecord(dev->end, dev->stream));
        check_cuda(dev->r, "the product", cudaEventSynchronize(dev->end));
        if (i >= 0)
            check_cuda(dev->r, "event", cudaEventElapsedTime(&ms[i], dev->begin, dev->end));
    }
    qsort(ms, TRIES, sizeof *ms, ascending);
    return (double)ms[TRIES / 2] * 1e3;
}

static int config(const cublasLtMatmulHeuristicResult_t *h,
                  cublasLtMatmulAlgoConfigAttributes_t attribute)
{
    int32_t value = -1;
    size_t written = 0;
    if (cublasLtMatmulAlgoConfigGetAttribute(&h->algo, attribute, &value, sizeof value,
                                             &written) != CUBLAS_STATUS_SUCCESS)
        return -1;
    return written == 2 ? (int)(value & 0xffff) : value;
}

/* |got - wanted| / |wanted| over some elements of a plain bf16 result. */
static double error_of(device *dev, const shape *s)
{
    int64_t step_a = s->op_a == CUBLAS_OP_T ? 1 : s->lda;
    int64_t row_a = s->op_a == CUBLAS_OP_T ? s->lda : 1;
    int64_t step_b = s->op_b == CUBLAS_OP_N ? 1 : s->ldb;
    int64_t column_b = s->op_b == CUBLAS_OP_N ? s->ldb : 1;
    double wrong = 0, size = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        int64_t row = i * 7919 % s->rows;
        int64_t column = (i * 104729 + 17) * 31 % s->columns;
        double sum = 0;
        for (int64_t k = 0; k < s->depth; k++)
            sum += (double)from_bf16(
                       dev->pattern_a[(size_t)(row * row_a + k * step_a) % PATTERN]) *
                   (double)from_bf16(
                       dev->pattern_b[(size_t)(column * column_b + k * step_b) % PATTERN]);
        uint16_t got = 0;
        check_cuda(
            dev->r, "cudaMemcpy",
            cudaMemcpy(&got, dev->d + (column * s->rows + row) * 2, 2, cudaMemcpyDeviceToHost));
        wrong += (from_bf16(got) - sum) * (from_bf16(got) - sum);
        size += sum * sum;
    }
    return sqrt(wrong / size);
}

static const char *const kinds[] = {"forward", "input gradient", "weight gradient"};

static void measure(device *dev, const product *p, const variant *v, int64_t batch)
{
    shape s = shape_of(p, batch);
    plan plan = make_plan(dev, &s, v);
    cublasLtMatmulHeuristicResult_t found[ALGORITHMS];
    cublasLtMatmulPreference_t preference;
    size_t workspace = WORKSPACE;
    int n = 0;
    check(dev->r, "preference", cublasLtMatmulPreferenceCreate(&preference));
    check(dev->r, "preference",
          cublasLtMatmulPreferenceSetAttribute(preference,
                                               CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, sizeof workspace));
    cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        dev->lt, plan.desc, plan.a, plan.b, plan.d, plan.d, preference, ALGORITHMS, found, &n);
    cublasLtMatmulPreferenceDestroy(preference);
    if (status != CUBLAS_STATUS_SUCCESS || n == 0) {
        report_add(dev->r, REPORT_SKIPPED,
                   "{\"name\": \"%s, %s, %s\", \"why\": \"no algorithm: %s\"}", p->name,
                   kinds[p->kind], v->name, cublasLtGetStatusString(status));
        free_plan(&plan);
        return;
    }
    double first = 0, best = -1;
    int winner = -1;
    for (int i = 0; i < n; i++) {
        double us = time_one(dev, &plan, &found[i]);
        first = i == 0 ? us : first;
        if (us > 0 && (best < 0 || us < best)) {
            best = us;
            winner = i;
        }
    }
    double error = -1;
    if (winner >= 0 && v->extra == PLAIN) {
        check_cuda(dev->r, "cudaMemset",
                   cudaMemset(dev->d, 0xff, (size_t)(s.rows * s.columns) * 2));
        check(dev->r, "cublasLtMatmul", run(dev, &plan, &found[winner]));
        check_cuda(dev->r, "the product", cudaStreamSynchronize(dev->stream));
        error = error_of(dev, &s);
        if (!(error < TOLERANCE))
            report_add(dev->r, REPORT_ERRORS,
                       "{\"name\": \"%s, %s\", \"error\": \"relative error %g\"}", p->name,
                       kinds[p->kind], error);
    }
    if (winner >= 0) {
        const cublasLtMatmulHeuristicResult_t *h = &found[winner];
        double tflops =
            2.0 * (double)s.rows * (double)s.columns * (double)s.depth / best * 1e-6;
        report_add(dev->r, REPORT_RESULTS,
                   "{\"name\": \"%s\", \"pass\": \"%s\", \"epilogue\": \"%s\", \"m\": %lld, "
                   "\"n\": %lld, \"k\": %lld, \"us\": %.1f, \"us_of_first\": %.1f, "
                   "\"tflops\": %.1f, \"share_of_peak\": %.3f, \"algorithms\": %d, "
                   "\"winner\": {\"place\": %d, \"id\": %d, \"tile\": %d, \"stages\": %d, "
                   "\"split_k\": %d, \"cluster\": %d, \"workspace\": %zu}%s%.2g}",
                   p->name, kinds[p->kind], v->name, (long long)s.rows, (long long)s.columns,
                   (long long)s.depth, best, first, tflops, tflops / PEAK_TFLOPS, n, winner,
                   config(h, CUBLASLT_ALGO_CONFIG_ID), config(h, CUBLASLT_ALGO_CONFIG_TILE_ID),
                   config(h, CUBLASLT_ALGO_CONFIG_STAGES_ID),
                   config(h, CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
                   config(h, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID), h->workspaceSize,
                   ", \"relative_error\": ", isfinite(error) ? error : -1);
    }
    free_plan(&plan);
}

int main(int argc, char **argv)
{
    report r;
    report_begin(&r, "gemm", argc, argv);
    int64_t batch = r.smoke ? 8 : BATCH;
    device dev = {.r = &r};
    allocate(&dev, batch);
    /* plain products first: when time runs out, it is epilogues that are missing */
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
                if ((variants[v].extra == PLAIN) != (pass == 0) ||
                    !is_wanted(&products[i], variants[v].extra))
                    continue;
                if (report_left(&r) < 2)
                    report_add(&r, REPORT_SKIPPED,
                               "{\"name\": \"%s, %s, %s\", \"why\": \"no time left\"}",
                               products[i].name, kinds[products[i].kind], variants[v].name);
                else
                    measure(&dev, &products[i], &variants[v], batch);
            }
    return 0;
}
