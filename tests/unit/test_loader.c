/* tests/unit/test_loader.c - batches: the same for any number of threads, what is in them, bad
 * pictures, stopping. */
#define _XOPEN_SOURCE 700

#include "base/map.h"
#include "data/geometry.h"
#include "data/loader.h"
#include "data/sample.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

typedef struct fixture {
    char *root;
    gml_arena arena;
    gml_diags diags;
    gml_dataset *dataset;
    gml_loader_options options;
    gml_loader *loader;
} fixture;

/* `n` pictures p00.ppm … of different sizes; views of 32 pixels with 4 x 4 patches. */
static void begin(fixture *f, int n)
{
    *f = (fixture){.root = data_files_create()};
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%02d.ppm", i);
        data_write_picture(f->root, name, 20 + i % 7, 60 - i, (unsigned)i);
    }
    f->options = gml_loader_siameseim(4);
    f->options.views[0].size = 32;
    f->options.views[1].size = 32;
    f->options.mask = gml_mask_siameseim(4);
    f->options.seed = 9;
}

static void open_it(fixture *f)
{
    if (f->dataset == NULL)
        assert_int_equal(gml_dataset_open(f->root, &f->dataset, &f->diags), GML_OK);
    assert_int_equal(gml_loader_open(f->dataset, &f->options, &f->loader, &f->diags), GML_OK);
}

static void close_it(fixture *f)
{
    gml_loader_close(f->loader);
    f->loader = NULL;
}

static void end(fixture *f)
{
    close_it(f);
    gml_dataset_close(f->dataset);
    data_files_remove(f->root);
    gml_arena_reset(&f->arena);
}

static const gml_batch *next(fixture *f)
{
    const gml_batch *batch = NULL;
    assert_int_equal(gml_loader_next(f->loader, &batch, &f->diags), GML_OK);
    return batch;
}

/* A number for all that a batch holds. */
static uint64_t hash_batch(const gml_batch *batch)
{
    uint64_t hash = batch->epoch * 1000u + batch->number;
    for (int i = 0; i < batch->n_tensors; i++) {
        const gml_tensor *t = &batch->tensors[i];
        size_t size = (size_t)gml_tensor_numel(t) * gml_dtype_size(t->dtype);
        hash = gml_hash_bytes(t->data, size, hash);
    }
    hash = gml_hash_bytes(batch->indices, (size_t)batch->count * sizeof(uint32_t), hash);
    return gml_hash_bytes(batch->classes, (size_t)batch->count * sizeof(int64_t), hash);
}

static void batches_do_not_depend_on_threads(void **state)
{
    (void)state;
    enum { N = 13 };
    static const int workers[] = {1, 2, 5};
    uint64_t first[N];
    for (size_t k = 0; k < 3; k++) {
        fixture f;
        begin(&f, 19); /* 4 batches an epoch, 3 pictures left over */
        f.options.n_workers = workers[k];
        f.options.ahead = k == 1 ? 1 : 3;
        open_it(&f);
        assert_int_equal(gml_loader_batches(f.loader), 4);
        for (int i = 0; i < N; i++) {
            const gml_batch *batch = next(&f);
            assert_int_equal(batch->epoch, i / 4);
            assert_int_equal(batch->number, i % 4);
            uint64_t hash = hash_batch(batch);
            if (k == 0)
                first[i] = hash;
            assert_int_equal(hash, first[i]);
        }
        end(&f);
    }
    for (int i = 0; i < N; i++) /* and each is another */
        for (int j = 0; j < i; j++)
            assert_int_not_equal(first[i], first[j]);
}

