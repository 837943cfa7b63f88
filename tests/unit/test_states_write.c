/* tests/unit/test_states_write.c - of a checkpoint alone a network can be made again. */
#define _XOPEN_SOURCE 700

#include "api/safetensors.h"
#include "api/session.h"
#include "api/states.h"
#include "api/train_form.h"
#include "data_files.h"
#include "models/models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GML_SIZE 32 /* of pictures */

enum { GML_MODEL, GML_CHECKPOINT, GML_AGAIN, GML_PATHS };
static char paths[GML_PATHS][128];

/* A vision transformer; with weights its size is theirs. */
static void make_model(gml_weights *weights, const char *path)
{
    static const gml_setting settings[] = {{"patch", "8"}}; /* the rest is the variant's */
    gml_network_options options = {.variant = weights == NULL ? "ti16" : NULL,
                                   .batch = {.value = 1},
                                   .image_size = GML_SIZE,
                                   .no_head = true,
                                   .opset = 20,
                                   .weights = weights,
                                   .settings = settings,
                                   .n_settings = weights == NULL ? 1 : 0};
    gml_builder *b = gml_builder_create("vit", 20, 5);
    gml_network_find("vit")->build(b, &options);
    if (gml_builder_save(b, path, NULL) != GML_OK)
        fail_msg("%s", gml_builder_message(b));
    gml_builder_destroy(b);
}

/* A training of some weights, not begun. */
static void save_checkpoint(gml_diags *diags)
{
    static const char *const frozen[] = {"patch_embed.*", "pos_embed", "blocks.0.*"};
    gml_train_form form = {.loss = "features", .freeze = frozen, .n_freeze = 3};
    form.trainer =
        (gml_trainer_options){.kind = GML_TRAINER_SGD, .lr = 1, .accumulate = 1, .total = 1};
    gml_open_options open = {.entry = GML_ONNX_FIXED, .form = &form, .device = GML_DEVICE_REF};
    gml_model *model = NULL;
    gml_session *session = NULL;
    gml_status status = gml_model_open(paths[GML_MODEL], &open, &model, diags);
    if (status == GML_OK)
        status = gml_session_open(model, NULL, &session, diags);
    if (status == GML_OK)
        status =
            gml_states_write(model, gml_session_states(session), paths[GML_CHECKPOINT], diags);
    if (status != GML_OK)
        fail_msg("%s", gml_diags_print(diags));
    gml_session_destroy(session);
    gml_model_release(model);
}

static void expect_same_bytes(const char *x, const char *y, gml_diags *diags)
{
    gml_file a;
    gml_file b;
    assert_int_equal(gml_file_map(x, &a, diags), GML_OK);
    assert_int_equal(gml_file_map(y, &b, diags), GML_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    gml_file_unmap(&a);
    gml_file_unmap(&b);
}

static const char *text_of(const gml_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->n_texts; i++)
        if (strcmp(file->texts[i].key, key) == 0)
            return file->texts[i].value;
    return "";
}

static void test_checkpoint(void **state)
{
    (void)state;
    const char *root = data_files_create();
    static const char *const names[] = {"m.onnx", "c.safetensors", "a.onnx"};
    gml_arena arena;
    gml_diags diags;
    gml_safetensors file;
    for (int i = 0; i < GML_PATHS; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", root, names[i]);
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    make_model(NULL, paths[GML_MODEL]);
    save_checkpoint(&diags);

    assert_int_equal(gml_safetensors_open(paths[GML_CHECKPOINT], &file, &diags), GML_OK);
    assert_non_null(gml_safetensors_find(&file, "pos_embed"));               /* frozen */
    assert_non_null(gml_safetensors_find(&file, "blocks.1.mlp.fc1.weight")); /* a state */
    assert_non_null(gml_safetensors_find(&file, "step"));
    assert_null(gml_safetensors_find(&file, "blocks.0.attn.scale")); /* a number */
    assert_string_equal(text_of(&file, "gemel.heads"), "3");
    assert_non_null(strstr(text_of(&file, "gemel.transposed"), "blocks.11.attn.proj.weight\n"));
    for (size_t i = 0; i < file.n_tensors; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(file.tensors[i].name, file.tensors[k].name);
    gml_safetensors_close(&file);

    gml_weights *weights = gml_weights_open(paths[GML_CHECKPOINT]);
    gml_weights_map(weights, &(gml_weights_mapping){.map = NULL});
    const gml_weight *square = gml_weights_find(weights, "blocks.0.attn.proj.weight");
    assert_non_null(square);
    assert_true(square->is_turned); /* which its bias does not tell */
    make_model(weights, paths[GML_AGAIN]);
    gml_weights_close(weights);
    expect_same_bytes(paths[GML_MODEL], paths[GML_AGAIN], &diags);
    gml_arena_reset(&arena);
    data_files_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_checkpoint)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
