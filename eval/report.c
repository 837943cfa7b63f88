#include "eval/report.h"

#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GML_SHOWN_QUERIES    16
#define GML_SHOWN_NEIGHBOURS 8
#define GML_THUMBNAIL        64 /* pixels */
#define GML_MAX_DRAWN        64 /* classes of a confusion matrix */

static const char style[] =
    "body{font:14px/1.5 sans-serif;max-width:60em;margin:2em auto;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.15em .8em;text-align:right}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    "th{border-bottom:1px solid #888}svg text{font:11px sans-serif;fill:#333}"
    ".grid{stroke:#ddd}.curve{fill:none;stroke:#1667a8;stroke-width:1.5}"
    "img{width:64px;height:64px;border:3px solid #ccc;margin:1px;image-rendering:pixelated}"
    "img.right{border-color:#2a8f3c}img.wrong{border-color:#c2352b}"
    ".row{white-space:nowrap}.row span{display:inline-block;width:1.5em}";

void gml_report_text(gml_str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': gml_str_puts(out, "&amp;"); break;
        case '<': gml_str_puts(out, "&lt;"); break;
        case '>': gml_str_puts(out, "&gt;"); break;
        case '"': gml_str_puts(out, "&quot;"); break;
        case '\'': gml_str_puts(out, "&#39;"); break;
        default:
            if ((unsigned char)*text >= ' ' && *text != 0x7f)
                gml_str_putc(out, *text);
        }
    }
}

static const char *class_name(const gml_eval *e, int64_t class)
{
    return gml_dataset_class_name(e->train.dataset, (uint32_t) class);
}

/* ---- tables ------------------------------------------------------------------------------ */

static void add_features(const gml_eval *e, gml_str *out)
{
    gml_str_puts(out, "<h2>Features</h2>\n<table><tr><th>kind</th><th></th><th>size</th>"
                      "<th>effective rank</th></tr>\n");
    for (int k = 0; k < e->n_kinds; k++) {
        gml_str_puts(out, "<tr><td>");
        gml_report_text(out, e->kinds[k].name);
        gml_str_printf(out, "</td><td></td><td>%" PRId64 "</td><td>", e->kinds[k].dim);
        if (!isnan(e->kinds[k].rank))
            gml_str_printf(out, "%.2f", e->kinds[k].rank);
        gml_str_puts(out, "</td></tr>\n");
    }
    gml_str_puts(out, "</table>\n");
}

static void add_result(const gml_eval_result *r, gml_str *out)
{
    gml_str_printf(out, "<tr><td>%s</td><td>", gml_eval_method_name(r->method));
    gml_report_text(out, r->features);
    gml_str_printf(out, "</td><td>%.2f %%</td><td>", 100 * gml_scores_accuracy(&r->scores));
    if (r->scores.has_top5)
        gml_str_printf(out, "%.2f %%",
                       100 * (double)r->scores.right5 / (double)r->scores.count);
    gml_str_printf(out, "</td><td>%.2f %%</td><td>", 100 * gml_scores_balanced(&r->scores));
    for (size_t i = 0; i < GML_EVAL_DETAILS && r->details[i].name != NULL; i++)
        gml_str_printf(out, "%s%s %.4g", i > 0 ? ", " : "", r->details[i].name,
                       r->details[i].value);
    gml_str_puts(out, "</td></tr>\n");
}

static void add_results(const gml_eval *e, gml_str *out)
{
    gml_str_puts(out, "<h2>Accuracy</h2>\n<table><tr><th>method</th><th>features</th>"
                      "<th>top 1</th><th>top 5</th><th>mean of classes</th><th></th></tr>\n");
    for (size_t i = 0; i < e->results.count; i++)
        add_result(&e->results.items[i], out);
    gml_str_puts(out, "</table>\n");
}

/* ---- confusion --------------------------------------------------------------------------- */

/* A row's cell: the darker the larger its share of the row. */
static void add_cell(const gml_scores *s, int64_t row, int64_t column, double size, double left,
                     gml_str *out)
{
    int64_t count = s->confusion[row * s->n_classes + column];
    int64_t total = 0;
    for (int64_t k = 0; k < s->n_classes; k++)
        total += s->confusion[row * s->n_classes + k];
    if (count == 0)
        return;
    double share = (double)count / (double)total;
    double x = left + (double)column * size;
    double y = (double)row * size;
    gml_str_printf(out,
                   "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                   "fill-opacity=\"%.3f\"/>",
                   x, y, size, size, row == column ? "#2a8f3c" : "#c2352b",
                   0.08 + 0.92 * share);
    if (size >= 20)
        gml_str_printf(out,
                       "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%" PRId64 "</text>",
                       x + size / 2, y + size / 2 + 4, count);
}

static void add_matrix(const gml_eval *e, const gml_eval_result *r, gml_str *out)
{
    const gml_scores *s = &r->scores;
    double size = s->n_classes <= 24 ? 28 : 12;
    double left = 180;
    double side = (double)s->n_classes * size;
    gml_str_printf(out, "<h3>%s, ", gml_eval_method_name(r->method));
    gml_report_text(out, r->features);
    gml_str_printf(out,
                   "</h3>\n<svg viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n",
                   left + side, side, left + side, side);
    for (int64_t row = 0; row < s->n_classes; row++) {
        double share = gml_scores_class(s, row);
        gml_str_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", left - 6,
                       ((double)row + 0.5) * size + 4);
        gml_report_text(out, class_name(e, row));
        if (!isnan(share))
            gml_str_printf(out, " %.1f %%", 100 * share);
        gml_str_puts(out, "</text>");
        for (int64_t column = 0; column < s->n_classes; column++)
            add_cell(s, row, column, size, left, out);
        gml_str_puts(out, "\n");
    }
    gml_str_printf(out,
                   "<rect x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
                   "stroke=\"#888\"/>\n</svg>\n",
                   left, side, side);
}

