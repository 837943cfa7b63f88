/* tests/unit/test_gpu_products.c - large products in bf16 on the emulator: as code for sm_90a,
 * by wgmma, and for sm_80.
 *
 * Operands are multiples of 1/16, so that every order of a sum is exact: elements that a plain
 * loop computes from where the test says the operands lie, and all elements of the other way,
 * are the same bits. */
#include "gpu_kernel.h"

typedef size_t place(size_t k, size_t side);

typedef struct product {
    graph_case graph; /* of %x, %z and maybe more */
    size_t m, k, n, batch;
    place *a, *b;     /* within a batch's operand; NULL: the other way alone is compared */
    unsigned columns; /* of a tile of 128 rows; 0: it is not wgmma's */
} product;

/* ---- where operands lie -------------------------------------------------------------------
 */

static const product *now;

static size_t a_along_k(size_t k, size_t m)
{
    return m * now->k + k;
}

static size_t a_along_m(size_t k, size_t m)
{
    return k * now->m + m;
}

static size_t b_along_n(size_t k, size_t n)
{
    return k * now->n + n;
}

static size_t b_along_k(size_t k, size_t n)
{
    return n * now->k + k;
}

/* (head, m, 64) */
static size_t a_by_heads(size_t k, size_t m)
{
    return (k / 64 * now->m + m) * 64 + k % 64;
}

static size_t a_by_heads_of_48(size_t k, size_t m)
{
    return (k / 48 * now->m + m) * 48 + k % 48;
}

/* (head, k, 64) */
static size_t b_by_heads(size_t k, size_t n)
{
    return (n / 64 * now->k + k) * 64 + n % 64;
}

/* ---- checks -------------------------------------------------------------------------------
 */

static double value_of(const built *b, const data *d, unsigned input, size_t at)
{
    float value = 0;
    size_t size = gml_dtype_size(b->kernel->inputs.items[input]->dtype);
    memcpy((char *)&value + 4 - size, (const char *)d->mems[input] + at * size, size);
    return (double)value;
}

/* Elements of all rows and columns that edges are at, and some of the others. */
static void check(const product *p, const built *b, const data *d)
{
    const float *out = d->mems[d->n_inputs];
    assert_non_null(out);
    for (size_t i = 0; i < p->batch * p->m; i++)
        for (size_t j = (i * 7) % 13; j<p->n; j += i % 128> 125 ? 1 : 13) {
            size_t batch = i / p->m;
            double sum = 0;
            for (size_t k = 0; k < p->k; k++)
                sum += value_of(b, d, 0, batch * p->m * p->k + p->a(k, i % p->m)) *
                       value_of(b, d, 1, batch * p->k * p->n + p->b(k, j));
            if (out[i * p->n + j] != (float)sum)
                fail_msg("%s: element %zu, %zu is %g, not %g", p->graph.name, i, j,
                         (double)out[i * p->n + j], sum);
        }
}

static const gml_code_phase *last_phase(const built *b)
{
    return &b->code.phases[b->code.n_phases - 1];
}

/* The old way in plain order, the new one in others, with copies early or late. */
static void check_product(const product *p, bool early)
{
    graph_case old_way = p->graph;
    gml_module *module = parse(&p->graph);
    built b[2] = {0};
    data d[2];
    const gml_emu_options options[2] = {
        {.order = early ? GML_EMU_REVERSE : GML_EMU_MIXED, .seed = 3, .early = early}, {0}};
    old_way.cpu = "sm_80";
    now = p;
    build(&b[0], &p->graph, module, 0);
    build(&b[1], &old_way, module, 0);
    assert_int_equal(last_phase(&b[0])->launch.n_maps, p->columns ? 2 : 0);
    assert_int_equal(last_phase(&b[1])->launch.n_maps, 0);
    unsigned stages = p->columns > 128 ? 4 : 3;
    if (p->columns)
        assert_int_equal(last_phase(&b[0])->launch.shared,
                         1024 + stages * 128 * (128 + p->columns));
    for (unsigned i = 0; i < 2; i++) {
        unsigned n_inputs = (unsigned)b[i].kernel->inputs.count;
        data_init(&d[i], &b[i], n_inputs);
        if (run(&b[i], &d[i], &options[i], 3) != GML_OK)
            fail_msg("%s: %s", p->graph.name, gml_diags_print(&b[i].diags));
    }
    unsigned y = d[0].n_inputs;
    if (p->a)
        check(p, &b[0], &d[0]);
    assert_memory_equal(d[0].mems[y], d[1].mems[y], d[0].bytes[y]);
    for (unsigned i = 0; i < 2; i++) {
        data_reset(&d[i]);
        built_reset(&b[i]);
    }
    gml_module_destroy(module);
}

/* ---- products -----------------------------------------------------------------------------
 */

#define TEXT(params, nodes)                                                                    \
    "graph @f(" params ") {\n  %xf = Cast(%x) {to = 1}\n  %zf = Cast(%z) {to = 1}\n" nodes     \
    "  return %y\n}\n"