static void loading_goes_on_where_it_stopped(void **state)
{
    (void)state;
    fixture f;
    uint64_t hashes[9];
    begin(&f, 19);
    open_it(&f);
    for (int i = 0; i < 9; i++)
        hashes[i] = hash_batch(next(&f));
    close_it(&f);
    f.options.first_epoch = 1;
    f.options.first_batch = 2;
    open_it(&f);
    for (int i = 6; i < 9; i++)
        assert_int_equal(hash_batch(next(&f)), hashes[i]);
    close_it(&f);
    f.options.seed = 10;
    open_it(&f);
    assert_int_not_equal(hash_batch(next(&f)), hashes[6]);
    end(&f);
}

/* A sample made by hand from its place is what the batch has. */
static void tensors_are_the_inputs_of_the_step(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 9);
    open_it(&f);
    (void)next(&f);
    const gml_batch *batch = next(&f);
    assert_int_equal(batch->n_tensors, 4);
    const char *names[] = {"x1", "x2", "visible", "geometry"};
    const int ranks[] = {4, 4, 2, 2};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(batch->names[i], names[i]);
        assert_int_equal(batch->tensors[i].rank, ranks[i]);
        assert_int_equal(batch->tensors[i].dims[0], 4);
        assert_int_equal(batch->tensors[i].dtype, i == 2 ? GML_I64 : GML_F32);
    }
    assert_int_equal(batch->tensors[2].dims[1], 6);
    assert_int_equal(batch->tensors[3].dims[1], GML_GEOMETRY);
    static float views[2][3 * 32 * 32];
    int64_t visible[6];
    float geometry[GML_GEOMETRY];
    gml_worker_memory memory = {0};
    for (int64_t i = 0; i < 4; i++) {
        gml_sample sample = {.order = &batch->indices[i],
                             .n_order = 1,
                             .views = {views[0], views[1]},
                             .visible = visible,
                             .geometry = geometry};
        assert_int_equal(gml_sample_make(f.dataset, &f.options, &memory, &sample), GML_OK);
        assert_memory_equal((float *)batch->tensors[0].data + i * 3072, views[0], 4 * 3072);
        assert_memory_equal((float *)batch->tensors[1].data + i * 3072, views[1], 4 * 3072);
        assert_memory_equal((int64_t *)batch->tensors[2].data + 6 * i, visible, sizeof visible);
        assert_memory_equal((float *)batch->tensors[3].data + 6 * i, geometry, sizeof geometry);
    }
    gml_worker_memory_reset(&memory);
    close_it(&f);
    f.options.n_views = 1;
    open_it(&f);
    batch = next(&f);
    assert_int_equal(batch->n_tensors, 2);
    assert_string_equal(batch->names[0], "x1");
    assert_string_equal(batch->names[1], "visible");
    end(&f);
}

static void an_epoch_has_each_picture_once(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 11);
    f.options.keep_last = true;
    open_it(&f);
    assert_int_equal(gml_loader_batches(f.loader), 3);
    uint32_t orders[2][11];
    for (int epoch = 0; epoch < 2; epoch++) {
        int counts[11] = {0};
        int n = 0;
        for (int b = 0; b < 3; b++) {
            const gml_batch *batch = next(&f);
            assert_int_equal(batch->count, b < 2 ? 4 : 3);
            assert_int_equal(batch->tensors[0].dims[0], batch->count);
            for (int64_t i = 0; i < batch->count; i++) {
                counts[batch->indices[i]]++;
                orders[epoch][n++] = batch->indices[i];
            }
        }
        for (int i = 0; i < 11; i++)
            assert_int_equal(counts[i], 1);
    }
    assert_memory_not_equal(orders[0], orders[1], sizeof orders[0]);
    close_it(&f);
    f.options.in_order = true;
    open_it(&f);
    for (uint32_t b = 0; b < 3; b++) {
        const gml_batch *batch = next(&f);
        for (uint32_t i = 0; i < batch->count; i++)
            assert_int_equal(batch->indices[i], 4 * b + i);
    }
    end(&f);
}

/* Of twelve pictures, number 3 is cut short and 4 is text; they are replaced by 5, by any
 * number of threads. */
