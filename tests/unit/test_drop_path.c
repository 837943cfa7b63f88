/* tests/unit/test_drop_path.c - stochastic depth: which branches are found, what factors do to
 * the network and to a step, and how they are drawn.
 *
 * The network has GML_BLOCKS blocks over tokens (N, GML_TOKENS, GML_DIM), each
 *
 *     y = x + tanh(x a) b        z = (y c) + y
 *
 * after a matrix that belongs to no block; the tests compute it themselves. */
#define _XOPEN_SOURCE 700

#include "api/classifier.h"
#include "data_files.h"
#include "eval/depth.h"
#include "eval/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GML_BLOCKS   3
#define GML_BRANCHES 4 /* of those the blocks but the first */
#define GML_SAMPLES  2
#define GML_TOKENS   3
#define GML_DIM      4
#define GML_NUMEL    (GML_SAMPLES * GML_TOKENS * GML_DIM)
#define GML_WEIGHTS  (1 + 3 * GML_BLOCKS)
#define GML_CLASSES  3
#define GML_DRAWS    20000
#define GML_RATE     0.01 /* of the optimizer */
#define GML_DECAY    0.5

typedef struct matrix {
    float v[GML_DIM * GML_DIM];
} matrix;

static const char *const weight_names[GML_WEIGHTS] = {
    "patch_embed.w", "blocks.0.a", "blocks.0.b", "blocks.0.c", "blocks.1.a",
    "blocks.1.b",    "blocks.1.c", "blocks.2.a", "blocks.2.b", "blocks.2.c"};

/* What all tests share: a folder with the network, and memory. */
typedef struct bench {
    const char *root;
    char path[256];
    gml_arena arena;
    gml_diags diags;
    gml_eval_context context;
} bench;

/* ---- the network ------------------------------------------------------------------------- */

static gml_value *times(gml_builder *b, gml_value *x, const char *name)
{
    gml_value *w = gml_builder_weight(b, name, GML_F32, 2, (int64_t[]){GML_DIM, GML_DIM},
                                      gml_fill_normal(0, 0.6));
    return gml_eval_binary(b, "MatMul", x, w);
}

/* x + 0.1 x tanh(x), which is a sum with what is computed from x, but not by weights. */
static gml_value *add_decoy(gml_builder *b, gml_value *x)
{
    gml_value *y = gml_eval_binary(b, "Mul", x, gml_eval_unary(b, "Tanh", x));
    gml_tensor tenth = {.dtype = GML_F32, .rank = 1, .dims = {1}, .data = (float[]){0.1F}};
    y = gml_eval_binary(b, "Mul", y, gml_builder_tensor(b, "blocks.9.tenth", &tenth, false));
    return gml_eval_binary(b, "Add", x, y);
}

/* With `is_outer` there is a sum around all blocks; else it has branches alone. */
static void save_network(const char *path, bool is_outer, gml_extent batch)
{
    const gml_extent dims[] = {batch, {GML_TOKENS}, {GML_DIM}};
    gml_builder *b = gml_builder_create("net", 20, 1);
    gml_value *x = gml_builder_input(b, "x", GML_F32, 3, dims);
    x = times(b, x, weight_names[0]);
    gml_value *before = x;
    for (int k = 0; k < GML_BLOCKS; k++) {
        const char *const *names = &weight_names[1 + 3 * k];
        gml_value *y = gml_eval_unary(b, "Tanh", times(b, x, names[0]));
        x = gml_eval_binary(b, "Add", x, times(b, y, names[1]));
        x = gml_eval_binary(b, "Add", times(b, x, names[2]), x);
    }
    if (is_outer)
        x = add_decoy(b, gml_eval_binary(b, "Add", before, x));
    gml_builder_output(b, x, "features");
    if (gml_builder_save(b, path, NULL) != GML_OK)
        fail_msg("%s", gml_builder_message(b));
    gml_builder_destroy(b);
}

