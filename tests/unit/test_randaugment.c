/* tests/unit/test_randaugment.c - what RandAugment draws, and in which order it is applied.
 * That each operation gives Pillow's pixels is tests/data/pillow.py's.
 *
 * Counts are compared at five standard errors. */
#include "data/augment.h"
#include "data/color.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define GML_DRAWS 60000
#define GML_SIDE  24
#define GML_NUMEL (3 * GML_SIDE * GML_SIDE)

static gml_rand_augment draw(double magnitude, uint32_t epoch, uint64_t index)
{
    gml_rng rng;
    gml_rng_init(&rng, 4, epoch, index, GML_DRAW_RAND);
    return gml_rand_draw(magnitude, &rng);
}

static void expect_share(double count, double n, double share)
{
    double error = sqrt(share * (1 - share) / n);
    if (fabs(count / n - share) > 5 * error)
        fail_msg("%g of %g is not a share of %g", count, n, share);
}

/* ---- drawing ----------------------------------------------------------------------------- */

static void operations_are_even_and_independent(void **state)
{
    (void)state;
    static int firsts[GML_RAND_OPERATION_COUNT];
    static int pairs[GML_RAND_OPERATION_COUNT][GML_RAND_OPERATION_COUNT];
    static int applied[GML_RAND_OPERATION_COUNT][2]; /* by operation, and sign */
    int both = 0;
    for (uint64_t i = 0; i < GML_DRAWS; i++) {
        gml_rand_augment a = draw(9, 0, i);
        firsts[a.steps[0].operation]++;
        pairs[a.steps[0].operation][a.steps[1].operation]++;
        both += a.steps[0].is_applied && a.steps[1].is_applied;
        for (int k = 0; k < GML_RAND_STEPS; k++)
            if (a.steps[k].is_applied)
                applied[a.steps[k].operation][a.steps[k].is_negative]++;
    }
    expect_share(both, GML_DRAWS, 0.25);
    for (int i = 0; i < GML_RAND_OPERATION_COUNT; i++) {
        expect_share(firsts[i], GML_DRAWS, 1.0 / GML_RAND_OPERATION_COUNT);
        for (int sign = 0; sign < 2; sign++)
            expect_share(applied[i][sign], 2.0 * GML_DRAWS, 0.25 / GML_RAND_OPERATION_COUNT);
        for (int k = 0; k < GML_RAND_OPERATION_COUNT; k++)
            expect_share(pairs[i][k], GML_DRAWS, 1.0 / 225);
    }
}

/* The shares of magnitudes cut to 0 and to 10, and how the others lie around the mean. */
static void expect_magnitudes(double mean, double at_zero, double at_most)
{
    int zeros = 0;
    int mosts = 0;
    int below_mean = 0;
    int near = 0;
    for (uint64_t i = 0; i < GML_DRAWS; i++) {
        double m = draw(mean, 1, i).steps[i % 2].magnitude;
        assert_true(m >= 0 && m <= 10);
        zeros += m == 0;
        mosts += m == 10;
        below_mean += m < mean;
        near += fabs(m - mean) < 0.25; /* half of a deviation */
    }
    expect_share(zeros, GML_DRAWS, at_zero);
    expect_share(mosts, GML_DRAWS, at_most);
    if (mean > 0.25 && mean < 9.75)
        expect_share(near, GML_DRAWS, 0.3829249);
    if (mean > 0)
        expect_share(below_mean, GML_DRAWS, 0.5);
}

static void magnitudes_are_normal_and_cut(void **state)
{
    (void)state;
    expect_magnitudes(9, 0, 0.0227501);   /* two deviations below 10 */
    expect_magnitudes(5, 0, 0);           /* ten of them */
    expect_magnitudes(0.5, 0.1586553, 0); /* one above 0 */
    expect_magnitudes(10, 0, 0.5);
}

static void draws_depend_on_their_place(void **state)
{
    (void)state;
    gml_rand_augment a = draw(9, 2, 7);
    gml_rand_augment b = draw(9, 2, 7);
    gml_rand_augment weak = draw(3, 2, 7);
    assert_true(a.steps[1].magnitude == b.steps[1].magnitude);
    assert_true(a.steps[0].magnitude != draw(9, 3, 7).steps[0].magnitude);
    assert_true(a.steps[0].magnitude != draw(9, 2, 8).steps[0].magnitude);
    for (int k = 0; k < GML_RAND_STEPS; k++) { /* the strength moves nothing else */
        assert_int_equal(a.steps[k].operation, weak.steps[k].operation);
        assert_int_equal(a.steps[k].is_applied, weak.steps[k].is_applied);
        assert_int_equal(a.steps[k].is_negative, weak.steps[k].is_negative);
    }
}

/* ---- applying ---------------------------------------------------------------------------- */

typedef struct picture {
    uint8_t data[GML_NUMEL];
} picture;

static picture make_picture(void)
{
    picture p;
    for (int i = 0; i < GML_NUMEL; i++)
        p.data[i] = (uint8_t)(i * 37 % 251);
    return p;
}