static void bad_pictures_are_replaced(void **state)
{
    (void)state;
    uint64_t hashes[2][3];
    for (int k = 0; k < 2; k++) {
        fixture f;
        begin(&f, 12);
        gml_str text = data_picture(20, 20, 1);
        data_write(f.root, "p03.ppm", text.text, text.len / 2);
        data_write(f.root, "p04.ppm", "hello", 5);
        gml_str_reset(&text);
        f.options.in_order = true;
        f.options.max_bad = 4;
        f.options.n_workers = k == 0 ? 1 : 4;
        open_it(&f);
        const uint32_t expected[] = {0, 1, 2, 5, 5, 5, 6, 7, 8, 9, 10, 11};
        for (uint32_t b = 0; b < 3; b++) {
            const gml_batch *batch = next(&f);
            hashes[k][b] = hash_batch(batch);
            assert_memory_equal(batch->indices, expected + 4 * b, 4 * sizeof(uint32_t));
            assert_int_equal(gml_loader_bad_in_epoch(f.loader), b == 0 ? 1 : 2);
            const gml_bad_picture *bad = gml_loader_bad(f.loader, 0);
            if (b == 2)
                assert_null(bad);
            else
                assert_int_equal(bad->index, b == 0 ? 3 : 4);
            if (b == 0) {
                assert_int_equal(bad->status, GML_E_INVALID);
                assert_string_equal(bad->why, "the PNM file is damaged: it ends early");
            }
            assert_null(gml_loader_bad(f.loader, 1));
            if (b == 1) { /* the same picture with views of their own */
                const float *x1 = batch->tensors[0].data;
                assert_memory_not_equal(x1, x1 + 3072, 4 * 3072);
            }
        }
        gml_loader_stats stats = gml_loader_stats_get(f.loader);
        assert_int_equal(stats.bad, 2);
        assert_int_equal(stats.pictures, 12);
        end(&f);
    }
    assert_memory_equal(hashes[0], hashes[1], sizeof hashes[0]);
}

static void too_many_bad_pictures_fail(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 12);
    f.options.in_order = true;
    f.options.max_bad = 1;
    assert_int_equal(gml_dataset_open(f.root, &f.dataset, &f.diags), GML_OK);
    char path[128];
    for (int i = 5; i <= 9; i += 4) { /* vanished since: the fifth, the ninth */
        snprintf(path, sizeof path, "%s/p%02d.ppm", f.root, i);
        remove(path);
    }
    open_it(&f);
    (void)next(&f);
    (void)next(&f);
    const gml_batch *batch = NULL;
    assert_int_equal(gml_loader_next(f.loader, &batch, &f.diags), GML_E_IO);
    const char *text = gml_diags_print(&f.diags);
    assert_non_null(strstr(text, "p09.ppm: No such file"));
    assert_non_null(strstr(text, "2 pictures of an epoch cannot be used; 1 may be replaced"));
    assert_int_equal(gml_loader_next(f.loader, &batch, &f.diags), GML_E_IO);
    end(&f);
}

/* The limit is that of an epoch: one bad picture does not end a long training. A loader that
 * goes on in the middle of an epoch knows of those before. */
static void bad_pictures_are_counted_by_epoch(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 8);
    data_write(f.root, "p01.ppm", "hello", 5);
    f.options.in_order = true;
    f.options.max_bad = 1;
    open_it(&f);
    for (uint32_t b = 0; b < 6; b++) {
        (void)next(&f);
        assert_int_equal(gml_loader_bad_in_epoch(f.loader), 1);
    }
    assert_int_equal(gml_loader_stats_get(f.loader).bad, 3);
    gml_loader_close(f.loader);
    f.options.bad_before = 1;
    const gml_batch *batch = NULL;
    assert_int_equal(gml_loader_open(f.dataset, &f.options, &f.loader, &f.diags), GML_OK);
    assert_int_equal(gml_loader_next(f.loader, &batch, &f.diags), GML_E_UNSUPPORTED);
    end(&f);
}

