/* data/shapes.c - pictures of ten shapes.
 *
 * Coordinates are pixels from the top left corner; colours are 0 to 1. A picture is evaluated
 * at two by two points a pixel and averaged.
 */
#include "data/shapes.h"

#include "data/random.h"

#include <math.h>

#define GML_MAX_STROKES 3
#define GML_MAX_LATTICE 10
#define GML_PI          3.14159265358979323846

/* Smooth noise: values of a lattice of `cells` a side, interpolated. */
typedef struct noise {
    int cells;
    double values[GML_MAX_LATTICE][GML_MAX_LATTICE];
    double phase[2];
} noise;

typedef struct stroke {
    double x, y, angle, half_length, half_width, grey;
} stroke;

/* All that is drawn for a picture. */
typedef struct scene {
    unsigned class;
    noise coarse, fine;
    double tint[3];
    int n_strokes;
    stroke strokes[GML_MAX_STROKES];
    double radius, x, y, rotation, stretch; /* of the shape */
    double fill;
    double ramp, ramp_angle; /* of the light */
} scene;

/* ---- drawing numbers ----------------------------------------------------------------------
 */

static void draw_noise(gml_rng *rng, int cells, noise *out)
{
    out->cells = cells;
    for (int i = 0; i < cells + 2; i++)
        for (int k = 0; k < cells + 2; k++)
            out->values[i][k] = gml_rng_unit(rng);
    out->phase[0] = gml_rng_unit(rng);
    out->phase[1] = gml_rng_unit(rng);
}

static stroke draw_stroke(gml_rng *rng, double size)
{
    stroke s;
    s.x = gml_rng_uniform(rng, 0, size);
    s.y = gml_rng_uniform(rng, 0, size);
    s.angle = gml_rng_uniform(rng, 0, GML_PI);
    s.half_length = gml_rng_uniform(rng, 1.5, 5);
    s.half_width = gml_rng_uniform(rng, 0.6, 1.4);
    s.grey = gml_rng_uniform(rng, 0.1, 0.9);
    return s;
}

static scene draw_scene(const gml_shapes *shapes, gml_rng *rng)
{
    double size = (double)shapes->size;
    scene s;
    s.class = (unsigned)gml_rng_below(rng, GML_SHAPES);
    draw_noise(rng, 3, &s.coarse);
    draw_noise(rng, 8, &s.fine);
    for (int c = 0; c < 3; c++)
        s.tint[c] = gml_rng_uniform(rng, -0.03, 0.03);
    s.n_strokes = 1 + (int)gml_rng_below(rng, GML_MAX_STROKES);
    for (int i = 0; i < s.n_strokes; i++)
        s.strokes[i] = draw_stroke(rng, size);
    s.radius = gml_rng_uniform(rng, 0.27, 0.42) * size;
    s.x = (0.5 + gml_rng_uniform(rng, -0.12, 0.12)) * size;
    s.y = (0.5 + gml_rng_uniform(rng, -0.12, 0.12)) * size;
    s.rotation = gml_rng_uniform(rng, -0.45, 0.45);
    s.stretch = exp(gml_rng_uniform(rng, -0.15, 0.15));
    s.fill = gml_rng_uniform(rng, 0.82, 1);
    double dark = gml_rng_uniform(rng, 0, 0.18);
    bool is_dark = gml_rng_unit(rng) < 0.5;
    if (shapes->polarity && is_dark)
        s.fill = dark;
    s.ramp = gml_rng_uniform(rng, 0, 0.08);
    s.ramp_angle = gml_rng_uniform(rng, 0, 2 * GML_PI);
    return s;
}

/* ---- shapes -------------------------------------------------------------------------------
 *
 * In units of the radius, y downwards. */

static bool in_disc(double x, double y)
{
    return hypot(x, y) < 0.9;
}

static bool in_square(double x, double y)
{
    return fabs(x) < 0.78 && fabs(y) < 0.78;
}

static bool in_triangle(double x, double y)
{
    return y < 0.55 && y > -1 + 1.75 * fabs(x);
}

static bool in_star(double x, double y)
{
    double turn = 2 * GML_PI / 5;
    double t = atan2(y, x) + GML_PI / 2;
    double a = t - turn * floor(t / turn) - turn / 2;
    return hypot(x, y) < 0.42 + 0.58 * pow(fabs(a) / (turn / 2), 1.5);
}

static bool in_ring(double x, double y)
{
    double r = hypot(x, y);
    return r > 0.52 && r < 0.95;
}

static bool in_cross(double x, double y)
{
    return (fabs(x) < 0.3 && fabs(y) < 0.95) || (fabs(y) < 0.3 && fabs(x) < 0.95);
}

static bool in_crescent(double x, double y)
{
    return hypot(x, y) < 0.95 && hypot(x - 0.45, y) > 0.75;
}

static bool in_bar(double x, double y)
{
    return fabs(x) < 1.05 && fabs(y) < 0.36;
}

static bool in_half_disc(double x, double y)
{
    return hypot(x, y) < 1 && y > -0.05;
}

