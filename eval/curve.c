/* eval/curve.c - the loss of a training as a drawing. */
#include "base/file.h"
#include "eval/report.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define GML_CURVE_WIDTH  720.0
#define GML_CURVE_HEIGHT 240.0
#define GML_CURVE_LEFT   60.0 /* for numbers */
#define GML_CURVE_BELOW  24.0
#define GML_CURVE_POINTS 600 /* drawn; each is a mean of its share of the steps */

typedef struct point {
    double step, loss;
} point;

typedef gml_vec(point) points;

/* ---- reading ----------------------------------------------------------------------------- */

static void read_line(const char *line, size_t len, gml_arena *arena, points *out)
{
    json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *step = json_object_get(json, "step");
    const json_t *loss = json_object_get(json, "loss");
    point p = {json_number_value(step), json_number_value(loss)};
    if (json_is_number(step) && json_is_number(loss) && isfinite(p.step) && isfinite(p.loss))
        gml_push(arena, out, p);
    json_decref(json);
}

static gml_status read_log(const char *path, gml_arena *arena, points *out, gml_diags *diags)
{
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    const char *text = file.data;
    for (size_t at = 0; at < file.size;) {
        const char *end = memchr(text + at, '\n', file.size - at);
        size_t len = end != NULL ? (size_t)(end - text) - at : file.size - at;
        read_line(text + at, len, arena, out);
        at += len + 1;
    }
    gml_file_unmap(&file);
    if (out->count == 0)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                        "has no line with a step and its loss");
    return GML_OK;
}

/* ---- drawing ----------------------------------------------------------------------------- */

/* A share of the points each becomes their mean. */
static void thin(points *list)
{
    size_t share = (list->count + GML_CURVE_POINTS - 1) / GML_CURVE_POINTS;
    size_t n = 0;
    for (size_t first = 0; first < list->count; first += share) {
        size_t rest = list->count - first;
        size_t count = rest < share ? rest : share;
        point mean = {0};
        for (size_t i = first; i < first + count; i++) {
            mean.step += list->items[i].step / (double)count;
            mean.loss += list->items[i].loss / (double)count;
        }
        list->items[n++] = mean;
    }
    list->count = n;
}

static void find_bounds(const points *list, point *out_low, point *out_high)
{
    *out_low = (point){INFINITY, INFINITY};
    *out_high = (point){-INFINITY, -INFINITY};
    for (size_t i = 0; i < list->count; i++) {
        out_low->step = fmin(out_low->step, list->items[i].step);
        out_low->loss = fmin(out_low->loss, list->items[i].loss);
        out_high->step = fmax(out_high->step, list->items[i].step);
        out_high->loss = fmax(out_high->loss, list->items[i].loss);
    }
}

/* Where `value` of low … high lies on a side of `length`. */
static double place(double value, double low, double high, double length)
{
    return high > low ? (value - low) / (high - low) * length : length / 2;
}

static void draw_axes(point low, point high, gml_str *out)
{
    double bottom = GML_CURVE_HEIGHT - GML_CURVE_BELOW;
    for (int i = 0; i <= 4; i++) {
        double y = bottom - bottom * i / 4;
        gml_str_printf(out,
                       "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>"
                       "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                       GML_CURVE_LEFT, y, GML_CURVE_WIDTH, y, GML_CURVE_LEFT - 6,
                       i == 4 ? y + 10 : y, low.loss + (high.loss - low.loss) * i / 4);
    }
    gml_str_printf(out,
                   "<text x=\"%.1f\" y=\"%.1f\">step %.0f</text>"
                   "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">step %.0f</text>\n",
                   GML_CURVE_LEFT, GML_CURVE_HEIGHT - 4, low.step, GML_CURVE_WIDTH,
                   GML_CURVE_HEIGHT - 4, high.step);
}

static void draw(const points *list, gml_str *out)
{
    point low;
    point high;
    double bottom = GML_CURVE_HEIGHT - GML_CURVE_BELOW;
    find_bounds(list, &low, &high);
    gml_str_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n",
                   GML_CURVE_WIDTH, GML_CURVE_HEIGHT, GML_CURVE_WIDTH, GML_CURVE_HEIGHT);
    draw_axes(low, high, out);
    gml_str_puts(out, "<polyline class=\"curve\" points=\"");
    for (size_t i = 0; i < list->count; i++) {
        const point *p = &list->items[i];
        double x = GML_CURVE_LEFT +
                   place(p->step, low.step, high.step, GML_CURVE_WIDTH - GML_CURVE_LEFT);
        gml_str_printf(out, "%.1f,%.1f ", x,
                       bottom - place(p->loss, low.loss, high.loss, bottom));
    }
    gml_str_puts(out, "\"/>\n</svg>\n");
}

gml_status gml_report_curve(const char *log, gml_str *out, gml_diags *diags)
{
    gml_arena arena;
    points list = {NULL};
    gml_arena_init(&arena);
    gml_status status = read_log(log, &arena, &list, diags);
    if (status == GML_OK) {
        thin(&list);
        draw(&list, out);
    }
    gml_arena_reset(&arena);
    return status;
}