static void add_confusion(const gml_eval *e, gml_str *out)
{
    gml_str_puts(out, "<h2>Which class is taken for which</h2>\n"
                      "<p>A row is a class, with the share of it that is right; columns are "
                      "predictions, in the same order.</p>\n");
    if (e->train.n_classes > GML_MAX_DRAWN) {
        gml_str_printf(out, "<p>%" PRIu32 " classes are too many to be drawn.</p>\n",
                       e->train.n_classes);
        return;
    }
    for (size_t i = 0; i < e->results.count; i++)
        add_matrix(e, &e->results.items[i], out);
}

/* ---- neighbours -------------------------------------------------------------------------- */

static void add_base64(gml_str *out, const unsigned char *bytes, size_t len)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        unsigned word = (unsigned)bytes[i] << 16;
        word |= i + 1 < len ? (unsigned)bytes[i + 1] << 8 : 0;
        word |= i + 2 < len ? bytes[i + 2] : 0;
        gml_str_putc(out, digits[word >> 18]);
        gml_str_putc(out, digits[word >> 12 & 63]);
        gml_str_putc(out, i + 1 < len ? digits[word >> 6 & 63] : '=');
        gml_str_putc(out, i + 2 < len ? digits[word & 63] : '=');
    }
}

/* `title` and `class` are ours. */
static gml_status add_picture(const gml_eval_set *set, uint32_t i, const char *class,
                              const char *title, gml_str *out, gml_diags *diags)
{
    gml_str file;
    gml_str_init(&file);
    gml_status status = gml_eval_thumbnail(set, i, GML_THUMBNAIL, &file, diags);
    if (status == GML_OK) {
        gml_str_printf(out, "<img class=\"%s\" title=\"", class);
        gml_report_text(out, title);
        gml_str_puts(out, "\" alt=\"\" src=\"data:image/jpeg;base64,");
        add_base64(out, (const unsigned char *)file.text, file.len);
        gml_str_puts(out, "\">");
    }
    gml_str_reset(&file);
    return status;
}

static gml_status add_query(const gml_eval *e, int64_t query, gml_str *out)
{
    const gml_knn *knn = &e->shown;
    gml_diags *diags = e->context.diags;
    int64_t label = e->test.labels[query];
    gml_str_puts(out, "<div class=\"row\">");
    GML_TRY(add_picture(&e->test, (uint32_t)query, "query", class_name(e, label), out, diags));
    gml_str_puts(out, "<span></span>");
    for (int64_t j = 0; j < knn->k && j < GML_SHOWN_NEIGHBOURS; j++) {
        int64_t row = knn->neighbours[query * knn->k + j];
        int64_t class = e->train.labels[row];
        const char *title = gml_arena_printf(e->context.arena, "%s, %.3f", class_name(e, class),
                                             (double)knn->similarities[query * knn->k + j]);
        GML_TRY(add_picture(&e->train, (uint32_t)row, class == label ? "right" : "wrong", title,
                            out, diags));
    }
    gml_str_puts(out, "</div>\n");
    return GML_OK;
}

/* Test pictures spread over the set, which is in order of the classes. */
static gml_status add_neighbours(const gml_eval *e, gml_str *out)
{
    int64_t n = e->test.count;
    int64_t shown = n < GML_SHOWN_QUERIES ? n : GML_SHOWN_QUERIES;
    if (e->shown.k == 0)
        return GML_OK;
    gml_str_puts(out, "<h2>Nearest neighbours, ");
    gml_report_text(out, e->kinds[0].name);
    gml_str_puts(out,
                 "</h2>\n<p>A test picture, and the training pictures nearest to it; green "
                 "ones are of its class.</p>\n");
    for (int64_t i = 0; i < shown; i++)
        GML_TRY(add_query(e, (2 * i + 1) * n / (2 * shown), out));
    return GML_OK;
}

/* ---- the page ---------------------------------------------------------------------------- */

static void add_head(const gml_eval *e, gml_str *out)
{
    const char *model = e->options->backbone.path;
    model = model != NULL ? model : "pixels";
    gml_str_puts(out,
                 "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    gml_report_text(out, model);
    gml_str_printf(out, "</title><style>%s</style></head><body>\n<h1>", style);
    gml_report_text(out, model);
    gml_str_printf(out, "</h1>\n<p>%" PRIu32 " training pictures (", e->train.count);
    gml_report_text(out, e->options->train);
    gml_str_printf(out, "), %" PRIu32 " test pictures (", e->test.count);
    gml_report_text(out, e->options->test);
    gml_str_printf(out,
                   "), %" PRIu32 " classes; the shorter side resized to %" PRId64
                   ", the middle %" PRId64 " pixels.</p>\n",
                   e->train.n_classes, e->recipe.resize, e->recipe.crop);
}

static gml_status fill(const gml_eval *e, const char *log, gml_str *out)
{
    add_head(e, out);
    add_results(e, out);
    add_features(e, out);
    if (log != NULL) {
        gml_str_puts(out, "<h2>Loss</h2>\n");
        GML_TRY(gml_report_curve(log, out, e->context.diags));
    }
    GML_TRY(add_neighbours(e, out));
    add_confusion(e, out);
    gml_str_puts(out, "</body></html>\n");
    return GML_OK;
}

gml_status gml_eval_report(const gml_eval *eval, const char *path, const char *log)
{
    gml_str page;
    gml_str_init(&page);
    gml_status status = fill(eval, log, &page);
    if (status == GML_OK)
        status = gml_file_write(path, page.text, page.len, eval->context.diags);
    gml_str_reset(&page);
    return status;
}