static bool in_corner(double x, double y)
{
    return (fabs(x + 0.5) < 0.33 && fabs(y) < 0.9) ||
           (fabs(y - 0.57) < 0.33 && x > -0.83 && x < 0.9);
}

static const struct {
    const char *name;
    bool (*holds)(double x, double y);
} kinds[GML_SHAPES] = {
    {"disc", in_disc},         {"square", in_square}, {"triangle", in_triangle},
    {"star", in_star},         {"ring", in_ring},     {"cross", in_cross},
    {"crescent", in_crescent}, {"bar", in_bar},       {"half-disc", in_half_disc},
    {"corner", in_corner},
};

const char *gml_shapes_name(unsigned class)
{
    return kinds[class].name;
}

/* ---- painting -----------------------------------------------------------------------------
 */

static double smooth(double t)
{
    return t * t * (3 - 2 * t);
}

/* At (x, y) of 0 … 1. */
static double noise_at(const noise *n, double x, double y)
{
    x = x * n->cells + n->phase[0];
    y = y * n->cells + n->phase[1];
    int column = (int)x;
    int row = (int)y;
    double s = smooth(x - column);
    double t = smooth(y - row);
    const double *upper = n->values[row];
    const double *lower = n->values[row + 1];
    double above = upper[column] + s * (upper[column + 1] - upper[column]);
    double below = lower[column] + s * (lower[column + 1] - lower[column]);
    return above + t * (below - above);
}

/* (x, y) seen from a centre, turned by -angle. */
static void turn(double *x, double *y, double centre_x, double centre_y, double angle)
{
    double dx = *x - centre_x;
    double dy = *y - centre_y;
    *x = cos(angle) * dx + sin(angle) * dy;
    *y = -sin(angle) * dx + cos(angle) * dy;
}

static bool in_shape(const scene *s, double x, double y)
{
    turn(&x, &y, s->x, s->y, s->rotation);
    return kinds[s->class].holds(x / s->radius * s->stretch, y / s->radius / s->stretch);
}

/* The light at (x, y), without tint; `size` is the picture's. */
static double grey_at(const scene *s, double x, double y, double size)
{
    double f = 0.65 * noise_at(&s->coarse, x / size, y / size) +
               0.35 * noise_at(&s->fine, x / size, y / size);
    double value = 0.5 + 0.08 * (f - 0.5);
    for (int i = 0; i < s->n_strokes; i++) {
        const stroke *at = &s->strokes[i];
        double u = x;
        double v = y;
        turn(&u, &v, at->x, at->y, at->angle);
        if (fabs(u) < at->half_length && fabs(v) < at->half_width)
            value = at->grey;
    }
    if (in_shape(s, x, y))
        value = s->fill + 0.06 * (f - 0.5);
    return value;
}

/* What the light of the whole picture multiplies with at (x, y). */
static double ramp_at(const scene *s, double x, double y, double size)
{
    double along =
        (x / size - 0.5) * cos(s->ramp_angle) + (y / size - 0.5) * sin(s->ramp_angle);
    return 1 + s->ramp * 2 * along;
}

/* A number of the normal distribution (Box and Muller). */
static double draw_normal(gml_rng *rng)
{
    double length = sqrt(-2 * log(1 - gml_rng_unit(rng)));
    return length * cos(2 * GML_PI * gml_rng_unit(rng));
}

static void paint_pixel(const scene *s, double left, double top, double size, double out[3])
{
    for (int c = 0; c < 3; c++)
        out[c] = 0;
    for (int k = 0; k < 4; k++) {
        double x = left + (k % 2 == 0 ? 0.25 : 0.75);
        double y = top + (k < 2 ? 0.25 : 0.75);
        double grey = grey_at(s, x, y, size);
        double ramp = ramp_at(s, x, y, size);
        for (int c = 0; c < 3; c++)
            out[c] += (grey + s->tint[c]) * ramp / 4;
    }
}

static gml_rng begin(const gml_shapes *shapes, uint32_t i)
{
    gml_rng rng;
    gml_rng_init(&rng, shapes->seed, shapes->part, i, GML_DRAW_SHAPE);
    return rng;
}

unsigned gml_shapes_class(const gml_shapes *shapes, uint32_t i)
{
    gml_rng rng = begin(shapes, i);
    return (unsigned)gml_rng_below(&rng, GML_SHAPES);
}

void gml_shapes_draw(const gml_shapes *shapes, uint32_t i, uint8_t *out)
{
    gml_rng rng = begin(shapes, i);
    scene s = draw_scene(shapes, &rng);
    int64_t size = shapes->size;
    for (int64_t p = 0; p < size * size; p++) {
        int64_t row = p / size;
        double color[3];
        paint_pixel(&s, (double)(p % size), (double)row, (double)size, color);
        for (int c = 0; c < 3; c++) {
            double value = color[c] + 0.02 * draw_normal(&rng);
            out[3 * p + c] = (uint8_t)lrint(255 * fmin(fmax(value, 0), 1));
        }
    }
}
