/* tests/unit/test_finetune.c - what is done to batches, and a classifier's first step. */
#define _XOPEN_SOURCE 700

#include "api/classifier.h"
#include "data_files.h"
#include "eval/graph.h"
#include "eval/mixing.h"
#include "gemel/build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GML_N       6 /* pictures of a batch */
#define GML_SIZE    16
#define GML_NUMEL   (3 * GML_SIZE * GML_SIZE)
#define GML_CLASSES 4

static void expect_near(double found, double expected, double limit)
{
    if (!(fabs(found - expected) <= limit))
        fail_msg("%.9g is not %.9g", found, expected);
}

/* Picture i is i everywhere, its class i mod 4. */
typedef struct batch {
    float pictures[GML_N * GML_NUMEL];
    float targets[GML_N * GML_CLASSES];
    int64_t labels[GML_N];
} batch;

static void mix(batch *b, const gml_mixing *mixing, uint32_t epoch)
{
    gml_rng rng;
    gml_batch_view view = {b->pictures, b->labels, b->targets, GML_N, GML_SIZE, GML_CLASSES};
    for (int i = 0; i < GML_N * GML_NUMEL; i++)
        b->pictures[i] = (float)(i / GML_NUMEL);
    for (int i = 0; i < GML_N; i++)
        b->labels[i] = i % GML_CLASSES;
    gml_rng_init(&rng, 3, epoch, 0, GML_DRAW_EVAL);
    gml_mixing_apply(mixing, &rng, &view);
}

/* Targets of picture i when `share` of it is its own. */
static void expect_targets(const batch *b, int i, double share, double smoothing)
{
    for (int k = 0; k < GML_CLASSES; k++) {
        double own = i % GML_CLASSES == k ? share : 0;
        double other = (GML_N - 1 - i) % GML_CLASSES == k ? 1 - share : 0;
        double expected = smoothing / GML_CLASSES + (1 - smoothing) * (own + other);
        expect_near(b->targets[i * GML_CLASSES + k], expected, 1e-6);
    }
}

static void nothing_but_targets(void **state)
{
    (void)state;
    batch b;
    mix(&b, &(gml_mixing){.smoothing = 0.2}, 0);
    for (int i = 0; i < GML_N; i++) {
        expect_targets(&b, i, 1, 0.2);
        for (int k = 0; k < GML_NUMEL; k++)
            expect_near(b.pictures[i * GML_NUMEL + k], i, 0);
    }
}

static void mixup_adds_partners(void **state)
{
    (void)state;
    batch b;
    double least = 1;
    double most = 0;
    for (uint32_t epoch = 0; epoch < 40; epoch++) {
        mix(&b, &(gml_mixing){.smoothing = 0.1, .mixup = 0.8}, epoch);
        double share = 1 - b.pictures[0] / (GML_N - 1); /* picture 0 and its partner, 5 */
        least = fmin(least, share);
        most = fmax(most, share);
        for (int i = 0; i < GML_N; i++) {
            double expected = share * i + (1 - share) * (GML_N - 1 - i);
            expect_targets(&b, i, share, 0.1);
            for (int k = 0; k < GML_NUMEL; k++)
                expect_near(b.pictures[i * GML_NUMEL + k], expected, 1e-5);
        }
    }
    assert_true(least < 0.2 && most > 0.8);
}