/* out += factor f(x) w, a sample; `x` may be `out`. */
static void add_product(const double *x, const matrix *w, double factor, double *out)
{
    double sums[GML_TOKENS * GML_DIM] = {0};
    for (int t = 0; t < GML_TOKENS; t++)
        for (int j = 0; j < GML_DIM; j++)
            for (int i = 0; i < GML_DIM; i++)
                sums[t * GML_DIM + j] +=
                    factor * x[t * GML_DIM + i] * (double)w->v[i * GML_DIM + j];
    for (int i = 0; i < GML_TOKENS * GML_DIM; i++)
        out[i] += sums[i];
}

/* The features of one sample, whose branches have the factors at steps of GML_SAMPLES. */
static void compute(const float *x, const matrix *weights, const float *factors, double *out)
{
    double input[GML_TOKENS * GML_DIM];
    memset(out, 0, sizeof input);
    for (int i = 0; i < GML_TOKENS * GML_DIM; i++)
        input[i] = (double)x[i];
    add_product(input, &weights[0], 1, out);
    for (size_t k = 0; k < GML_BLOCKS; k++) {
        double y[GML_TOKENS * GML_DIM] = {0};
        const float *of_block = k > 0 ? &factors[(2 * k - 2) * GML_SAMPLES] : NULL;
        add_product(out, &weights[1 + 3 * k], 1, y);
        for (int i = 0; i < GML_TOKENS * GML_DIM; i++)
            y[i] = tanh(y[i]);
        add_product(y, &weights[2 + 3 * k], k > 0 ? (double)of_block[0] : 1, out);
        add_product(out, &weights[3 + 3 * k], k > 0 ? (double)of_block[GML_SAMPLES] : 1, out);
    }
}

/* ---- its training form ------------------------------------------------------------------- */

static gml_str write_form(bench *t, gml_drop_path *drop)
{
    gml_str bytes;
    gml_classifier options = {.no_token = true, .n_classes = GML_CLASSES, .drop = drop};
    gml_train_form form = {.trainer = {.kind = GML_TRAINER_ADAMW,
                                       .beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .epsilon = 1e-30,
                                       .decay = GML_DECAY,
                                       .accumulate = 1,
                                       .lr = GML_RATE,
                                       .total = 1}};
    gml_str_init(&bytes);
    if (gml_classifier_bytes(t->path, &options, &form, &bytes, &t->diags) != GML_OK)
        fail_msg("%s", gml_diags_print(&t->diags));
    return bytes;
}

static matrix read_weight(bench *t, const gml_eval_graph *graph, const char *name)
{
    gml_tensor w;
    matrix m;
    assert_int_equal(gml_eval_graph_state(graph, name, &w, &t->diags), GML_OK);
    memcpy(m.v, w.data, sizeof m.v);
    return m;
}

/* What a step and the network give. */
typedef struct outcome {
    matrix before[GML_WEIGHTS], after[GML_WEIGHTS];
    float loss, features[GML_NUMEL];
} outcome;

static float pictures[GML_NUMEL] = {1,    -0.5F, 0.3F,  2,     -1,   0.7F, 0.1F, -0.4F,
                                    0.2F, 0.9F,  -2,    0.6F,  0.5F, -1,   0.8F, 0.3F,
                                    1.4F, -0.2F, -0.6F, -0.1F, 1.1F, 0.4F, 0.7F, -1.2F};
static float targets[GML_SAMPLES * GML_CLASSES] = {0.5F, 0.3F, 0.2F, 0.1F, 0.9F, 0};

/* `factors` NULL: the form has none. */
static outcome run_form(bench *t, gml_str bytes, float *factors)
{
    outcome out;
    gml_eval_graph graph;
    gml_tensor inputs[3] = {{.dtype = GML_F32,
                             .rank = 3,
                             .dims = {GML_SAMPLES, GML_TOKENS, GML_DIM},
                             .data = pictures}};
    inputs[1] = gml_eval_view(GML_F32, GML_BRANCHES, GML_SAMPLES, factors);
    inputs[factors != NULL ? 2 : 1] = gml_eval_view(GML_F32, GML_SAMPLES, GML_CLASSES, targets);
    assert_int_equal(gml_eval_graph_wrap(&graph, bytes, true, &t->context), GML_OK);
    for (int i = 0; i < GML_WEIGHTS; i++)
        out.before[i] = read_weight(t, &graph, weight_names[i]);
    if (gml_eval_graph_run(&graph, GML_EVAL_RUN, inputs, &t->diags) != GML_OK)
        fail_msg("%s", gml_diags_print(&t->diags));
    size_t at = gml_eval_graph_output(&graph, GML_EVAL_RUN, "features");
    memcpy(out.features, graph.outputs[GML_EVAL_RUN][at].tensor.data, sizeof out.features);
    assert_int_equal(gml_eval_graph_run(&graph, GML_EVAL_STEP, inputs, &t->diags), GML_OK);
    at = gml_eval_graph_output(&graph, GML_EVAL_STEP, "loss");
    out.loss = *(const float *)graph.outputs[GML_EVAL_STEP][at].tensor.data;
    for (int i = 0; i < GML_WEIGHTS; i++)
        out.after[i] = read_weight(t, &graph, weight_names[i]);
    gml_eval_graph_close(&graph);
    return out;
}

