/* tests/unit/test_data_draw.c - what data/ draws: numbers, crops, views, masks, geometry.
 *
 * Distributions are compared with figures of independent simulations (500 x 375 pixels, area
 * 0.08 to 1; masks of 14 x 14), at five standard errors or the figures' own last digit. */
#include "data/geometry.h"
#include "data/mask.h"
#include "data/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEIGHT 375
#define WIDTH  500
#define GRID   14

/* ---- numbers ------------------------------------------------------------------------------
 */

static void a_stream_depends_on_its_place_alone(void **state)
{
    (void)state;
    const uint64_t places[][3] = {{0, 0, 0},
                                  {1, 0, 0},
                                  {0, 1, 0},
                                  {0, 0, 1},
                                  {0, 0, UINT64_C(1) << 33},
                                  {UINT64_C(1) << 33, 0, 0}};
    uint32_t first[24];
    size_t n = 0;
    for (size_t i = 0; i < 6; i++)
        for (int purpose = 0; purpose < 4; purpose++) {
            gml_rng rng;
            gml_rng_init(&rng, places[i][0], (uint32_t)places[i][1], places[i][2],
                         (gml_draw)purpose);
            first[n] = gml_rng_word(&rng);
            for (size_t j = 0; j < n; j++)
                assert_int_not_equal(first[j], first[n]);
            n++;
        }
    gml_rng rng;
    gml_rng_init(&rng, 0, 0, 0, GML_DRAW_ORDER); /* key and counter 0: the published vector */
    const uint32_t known[] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    for (int i = 0; i < 4; i++)
        assert_int_equal(gml_rng_word(&rng), known[i]);
}