static void cutmix_exchanges_a_box(void **state)
{
    (void)state;
    batch b;
    int n_changed = 0;
    for (uint32_t epoch = 0; epoch < 40; epoch++) {
        mix(&b, &(gml_mixing){.cutmix = 1}, epoch);
        int n_other = 0;
        int bounds[4] = {GML_SIZE, -1, GML_SIZE, -1};
        for (int k = 0; k < GML_SIZE * GML_SIZE; k++) {
            bool is_other = b.pictures[k] != 0;
            int row = k / GML_SIZE;
            int column = k % GML_SIZE;
            n_other += is_other;
            for (int i = 0; i < GML_N; i++)
                for (int c = 0; c < 3; c++)
                    expect_near(b.pictures[i * GML_NUMEL + c * GML_SIZE * GML_SIZE + k],
                                is_other ? GML_N - 1 - i : i, 0);
            if (!is_other)
                continue;
            bounds[0] = row < bounds[0] ? row : bounds[0];
            bounds[1] = row > bounds[1] ? row : bounds[1];
            bounds[2] = column < bounds[2] ? column : bounds[2];
            bounds[3] = column > bounds[3] ? column : bounds[3];
        }
        if (n_other > 0)
            assert_int_equal(n_other,
                             (bounds[1] - bounds[0] + 1) * (bounds[3] - bounds[2] + 1));
        for (int i = 0; i < GML_N; i++)
            expect_targets(&b, i, 1 - (double)n_other / (GML_SIZE * GML_SIZE), 0);
        n_changed += n_other > 0;
    }
    assert_in_range(n_changed, 20, 40);
}

static void erasing_makes_a_box_of_noise(void **state)
{
    (void)state;
    batch b;
    int n_erased = 0;
    double sum = 0;
    double squares = 0;
    int n = 0;
    for (uint32_t epoch = 0; epoch < 40; epoch++) {
        mix(&b, &(gml_mixing){.erase = 0.25}, epoch);
        for (int i = 0; i < GML_N; i++) {
            int count = 0;
            for (int k = 0; k < GML_NUMEL; k++) {
                double value = b.pictures[i * GML_NUMEL + k];
                if (value == i)
                    continue;
                count++;
                sum += value;
                squares += value * value;
            }
            n += count;
            n_erased += count > 0;
            assert_int_equal(count % 3, 0);
            assert_in_range(count, 0, GML_NUMEL * 4 / 10);
            expect_targets(&b, i, 1, 0);
        }
    }
    assert_in_range(n_erased, 40, 80); /* of 240, a quarter */
    expect_near(sum / n, 0, 0.05);
    expect_near(squares / n, 1, 0.05);
}

/* ---- the classifier ---------------------------------------------------------------------- */

#define GML_DIM 4

static gml_value *matrix(gml_builder *b, const char *name)
{
    return gml_builder_weight(b, name, GML_F32, 2, (int64_t[]){GML_DIM, GML_DIM},
                              gml_fill_normal(0, 1));
}

/* Two weights of a "transformer" of one block. */
static void save_backbone(const char *path)
{
    gml_builder *b = gml_builder_create("net", 20, 1);
    gml_value *x = gml_eval_matrix(b, "x", GML_F32, 2, GML_DIM);
    x = gml_eval_binary(b, "MatMul", x, matrix(b, "patch_embed.w"));
    x = gml_eval_unary(b, "Tanh", x);
    x = gml_eval_binary(b, "MatMul", x, matrix(b, "blocks.0.w"));
    gml_builder_output(b, x, "features");
    if (gml_builder_save(b, path, NULL) != GML_OK)
        fail_msg("%s", gml_builder_message(b));
    gml_builder_destroy(b);
}

/* AdamW's first step moves each element by rate and scale in the direction of its gradient,
 * whatever that is, and by the decay. */
static void expect_move(const float *before, const float *after, int n, double rate,
                        double decay)
{
    for (int i = 0; i < n; i++) {
        double moved = after[i] - before[i] * (1 - rate * decay);
        expect_near(fabs(moved), rate, 1e-4 * rate + 1e-7);
    }
}