/* ---- tests ------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    static bench t;
    t.root = data_files_create();
    snprintf(t.path, sizeof t.path, "%s/net.onnx", t.root);
    gml_arena_init(&t.arena);
    gml_diags_init(&t.diags, &t.arena);
    t.context = (gml_eval_context){
        .arena = &t.arena, .diags = &t.diags, .device = GML_DEVICE_REF, .n_threads = 1};
    *state = &t;
    return 0;
}

static int tear_down(void **state)
{
    bench *t = *state;
    gml_arena_reset(&t->arena);
    data_files_remove(t->root);
    return 0;
}

static void branches_of_later_blocks_are_found(void **state)
{
    bench *t = *state;
    static const double expected[GML_BRANCHES] = {0.2, 0.2, 0.4, 0.4};
    for (int outer = 0; outer < 2; outer++) {
        gml_drop_path drop = {.rate = 0.4};
        save_network(t->path, outer != 0, (gml_extent){GML_SAMPLES});
        gml_str bytes = write_form(t, &drop);
        gml_str_reset(&bytes);
        assert_int_equal(drop.n, GML_BRANCHES);
        for (int i = 0; i < GML_BRANCHES; i++)
            assert_true(fabs(drop.rates[i] - expected[i]) < 1e-12);
    }
}

static void an_open_batch_is_the_factors_too(void **state)
{
    bench *t = *state;
    gml_drop_path drop = {.rate = 0.4};
    float factors[GML_BRANCHES * GML_SAMPLES];
    save_network(t->path, false, (gml_extent){0, "batch"});
    gml_str bytes = write_form(t, &drop);
    assert_int_equal(drop.n, GML_BRANCHES);
    gml_depth_all(&drop, GML_SAMPLES, factors);
    (void)run_form(t, bytes, factors);
}

/* At a rate of 0, and without blocks, the form is what it is without any of this, byte by byte.
 */
static void without_a_rate_nothing_changes(void **state)
{
    bench *t = *state;
    gml_drop_path drop = {.rate = 0};
    save_network(t->path, true, (gml_extent){GML_SAMPLES});
    gml_str plain = write_form(t, NULL);
    gml_str still = write_form(t, &drop);
    assert_int_equal(drop.n, 0);
    assert_int_equal(plain.len, still.len);
    assert_memory_equal(plain.text, still.text, plain.len);
    gml_str_reset(&plain);
    gml_str_reset(&still);

    gml_builder *b = gml_builder_create("net", 20, 1);
    gml_value *x = gml_eval_matrix(b, "x", GML_F32, GML_SAMPLES, GML_DIM);
    gml_builder_output(b, gml_eval_binary(b, "Add", x, times(b, x, "layer.w")), "features");
    assert_int_equal(gml_builder_save(b, t->path, NULL), GML_OK);
    gml_builder_destroy(b);
    drop.rate = 0.4;
    plain = write_form(t, NULL);
    still = write_form(t, &drop);
    assert_int_equal(drop.n, 0);
    assert_int_equal(plain.len, still.len);
    assert_memory_equal(plain.text, still.text, plain.len);
    gml_str_reset(&plain);
    gml_str_reset(&still);
}