static const product plain[] = {
    {.graph = {.name = "79 tokens, 3072 columns",
               .text = TEXT("%x: bf16[711,40], %z: bf16[40,3072]", "  %y = MatMul(%xf, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 711,
     .k = 40,
     .n = 3072,
     .batch = 1,
     .a = a_along_k,
     .b = b_along_n,
     .columns = 128},
    {.graph = {.name = "197 tokens, 768 columns",
               .text = TEXT("%x: bf16[5713,40], %z: bf16[40,768]", "  %y = MatMul(%xf, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 5713,
     .k = 40,
     .n = 768,
     .batch = 1,
     .a = a_along_k,
     .b = b_along_n,
     .columns = 256},
    {.graph = {.name = "275 tokens, 2304 columns, along k",
               .text = TEXT("%x: bf16[1375,72], %z: bf16[2304,72]",
                            "  %t = Transpose(%zf) {perm = [1, 0]}\n  %y = MatMul(%xf, %t)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 1375,
     .k = 72,
     .n = 2304,
     .batch = 1,
     .a = a_along_k,
     .b = b_along_k,
     .columns = 128},
    {.graph = {.name = "256 columns along k",
               .text = TEXT("%x: bf16[5640,24], %z: bf16[768,24]",
                            "  %t = Transpose(%zf) {perm = [1, 0]}\n  %y = MatMul(%xf, %t)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 5640,
     .k = 24,
     .n = 768,
     .batch = 1,
     .a = a_along_k,
     .b = b_along_k,
     .columns = 256},
    {.graph = {.name = "a weight's gradient of 79 tokens",
               .text = TEXT("%x: bf16[79,768], %z: bf16[79,3072]",
                            "  %t = Transpose(%xf) {perm = [1, 0]}\n  %y = MatMul(%t, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 768,
     .k = 79,
     .n = 3072,
     .batch = 1,
     .a = a_along_m,
     .b = b_along_n,
     .columns = 128},
    {.graph = {.name = "a weight's gradient, 256 columns",
               .text = TEXT("%x: bf16[50,5640], %z: bf16[50,768]",
                            "  %t = Transpose(%xf) {perm = [1, 0]}\n  %y = MatMul(%t, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 5640,
     .k = 50,
     .n = 768,
     .batch = 1,
     .a = a_along_m,
     .b = b_along_n,
     .columns = 256},
    {.graph =
         {.name = "rows along m, columns along k",
          .text = TEXT(
              "%x: bf16[56,2816], %z: bf16[776,56]",
              "  %t = Transpose(%xf) {perm = [1, 0]}\n  %u = Transpose(%zf) {perm = [1, 0]}\n"
              "  %y = MatMul(%t, %u)\n"),
          .precision = GML_PRECISION_MEDIUM},
     .m = 2816,
     .k = 56,
     .n = 776,
     .batch = 1,
     .a = a_along_m,
     .b = b_along_k,
     .columns = 128},
    {.graph = {.name = "a batch",
               .text = TEXT("%x: bf16[36,130,64], %z: bf16[36,64,136]",
                            "  %y = MatMul(%xf, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 130,
     .k = 64,
     .n = 136,
     .batch = 36,
     .a = a_along_k,
     .b = b_along_n,
     .columns = 128},
};

static const product cut[] = {
    {.graph = {.name = "heads of 64 along k",
               .text =
                   TEXT("%x: bf16[2,2817,64], %z: bf16[128,768]",
                        "  %t = Transpose(%xf) {perm = [1, 0, 2]}\n"
                        "  %s = Constant {value = i64[2]{2817, 128}}\n  %r = Reshape(%t, %s)\n"
                        "  %y = MatMul(%r, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 2817,
     .k = 128,
     .n = 768,
     .batch = 1,
     .a = a_by_heads,
     .b = b_along_n,
     .columns = 128},
    {.graph = {.name = "heads of 64 along n",
               .text =
                   TEXT("%x: bf16[2817,40], %z: bf16[12,40,64]",
                        "  %t = Transpose(%zf) {perm = [1, 0, 2]}\n"
                        "  %s = Constant {value = i64[2]{40, 768}}\n  %r = Reshape(%t, %s)\n"
                        "  %y = MatMul(%xf, %r)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 2817,
     .k = 40,
     .n = 768,
     .batch = 1,
     .a = a_along_k,
     .b = b_by_heads,
     .columns = 128},
    {.graph = {.name = "heads of 48, which are in no box",
               .text =
                   TEXT("%x: bf16[2,2817,48], %z: bf16[96,768]",
                        "  %t = Transpose(%xf) {perm = [1, 0, 2]}\n"
                        "  %s = Constant {value = i64[2]{2817, 96}}\n  %r = Reshape(%t, %s)\n"
                        "  %y = MatMul(%r, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 2817,
     .k = 96,
     .n = 768,
     .batch = 1,
     .a = a_by_heads_of_48,
     .b = b_along_n},
    {.graph = {.name = "operands that are written, edges everywhere, an epilogue",
               .text = TEXT("%x: f32[2500,37], %z: f32[37,775], %b: f32[775]",
                            "  %m = MatMul(%xf, %zf)\n  %s = Add(%m, %b)\n  %y = Gelu(%s)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 2500,
     .k = 37,
     .n = 775,
     .batch = 1,
     .columns = 128},
    {.graph = {.name = "one operand for a part of the batch",
               .text =
                   TEXT("%x: bf16[8,9,130,64], %z: bf16[9,64,72]", "  %y = MatMul(%xf, %zf)\n"),
               .precision = GML_PRECISION_MEDIUM},
     .m = 130,
     .k = 64,
     .n = 72,
     .batch = 72,
     .columns = 128},
};

static void plain_products_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(plain); i++)
        check_product(&plain[i], i % 2);
}

static void cut_products_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cut); i++)
        check_product(&cut[i], i % 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_products_are_right),
        cmocka_unit_test(cut_products_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