static void apply(picture *p, gml_rand_step first, gml_rand_step second)
{
    gml_work work = {0};
    gml_planes planes = {p->data, GML_SIDE, GML_SIDE};
    gml_rand_augment augment = {.steps = {first, second}};
    assert_int_equal(gml_rand_apply(&augment, &planes, &work), GML_OK);
    gml_work_reset(&work);
}

static bool is_same(const picture *a, const picture *b)
{
    return memcmp(a->data, b->data, sizeof a->data) == 0;
}

static void steps_are_applied_in_order(void **state)
{
    (void)state;
    const picture before = make_picture();
    gml_rand_step invert = {.operation = GML_RAND_INVERT, .is_applied = true};
    gml_rand_step lift = {
        .operation = GML_RAND_SOLARISE_ADD, .is_applied = true, .magnitude = 10};
    gml_rand_step left_out = {.operation = GML_RAND_INVERT};
    picture none = before;
    picture one = before;
    picture two = before;
    picture forth = before;
    picture back = before;
    apply(&none, left_out, left_out);
    assert_true(is_same(&none, &before));
    apply(&none, (gml_rand_step){0}, (gml_rand_step){0});
    assert_true(is_same(&none, &before));
    apply(&one, left_out, invert);
    for (int i = 0; i < GML_NUMEL; i++)
        assert_int_equal(one.data[i], 255 - before.data[i]);
    apply(&two, invert, invert);
    assert_true(is_same(&two, &before));
    apply(&forth, invert, lift);
    apply(&back, lift, invert);
    for (int i = 0; i < GML_NUMEL; i++) {
        int v = before.data[i];
        assert_int_equal(forth.data[i], 255 - v < 128 ? 255 - v + 110 : 255 - v);
        assert_int_equal(back.data[i], 255 - (v < 128 ? v + 110 : v));
    }
}

/* One that moves by a whole number of pixels: what comes from outside has the mean colour. */
static void outside_is_the_mean_colour(void **state)
{
    (void)state;
    static const int mean[3] = {124, 116, 104};
    const picture before = make_picture();
    picture p = before;
    const int moved = 9; /* 0.45 of 24 pixels, of the magnitude below */
    gml_rand_step step = {.operation = GML_RAND_TRANSLATE_X,
                          .is_applied = true,
                          .magnitude = moved / (0.45 * GML_SIDE) * 10};
    apply(&p, step, (gml_rand_step){0});
    for (int i = 0; i < GML_NUMEL; i++) {
        bool is_outside = i % GML_SIDE + moved >= GML_SIDE;
        int expected = is_outside ? mean[i / (GML_SIDE * GML_SIDE)] : before.data[i + moved];
        assert_in_range(p.data[i], expected > 0 ? expected - 1 : 0, expected);
    }
}

/* A view's operations work on its pixels of 8 bits, after the crop, and are normalised then. */
static void views_are_augmented_before_they_are_normalised(void **state)
{
    (void)state;
    uint8_t source[30 * 40 * 3];
    float plain[GML_NUMEL];
    float found[GML_NUMEL];
    float expected[GML_NUMEL];
    picture p;
    gml_work work = {0};
    gml_recipe recipe = gml_recipe_siameseim(1);
    gml_view view = {.flip = true, .crop = {2, 5, 25, 31}};
    const gml_pixels pixels = {source, 30, 40, 3};
    const gml_planes planes = {p.data, GML_SIDE, GML_SIDE};
    for (int i = 0; i < 30 * 40 * 3; i++)
        source[i] = (uint8_t)(i * 53 % 249);
    recipe.size = GML_SIDE;
    assert_int_equal(gml_view_apply(&recipe, &view, &pixels, &work, plain), GML_OK);
    for (int i = 0; i < GML_NUMEL; i++) {
        float v = plain[i] * recipe.std[i / (GML_SIDE * GML_SIDE)] +
                  recipe.mean[i / (GML_SIDE * GML_SIDE)];
        p.data[i] = (uint8_t)lrintf(255 * v);
    }
    view.rand.steps[0] = (gml_rand_step){GML_RAND_ROTATE, true, true, 9};
    view.rand.steps[1] = (gml_rand_step){GML_RAND_EQUALISE, true, false, 9};
    assert_int_equal(gml_rand_apply(&view.rand, &planes, &work), GML_OK);
    gml_color_normalise(&planes, recipe.mean, recipe.std, expected);
    assert_int_equal(gml_view_apply(&recipe, &view, &pixels, &work, found), GML_OK);
    assert_memory_equal(found, expected, sizeof found);
    assert_memory_not_equal(found, plain, sizeof found);
    gml_work_reset(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_even_and_independent),
        cmocka_unit_test(magnitudes_are_normal_and_cut),
        cmocka_unit_test(draws_depend_on_their_place),
        cmocka_unit_test(steps_are_applied_in_order),
        cmocka_unit_test(outside_is_the_mean_colour),
        cmocka_unit_test(views_are_augmented_before_they_are_normalised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