static void numbers_below_n_are_even(void **state)
{
    (void)state;
    int counts[7] = {0};
    gml_rng rng;
    gml_rng_init(&rng, 5, 0, 0, GML_DRAW_ORDER);
    for (int i = 0; i < 70000; i++)
        counts[gml_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(abs(counts[i] - 10000) < 5 * 93); /* sqrt(70000 / 7 * 6 / 7) */
    for (int i = 0; i < 1000; i++)
        assert_true(gml_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
    assert_int_equal(gml_rng_below(&rng, 1), 0);
}

static void every_order_of_a_shuffle_is_as_likely(void **state)
{
    (void)state;
    int counts[24] = {0};
    gml_rng rng;
    gml_rng_init(&rng, 6, 0, 0, GML_DRAW_ORDER);
    for (int i = 0; i < 24000; i++) {
        uint32_t order[4] = {0, 1, 2, 3};
        gml_rng_shuffle(&rng, order, 4);
        uint32_t rank = 0;
        for (uint32_t a = 0; a < 4; a++) {
            uint32_t less = 0;
            for (uint32_t b = a + 1; b < 4; b++)
                less += order[b] < order[a];
            rank = rank * (4 - a) + less;
        }
        counts[rank]++;
    }
    for (int i = 0; i < 24; i++)
        assert_true(abs(counts[i] - 1000) < 5 * 31);
}

/* ---- views --------------------------------------------------------------------------------
 */

static gml_view draw_view(const gml_recipe *recipe, uint64_t index, gml_draw purpose)
{
    gml_rng rng;
    gml_rng_init(&rng, 1, 0, index, purpose);
    return gml_view_draw(recipe, &rng, HEIGHT, WIDTH);
}

/* Where the centre of patch (u, v) of view 2 lies in view 1, in patches; section 1.7. */
static void locate(const float g[GML_GEOMETRY], int u, int v, double *y, double *x)
{
    *y = (double)g[2] * (u + 0.5) + GRID * (double)g[0] - 0.5;
    *x = g[4] == 0 ? (double)g[3] * (v + 0.5) + GRID * (double)g[1] - 0.5
                   : -(double)g[3] * (v + 0.5) + GRID * (double)g[5] - 0.5;
}

static void pairs_overlap_as_the_specification_says(void **state)
{
    (void)state;
    enum { N = 20000 };
    gml_recipe recipe = gml_recipe_siameseim(1);
    double inside = 0;
    int none = 0;
    int outliers = 0; /* beyond -13 … 27 */
    double scale_most = 0;
    for (uint64_t i = 0; i < N; i++) {
        gml_view a = draw_view(&recipe, i, GML_DRAW_VIEW1);
        gml_view b = draw_view(&recipe, i, GML_DRAW_VIEW2);
        float g[GML_GEOMETRY];
        gml_geometry(&a, &b, WIDTH, g);
        int count = 0;
        for (int u = 0; u < GRID; u++)
            for (int v = 0; v < GRID; v++) {
                double y = 0;
                double x = 0;
                locate(g, u, v, &y, &x);
                count += y >= -0.5 && y <= 13.5 && x >= -0.5 && x <= 13.5;
                outliers += (y < -13 || y > 27) + (x < -13 || x > 27);
            }
        inside += (double)count / (GRID * GRID) / N;
        none += count == 0;
        scale_most = fmax(scale_most, fabs(10 * log((double)g[2])));
        scale_most = fmax(scale_most, fabs(10 * log((double)g[3])));
    }
    assert_true(fabs(inside - 0.59) < 0.015);
    assert_true(fabs((double)none / N - 0.035) < 0.01);
    double share = (double)outliers / (2.0 * N * GRID * GRID);
    assert_true(share > 0.01 && share < 0.03); /* 1 % on either side, of round numbers */
    assert_true(scale_most > 10 && scale_most < 15);
}

static void crops_have_the_asked_area_and_aspect(void **state)
{
    (void)state;
    gml_recipe recipe = gml_recipe_siameseim(1);
    double area = 0;
    double left = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        gml_view view = draw_view(&recipe, i, GML_DRAW_VIEW1);
        const gml_crop *c = &view.crop;
        double share = (double)(c->height * c->width) / (HEIGHT * WIDTH);
        double aspect = (double)c->width / (double)c->height;
        assert_true(share > 0.078 && share <= 1);
        assert_true(aspect > 0.74 && aspect < 1.35);
        assert_true(c->top >= 0 && c->left >= 0 && c->top + c->height <= HEIGHT &&
                    c->left + c->width <= WIDTH);
        area += share / 5000;
        left += c->width < WIDTH ? (double)c->left / (double)(WIDTH - c->width) / 5000 : 0;
    }
    assert_true(fabs(area - 0.432) < 0.017);
    assert_true(fabs(left - 0.5) < 0.03);
}

/* 1000 by 10 pixels: nothing of the asked area fits, so the middle, 4 by 3, is taken. */
static void a_long_picture_gets_its_middle(void **state)
{
    (void)state;
    gml_recipe recipe = gml_recipe_siameseim(1);
    recipe.crop_min = 0.5;
    gml_rng rng;
    gml_rng_init(&rng, 0, 0, 0, GML_DRAW_VIEW1);
    gml_crop crop = gml_crop_draw(&recipe, &rng, 10, 1000);
    assert_int_equal(crop.top, 0);
    assert_int_equal(crop.left, 493);
    assert_int_equal(crop.height, 10);
    assert_int_equal(crop.width, 13);
    crop = gml_crop_draw(&recipe, &rng, 1000, 10);
    assert_int_equal(crop.top, 493);
    assert_int_equal(crop.height, 13);
    crop = gml_crop_draw(&recipe, &rng, 1, 1);
    assert_true(crop.height == 1 && crop.width == 1 && crop.top == 0 && crop.left == 0);
}

static void steps_have_the_asked_probabilities(void **state)
{
    (void)state;
    enum { N = 20000 };
    for (int which = 1; which <= 2; which++) {
        gml_recipe recipe = gml_recipe_siameseim(which);
        double counts[5] = {0};
        double orders[GML_JITTERS] = {0};
        for (uint64_t i = 0; i < N; i++) {
            gml_view v = draw_view(&recipe, i, which == 1 ? GML_DRAW_VIEW1 : GML_DRAW_VIEW2);
            const bool steps[] = {v.flip, v.jitter, v.grey, v.sigma > 0, v.solarise};
            for (int k = 0; k < 5; k++)
                counts[k] += steps[k];
            orders[v.order[0]]++;
            assert_true(v.sigma == 0 || (v.sigma >= 0.1 && v.sigma < 2));
            assert_true(fabs(v.factors[GML_JITTER_CONTRAST] - 1) <= 0.4);
            assert_true(fabs(v.factors[GML_JITTER_SATURATION] - 1) <= 0.2);
            assert_true(fabs(v.factors[GML_JITTER_HUE]) <= 0.1);
        }
        const double expected[] = {0.5, 0.8, 0.2, which == 1 ? 1 : 0.1, which == 1 ? 0 : 0.2};
        for (int k = 0; k < 5; k++)
            assert_true(fabs(counts[k] / N - expected[k]) < 0.018);
        for (int k = 0; k < GML_JITTERS; k++)
            assert_true(fabs(orders[k] / N - 0.25) < 0.016);
    }
}

/* An option leaves the other numbers of a view where they are. */
static void options_do_not_move_other_numbers(void **state)
{
    (void)state;
    gml_recipe recipe = gml_recipe_siameseim(1);
    gml_recipe plain = recipe;
    gml_recipe_drop_colors(&plain);
    plain.flip = 0;
    for (uint64_t i = 0; i < 100; i++) {
        gml_view a = draw_view(&recipe, i, GML_DRAW_VIEW1);
        gml_view b = draw_view(&plain, i, GML_DRAW_VIEW1);
        assert_memory_equal(&a.crop, &b.crop, sizeof a.crop);
        assert_false(b.flip || b.jitter || b.grey || b.solarise || b.sigma > 0);
    }
}

static void impossible_recipes_are_told(void **state)
{
    (void)state;
    gml_recipe good = gml_recipe_siameseim(2);
    assert_null(gml_recipe_check(&good));
    for (int i = 0; i < 7; i++) {
        gml_recipe r = good;
        double *const fields[] = {&r.flip, &r.crop_min, &r.crop_max, &r.aspect_max,
                                  &r.hue,  &r.blur_min, &r.jitter};
        *fields[i] = (double)NAN;
        assert_non_null(gml_recipe_check(&r));
        *fields[i] = -0.1;
        assert_non_null(gml_recipe_check(&r));
    }
    good.std[1] = 0;
    assert_non_null(gml_recipe_check(&good));
    gml_mask mask = gml_mask_siameseim(14);
    assert_null(gml_mask_check(&mask));
    mask.masked = 196;
    assert_non_null(gml_mask_check(&mask));
}

/* Mirrored or not, the numbers must send a point of the picture to where view 1 has it. */
static void geometry_follows_a_point(void **state)
{
    (void)state;
    gml_recipe recipe = gml_recipe_siameseim(1);
    for (uint64_t i = 0; i < 200; i++) {
        gml_view a = draw_view(&recipe, i, GML_DRAW_VIEW1);
        gml_view b = draw_view(&recipe, i, GML_DRAW_VIEW2);
        float g[GML_GEOMETRY];
        gml_geometry(&a, &b, WIDTH, g);
        int u = (int)(i % GRID);
        int v = (int)(i / GRID % GRID);
        /* the centre of patch (u, v) of view 2 in the picture as it lies */
        double row = (double)b.crop.top + (double)b.crop.height * (u + 0.5) / GRID;
        double column = (double)b.crop.left + (double)b.crop.width * (v + 0.5) / GRID;
        column = b.flip ? WIDTH - column : column;
        /* and in view 1 */
        column = a.flip ? WIDTH - column : column;
        double y = (row - (double)a.crop.top) / (double)a.crop.height * GRID - 0.5;
        double x = (column - (double)a.crop.left) / (double)a.crop.width * GRID - 0.5;
        double got_y = 0;
        double got_x = 0;
        locate(g, u, v, &got_y, &got_x);
        assert_true(fabs(got_y - y) < 1e-4 && fabs(got_x - x) < 1e-4);
    }
}

/* The golden values of the specification, section 9.1. */
static void geometry_has_the_known_numbers(void **state)
{
    (void)state;
    gml_view a = {.crop = {10, 20, 120, 100}};
    gml_view b = {.crop = {40, 60, 80, 90}};
    const double known[] = {0.25, 0.4, 2.0 / 3, 0.9, 0, 1.2};
    float g[GML_GEOMETRY];
    gml_geometry(&a, &b, 200, g);
    for (int i = 0; i < GML_GEOMETRY; i++)
        assert_true(g[i] == (float)known[i]);
    a = (gml_view){.crop = {5, 7, 90, 110}, .flip = true};
    b = (gml_view){.crop = {30, 2, 60, 95}};
    const double other[] = {25.0 / 90, -5.0 / 110, 2.0 / 3, 95.0 / 110, 1, 171.0 / 110};
    gml_geometry(&a, &b, 180, g);
    for (int i = 0; i < GML_GEOMETRY; i++)
        assert_true(g[i] == (float)other[i]);
}

/* ---- masks --------------------------------------------------------------------------------
 */

static void masks_look_as_the_specification_says(void **state)
{
    (void)state;
    enum { N = 20000 };
    gml_mask mask = gml_mask_siameseim(GRID);
    assert_int_equal(mask.masked, 118);
    assert_int_equal(mask.block_min, 16);
    bool cells[GRID * GRID];
    double share[GRID * GRID] = {0};
    int reached = 0;
    double mean = 0;
    int64_t least = 196;
    for (uint64_t i = 0; i < N; i++) {
        gml_rng rng;
        gml_rng_init(&rng, 3, 1, i, GML_DRAW_MASK);
        int64_t count = gml_mask_draw(&mask, &rng, cells);
        int64_t visible[196];
        int64_t n = 0;
        for (int k = 0; k < GRID * GRID; k++) {
            n += cells[k];
            share[k] += cells[k] / (double)N;
        }
        assert_int_equal(n, 118);
        gml_mask_visible(&mask, cells, visible);
        for (int k = 0; k < 78; k++)
            assert_true(!cells[visible[k]] && (k == 0 || visible[k] > visible[k - 1]));
        reached += count == 118;
        mean += (double)count / N;
        least = count < least ? count : least;
    }
    assert_true(fabs((double)reached / N - 0.686) < 0.02);
    assert_true(fabs(mean - 117.5) < 0.1);
    assert_true(least >= 100 && least <= 110);
    assert_true(fabs(share[6 * GRID + 6] - 0.93) < 0.015);
    assert_true(fabs(share[7 * GRID + 7] - 0.93) < 0.015);
    assert_true(fabs(share[7] - 0.36) < 0.025);
    assert_true(fabs(share[7 * GRID] - 0.36) < 0.025);
    assert_true(fabs(share[0] - 0.09) < 0.015);
    assert_true(fabs(share[GRID * GRID - 1] - 0.09) < 0.015);
}

static void other_grids_have_exact_counts(void **state)
{
    (void)state;
    bool cells[GML_MAX_GRID * GML_MAX_GRID];
    for (int64_t grid = 1; grid <= 24; grid++)
        for (int random = 0; random < 2; random++)
            for (uint64_t i = 0; i < 50; i++) {
                gml_mask mask = gml_mask_siameseim(grid);
                mask.random = random != 0;
                if (mask.masked >= grid * grid)
                    mask.masked = grid * grid - 1;
                gml_rng rng;
                gml_rng_init(&rng, 3, 1, i, GML_DRAW_MASK);
                (void)gml_mask_draw(&mask, &rng, cells);
                int64_t n = 0;
                for (int64_t k = 0; k < grid * grid; k++)
                    n += cells[k];
                assert_int_equal(n, mask.masked);
            }
    gml_mask tiny = gml_mask_siameseim(4); /* of the toy configuration */
    assert_int_equal(tiny.masked, 10);
    assert_int_equal(tiny.block_min, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_depends_on_its_place_alone),
        cmocka_unit_test(numbers_below_n_are_even),
        cmocka_unit_test(every_order_of_a_shuffle_is_as_likely),
        cmocka_unit_test(pairs_overlap_as_the_specification_says),
        cmocka_unit_test(crops_have_the_asked_area_and_aspect),
        cmocka_unit_test(a_long_picture_gets_its_middle),
        cmocka_unit_test(steps_have_the_asked_probabilities),
        cmocka_unit_test(options_do_not_move_other_numbers),
        cmocka_unit_test(impossible_recipes_are_told),
        cmocka_unit_test(geometry_follows_a_point),
        cmocka_unit_test(geometry_has_the_known_numbers),
        cmocka_unit_test(masks_look_as_the_specification_says),
        cmocka_unit_test(other_grids_have_exact_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