static void factors_of_one_change_nothing(void **state)
{
    bench *t = *state;
    gml_drop_path drop = {.rate = 0.4};
    float factors[GML_BRANCHES * GML_SAMPLES];
    save_network(t->path, false, (gml_extent){GML_SAMPLES});
    outcome plain = run_form(t, write_form(t, NULL), NULL);
    gml_str bytes = write_form(t, &drop);
    gml_depth_all(&drop, GML_SAMPLES, factors);
    outcome all = run_form(t, bytes, factors);
    assert_memory_equal(plain.features, all.features, sizeof plain.features);
    assert_true(plain.loss == all.loss);
    assert_memory_equal(plain.after, all.after, sizeof plain.after);
}

/* AdamW's first step moves each element by the rate, whatever its gradient is, and a weight
 * without a gradient by the decay alone. */
static void expect_moved(const matrix *before, const matrix *after, bool has_gradient)
{
    for (int i = 0; i < GML_DIM * GML_DIM; i++) {
        double moved = (double)after->v[i] - (double)before->v[i] * (1 - GML_RATE * GML_DECAY);
        assert_true(isfinite(moved));
        if (fabs(fabs(moved) - (has_gradient ? GML_RATE : 0)) > 1e-5)
            fail_msg("element %d moves by %g", i, moved);
    }
}

/* The second sample lacks a branch that the first has; both lack the last block's first one, so
 * that its weights, and only those, do not learn. */
static void branches_vanish_and_are_scaled(void **state)
{
    bench *t = *state;
    gml_drop_path drop = {.rate = 0.4};
    float factors[GML_BRANCHES * GML_SAMPLES] = {1.25F, 0, 1.25F, 1.25F, 0, 0, 0, 1 / 0.6F};
    save_network(t->path, false, (gml_extent){GML_SAMPLES});
    outcome out = run_form(t, write_form(t, &drop), factors);
    for (size_t s = 0; s < GML_SAMPLES; s++) {
        double expected[GML_TOKENS * GML_DIM];
        const size_t numel = (size_t)GML_TOKENS * GML_DIM;
        compute(&pictures[s * numel], out.before, factors + s, expected);
        for (size_t i = 0; i < numel; i++)
            if (fabs((double)out.features[s * numel + i] - expected[i]) > 1e-4)
                fail_msg("sample %zu: %g is not %g", s, (double)out.features[s * numel + i],
                         expected[i]);
    }
    assert_true(isfinite(out.loss));
    for (int i = 0; i < GML_WEIGHTS; i++) {
        bool is_out = i == 7 || i == 8; /* blocks.2.a and b */
        expect_moved(&out.before[i], &out.after[i], !is_out);
    }
}

static void factors_are_drawn_by_the_rates(void **state)
{
    (void)state;
    const int n = GML_DRAWS;
    static float first[3 * GML_DRAWS];
    static float second[3 * GML_DRAWS];
    double rates[3] = {0.05, 0.5, 1};
    const gml_drop_path drop = {.n = 3, .rates = rates};
    gml_rng rng;
    gml_rng_init(&rng, 1, 2, 3, GML_DRAW_DROP);
    gml_depth_draw(&drop, &rng, n, first);
    gml_rng_init(&rng, 1, 2, 3, GML_DRAW_DROP);
    gml_depth_draw(&drop, &rng, n, second);
    assert_memory_equal(first, second, sizeof first);
    gml_rng_init(&rng, 1, 2, 4, GML_DRAW_DROP);
    gml_depth_draw(&drop, &rng, n, second);
    assert_memory_not_equal(first, second, sizeof first);
    for (int k = 0; k < 3; k++) {
        int n_out = 0;
        for (int i = 0; i < n; i++) {
            n_out += first[k * n + i] == 0;
            assert_true(first[k * n + i] == 0 ||
                        first[k * n + i] == (float)(1 / (1 - rates[k])));
        }
        double error = sqrt(rates[k] * (1 - rates[k]) / n);
        assert_true(fabs((double)n_out / n - rates[k]) <= 5 * error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_of_later_blocks_are_found),
        cmocka_unit_test(an_open_batch_is_the_factors_too),
        cmocka_unit_test(without_a_rate_nothing_changes),
        cmocka_unit_test(factors_of_one_change_nothing),
        cmocka_unit_test(branches_vanish_and_are_scaled),
        cmocka_unit_test(factors_are_drawn_by_the_rates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