static void first_step(const gml_eval_context *context, const char *path)
{
    static const char *const undecayed[] = {"patch_*"};
    static const char *const absent[] = {"pos_embed"};
    gml_classifier options = {.n_classes = 3, .seed = 2};
    gml_train_form form = {.layer_decay = 0.5,
                           .no_decay = undecayed,
                           .n_no_decay = 1,
                           .freeze = absent,
                           .n_freeze = 1};
    form.trainer = (gml_trainer_options){.kind = GML_TRAINER_ADAMW,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .epsilon = 1e-30,
                                         .decay = 0.5,
                                         .accumulate = 1,
                                         .lr = 0.01,
                                         .total = 1};
    static const char *const names[] = {"head.weight", "blocks.0.w", "patch_embed.w"};
    static const double scales[] = {1, 0.5, 0.25};
    static const double decays[] = {0.5, 0.5, 0};
    float before[3][16];
    float x[2 * GML_DIM] = {1, -0.5F, 0.3F, 2, -1, 0.7F, 0.1F, -0.4F};
    float target[2 * 3] = {0.5F, 0.3F, 0.7F, 0.1F, 0.9F, 0.2F};
    gml_eval_graph graph;
    gml_str bytes;
    gml_str_init(&bytes);
    assert_int_equal(gml_classifier_bytes(path, &options, &form, &bytes, context->diags),
                     GML_OK);
    assert_int_equal(gml_eval_graph_wrap(&graph, bytes, true, context), GML_OK);
    for (int i = 0; i < 3; i++) {
        gml_tensor w;
        assert_int_equal(gml_eval_graph_state(&graph, names[i], &w, context->diags), GML_OK);
        memcpy(before[i], w.data, (size_t)gml_tensor_numel(&w) * sizeof(float));
    }
    const gml_tensor inputs[] = {gml_eval_view(GML_F32, 2, GML_DIM, x),
                                 gml_eval_view(GML_F32, 2, 3, target)};
    assert_int_equal(gml_eval_graph_run(&graph, GML_EVAL_STEP, inputs, context->diags), GML_OK);
    size_t at = gml_eval_graph_output(&graph, GML_EVAL_STEP, "loss");
    float loss = *(const float *)graph.outputs[GML_EVAL_STEP][at].tensor.data;
    expect_near(loss, log(3) * (0.5 + 0.3 + 0.7 + 0.1 + 0.9 + 0.2) / 2, 1e-3);
    for (int i = 0; i < 3; i++) {
        gml_tensor w;
        assert_int_equal(gml_eval_graph_state(&graph, names[i], &w, context->diags), GML_OK);
        expect_move(before[i], w.data, (int)gml_tensor_numel(&w), 0.01 * scales[i], decays[i]);
    }
    assert_int_equal(gml_eval_graph_run(&graph, GML_EVAL_RUN, inputs, context->diags), GML_OK);
    at = gml_eval_graph_output(&graph, GML_EVAL_RUN, "logits");
    assert_int_equal(graph.outputs[GML_EVAL_RUN][at].tensor.dims[1], 3);
    gml_eval_graph_close(&graph);
}

static void a_classifier_trains(void **state)
{
    (void)state;
    const char *root = data_files_create();
    char path[256];
    gml_arena arena;
    gml_diags diags;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_eval_context context = {
        .arena = &arena, .diags = &diags, .device = GML_DEVICE_REF, .n_threads = 1};
    snprintf(path, sizeof path, "%s/net.onnx", root);
    save_backbone(path);
    first_step(&context, path);
    gml_str bytes;
    gml_str_init(&bytes);
    gml_train_form form = {.layer_decay = 1};
    gml_classifier options = {.output = "nothing", .n_classes = 3};
    assert_int_equal(gml_classifier_bytes(path, &options, &form, &bytes, &diags), GML_E_USAGE);
    assert_int_equal(bytes.len, 0);
    gml_str_reset(&bytes);
    gml_arena_reset(&arena);
    data_files_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_but_targets),
        cmocka_unit_test(mixup_adds_partners),
        cmocka_unit_test(cutmix_exchanges_a_box),
        cmocka_unit_test(erasing_makes_a_box_of_noise),
        cmocka_unit_test(a_classifier_trains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
