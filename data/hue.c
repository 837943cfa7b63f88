/* data/hue.c - a shift of the hue, through Pillow's 8-bit HSV.
 *
 * Both conversions follow Pillow's mixture of single and double precision: where it rounds to
 * single precision, so does this, since results are cut to integers and often lie on one.
 * Stages over short runs of pixels, so that each is a plain loop. */
#include "data/color.h"
#include "data/simd.h"

#define GML_RUN 64

/* RGB to hue and saturation; the value is the largest of the three.
 *
 * Of the three distances to the largest channel, in units of the span, one is 0: the hue's
 * sixth is what the other two differ by, plus 0, 2 or 4. */
static inline void to_hsv(const int32_t *red, const int32_t *green, const int32_t *blue,
                          int32_t *hue, int32_t *saturation, int32_t *value)
{
    for (int i = 0; i < GML_RUN; i++) {
        int32_t r = red[i];
        int32_t g = green[i];
        int32_t b = blue[i];
        int32_t most = r > g ? r : g;
        int32_t least = r < g ? r : g;
        most = most > b ? most : b;
        least = least < b ? least : b;
        int32_t span = most - least;
        float divisor = (float)(span > 0 ? span : 1);
        /* red first, then green, as ties go */
        int32_t left = r == most ? most - b : g == most ? most - r : most - g;
        int32_t right = r == most ? most - g : g == most ? most - b : most - r;
        float base = r == most ? 0.0f : g == most ? 2.0f : 4.0f;
        float sixth = (float)((double)base + (double)((float)left / divisor) -
                              (double)((float)right / divisor));
        double turn = (double)sixth / 6.0 + 1.0;
        turn = turn >= 1.0 ? turn - 1.0 : turn;
        float share = (float)span / (float)(most > 0 ? most : 1);
        hue[i] = span > 0 ? (int32_t)((double)(float)turn * 255.0) : 0;
        saturation[i] = (int32_t)((double)share * 255.0);
        value[i] = most;
    }
}

static inline int32_t nearest(double x)
{
    return (int32_t)(x + 0.5);
}

static inline void to_rgb(const int32_t *hue, const int32_t *saturation, const int32_t *value,
                          int32_t *red, int32_t *green, int32_t *blue)
{
    for (int i = 0; i < GML_RUN; i++) {
        double turn = (double)hue[i] * 6.0 / 255.0;
        int32_t sixth = (int32_t)turn;
        float f = (float)(turn - (double)sixth);
        float s = (float)((double)saturation[i] / 255.0);
        double v = (double)value[i];
        int32_t top = value[i];
        int32_t p = nearest(v * (1.0 - (double)s));
        int32_t q = nearest(v * (1.0 - (double)(s * f)));
        int32_t t = nearest(v * (1.0 - (double)s * (1.0 - (double)f)));
        int32_t part = sixth == 6 ? 0 : sixth;
        red[i] = part == 0 || part == 5 ? top : part == 1 ? q : part == 4 ? t : p;
        green[i] = part == 1 || part == 2 ? top : part == 3 ? q : part == 0 ? t : p;
        blue[i] = part == 3 || part == 4 ? top : part == 5 ? q : part == 2 ? t : p;
    }
}

static inline void load(const uint8_t *from, int64_t n, int32_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = from[i];
}

static inline void store(const int32_t *from, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (uint8_t)from[i];
}

GML_CLONES static void shift_hue(uint8_t *red, uint8_t *green, uint8_t *blue, int64_t count,
                                 int32_t shift)
{
    int32_t rgb[3][GML_RUN] = {{0}};
    int32_t hsv[3][GML_RUN];
    for (int64_t at = 0; at < count; at += GML_RUN) {
        int64_t n = count - at < GML_RUN ? count - at : GML_RUN;
        load(red + at, n, rgb[0]);
        load(green + at, n, rgb[1]);
        load(blue + at, n, rgb[2]);
        to_hsv(rgb[0], rgb[1], rgb[2], hsv[0], hsv[1], hsv[2]);
        for (int i = 0; i < GML_RUN; i++)
            hsv[0][i] = (hsv[0][i] + shift) & 255;
        to_rgb(hsv[0], hsv[1], hsv[2], rgb[0], rgb[1], rgb[2]);
        store(rgb[0], n, red + at);
        store(rgb[1], n, green + at);
        store(rgb[2], n, blue + at);
    }
}

void gml_color_hue(const gml_planes *planes, double shift)
{
    int64_t n = planes->height * planes->width;
    shift_hue(planes->data, planes->data + n, planes->data + 2 * n, n,
              (int32_t)(shift * 255.0));
}