static void a_set_without_good_pictures_fails(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 4);
    f.options.max_bad = 1000;
    assert_int_equal(gml_dataset_open(f.root, &f.dataset, &f.diags), GML_OK);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%02d.ppm", i);
        data_write(f.root, name, "P6", 2);
    }
    open_it(&f);
    const gml_batch *batch = NULL;
    assert_int_equal(gml_loader_next(f.loader, &batch, &f.diags), GML_E_INVALID);
    assert_non_null(strstr(gml_diags_print(&f.diags), "nor can any of those"));
    end(&f);
}

/* At once, after a batch, with everything full: closing never hangs. */
static void it_stops_at_any_time(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 30);
    f.options.n_workers = 3;
    for (int taken = 0; taken < 12; taken++) {
        open_it(&f);
        for (int i = 0; i < taken; i++)
            (void)next(&f);
        if (taken % 4 == 3)
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        close_it(&f);
    }
    end(&f);
}

static void wrong_options_are_told(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 3);
    assert_int_equal(gml_dataset_open(f.root, &f.dataset, &f.diags), GML_OK);
    gml_loader_options good = f.options;
    good.batch = 3;
    gml_loader_options bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].batch = 0;
    bad[1].n_workers = 0;
    bad[2].ahead = 0;
    bad[3].n_views = 3;
    bad[4].views[1].size = 64;
    bad[5].mask.grid = 5;
    bad[6].views[0].flip = 2;
    bad[7].first_batch = 1;
    for (int i = 0; i < 8; i++)
        assert_int_equal(gml_loader_open(f.dataset, &bad[i], &f.loader, &f.diags), GML_E_USAGE);
    good.batch = 4;
    assert_int_equal(gml_loader_open(f.dataset, &good, &f.loader, &f.diags), GML_E_INVALID);
    for (unsigned n = 1; n <= 3; n++) {
        good.batch = 1;
        gml_buffer_fail_at(n);
        assert_int_equal(gml_loader_open(f.dataset, &good, &f.loader, &f.diags), GML_E_MEMORY);
        gml_buffer_fail_at(0);
    }
    assert_null(f.loader);
    end(&f);
}

/* Memory that fails while samples are made fails the batch, not the process. */
static void samples_fail_cleanly(void **state)
{
    (void)state;
    fixture f;
    begin(&f, 3);
    assert_int_equal(gml_dataset_open(f.root, &f.dataset, &f.diags), GML_OK);
    static float views[2][3 * 32 * 32];
    int64_t visible[6];
    float geometry[GML_GEOMETRY];
    const uint32_t order[] = {1, 2};
    bool done = false;
    for (unsigned n = 1; !done; n++) {
        gml_worker_memory memory = {0};
        gml_sample sample = {.order = order,
                             .n_order = 2,
                             .views = {views[0], views[1]},
                             .visible = visible,
                             .geometry = geometry};
        gml_buffer_fail_at(n);
        gml_status status = gml_sample_make(f.dataset, &f.options, &memory, &sample);
        gml_buffer_fail_at(0);
        done = status == GML_OK;
        assert_true(done || (status == GML_E_MEMORY && n < 30));
        assert_true(!done || (n > 5 && sample.index == 1));
        gml_worker_memory_reset(&memory);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_do_not_depend_on_threads),
        cmocka_unit_test(loading_goes_on_where_it_stopped),
        cmocka_unit_test(tensors_are_the_inputs_of_the_step),
        cmocka_unit_test(an_epoch_has_each_picture_once),
        cmocka_unit_test(bad_pictures_are_replaced),
        cmocka_unit_test(too_many_bad_pictures_fail),
        cmocka_unit_test(bad_pictures_are_counted_by_epoch),
        cmocka_unit_test(a_set_without_good_pictures_fails),
        cmocka_unit_test(it_stops_at_any_time),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(samples_fail_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
