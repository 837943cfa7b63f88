/* passes/tiles.c - which products a GPU computes on tensor cores. */
#include "passes/tiles.h"

/* As in codegen/llvm/gpu_gemm.c, gpu.c and contract.c. */
#define GML_MIN_SIDE       16
#define GML_MIN_DEPTH      4
#define GML_MIN_PRODUCTS   16384
#define GML_SMALL_TILE     64
#define GML_LARGE_TILE     128
#define GML_BUSY_BLOCKS    132
#define GML_WANTED_BLOCKS  528
#define GML_SPLIT_PRODUCTS 512

/* Fewer matrices than these are no stage of an attention (passes/stage.c). */
#define GML_MIN_UNITS 8

typedef struct product {
    int64_t m, n, k, batch;
} product;

int64_t gml_known_elements(const gml_type *type)
{
    int64_t n = 1;
    if (type->kind != GML_TYPE_TENSOR || type->rank < 0)
        return -1;
    for (int d = 0; d < type->rank; d++)
        if (!gml_dim_is_const(type->dims[d]) || __builtin_mul_overflow(n, type->dims[d], &n))
            return -1;
    return n;
}

static int64_t count_leading(const gml_type *type, int last)
{
    int64_t n = 1;
    for (int d = 0; d < type->rank - last; d++)
        n *= type->dims[d];
    return n;
}

/* Rows of all matrices are one long side where the right one is the same for all. */
static bool find_matmul(const gml_node *node, product *p, gml_tiles *out)
{
    const gml_type *a = &node->operands[0]->type;
    const gml_type *b = &node->operands[1]->type;
    const gml_type *y = &node->results[0].type;
    if (a->rank < 2 || b->rank < 2)
        return false;
    *p = (product){.n = b->dims[b->rank - 1], .k = a->dims[a->rank - 1]};
    if (b->rank == 2) {
        p->m = count_leading(a, 1);
        p->batch = 1;
    } else {
        p->m = a->dims[a->rank - 2];
        p->batch = count_leading(y, 2);
        out->is_batched = a->rank > 2 && p->batch >= GML_MIN_UNITS;
    }
    return true;
}

static bool find_gemm(const gml_node *node, product *p)
{
    const gml_type *a = &node->operands[0]->type;
    const gml_type *y = &node->results[0].type;
    if (a->rank != 2 || y->rank != 2)
        return false;
    bool turned = gml_node_int(node, "transA", 0) != 0;
    *p = (product){y->dims[0], y->dims[1], a->dims[turned ? 0 : 1], 1};
    return true;
}

/* Channels by pixels, for each image. */
static bool find_conv(const gml_node *node, product *p, gml_tiles *out)
{
    const gml_type *w = &node->operands[1]->type;
    const gml_type *y = &node->results[0].type;
    if (w->rank < 3 || y->rank != w->rank || gml_node_int(node, "group", 1) != 1)
        return false;
    *p = (product){.m = y->dims[1], .n = 1, .k = 1, .batch = y->dims[0]};
    for (int d = 1; d < w->rank; d++)
        p->k *= w->dims[d];
    for (int d = 2; d < y->rank; d++)
        p->n *= y->dims[d];
    out->n_windows = p->k != w->dims[1];
    return true;
}

static double tiles_of(const product *p, int64_t side)
{
    int64_t down = (p->m + side - 1) / side;
    int64_t across = (p->n + side - 1) / side;
    return (double)down * (double)across * (double)p->batch;
}

static int64_t largest_divisor(int64_t n, int64_t limit)
{
    for (int64_t d = limit < n ? limit : n; d > 1; d--)
        if (n % d == 0)
            return d;
    return 1;
}

/* A long sum with few tiles is cut into parts, which are a batch then. */
static bool is_streamed(const product *p)
{
    double large = tiles_of(p, GML_LARGE_TILE);
    double small = tiles_of(p, GML_SMALL_TILE);
    if (p->m <= GML_SMALL_TILE || p->n <= GML_SMALL_TILE)
        return false;
    if (large >= GML_BUSY_BLOCKS || small >= GML_BUSY_BLOCKS)
        return large >= GML_BUSY_BLOCKS;
    int64_t wanted = GML_WANTED_BLOCKS / (int64_t)small;
    int64_t most = p->k / GML_SPLIT_PRODUCTS;
    int64_t parts = largest_divisor(p->k, wanted < most ? wanted : most);
    return parts > 1 && large * (double)parts >= GML_BUSY_BLOCKS;
}

bool gml_tiles_find(const gml_node *node, gml_tiles *out)
{
    product p;
    bool found = false;
    *out = (gml_tiles){.is_batched = false};
    if (node->n_results != 1 || !gml_has_operand(node, 0) || !gml_has_operand(node, 1) ||
        gml_known_elements(&node->results[0].type) <= 0)
        return false;
    for (uint32_t k = 0; k < 2; k++)
        if (node->operands[k]->type.dtype != GML_F32 ||
            gml_known_elements(&node->operands[k]->type) <= 0)
            return false;
    if (node->op == &gml_op_matmul)
        found = find_matmul(node, &p, out);
    else if (node->op == &gml_op_gemm)
        found = find_gemm(node, &p);
    else if (node->op == &gml_op_conv)
        found = find_conv(node, &p, out);
    if (!found || p.m < GML_MIN_SIDE || p.n < GML_MIN_SIDE || p.k < GML_MIN_DEPTH ||
        (double)p.m * (double)p.n * (double)p.k < GML_MIN_PRODUCTS)
        return false;
    out->is_streamed = !out->is_batched && is_streamed(&p);
    return true;
}
