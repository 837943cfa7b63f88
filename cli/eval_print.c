/* cli/eval_print.c - results of an evaluation as text and JSON. */
#include "cli/eval.h"
#include "cli/json.h"
#include "eval/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- text -------------------------------------------------------------------------------- */

static void print_details(const gml_eval_result *result)
{
    for (size_t i = 0; i < GML_EVAL_DETAILS && result->details[i].name != NULL; i++)
        printf("%s%s %.4g", i > 0 ? ", " : "", result->details[i].name,
               result->details[i].value);
}

static void print_confusion(const gml_eval *e, const gml_scores *scores)
{
    for (int64_t k = 0; k < scores->n_classes; k++) {
        printf("    %-16s %5.1f %%  ", gml_dataset_class_name(e->train.dataset, (uint32_t)k),
               100 * gml_scores_class(scores, k));
        for (int64_t other = 0; other < scores->n_classes; other++)
            printf(" %4" PRId64, scores->confusion[k * scores->n_classes + other]);
        puts("");
    }
}

static void print_text(const gml_eval *e, const gml_cli_eval_output *output)
{
    printf("%" PRIu32 " training and %" PRIu32 " test pictures, %" PRIu32 " classes\n\n",
           e->train.count, e->test.count, e->train.n_classes);
    printf("  %-12s %6s  effective rank\n", "features", "size");
    for (int k = 0; k < e->n_kinds; k++) {
        printf("  %-12s %6" PRId64, e->kinds[k].name, e->kinds[k].dim);
        if (!isnan(e->kinds[k].rank))
            printf("  %.2f", e->kinds[k].rank);
        puts("");
    }
    printf("\n  %-8s %-12s %8s %10s %10s\n", "method", "features", "top 1", "top 5",
           "by class");
    for (size_t i = 0; i < e->results.count; i++) {
        const gml_eval_result *r = &e->results.items[i];
        printf("  %-8s %-12s %6.2f %% ", gml_eval_method_name(r->method), r->features,
               100 * gml_scores_accuracy(&r->scores));
        if (r->scores.has_top5)
            printf("%8.2f %% ", 100 * (double)r->scores.right5 / (double)r->scores.count);
        else
            printf("%10s ", "-");
        printf("%8.2f %%  ", 100 * gml_scores_balanced(&r->scores));
        print_details(r);
        puts("");
        if (output->confusion)
            print_confusion(e, &r->scores);
    }
}

/* ---- JSON -------------------------------------------------------------------------------- */

static json_t *describe_kinds(const gml_eval *e)
{
    json_t *list = json_array();
    for (int k = 0; k < e->n_kinds; k++)
        (void)json_array_append_new(list, json_pack("{s:o, s:I, s:o}", "name",
                                                    gml_json_text(e->kinds[k].name), "size",
                                                    (json_int_t)e->kinds[k].dim, "rank",
                                                    gml_json_real(e->kinds[k].rank)));
    return list;
}

static json_t *describe_result(const gml_eval_result *r)
{
    const gml_scores *s = &r->scores;
    json_t *classes = json_array();
    json_t *confusion = json_array();
    for (int64_t k = 0; k < s->n_classes; k++) {
        json_t *row = json_array();
        for (int64_t other = 0; other < s->n_classes; other++)
            (void)json_array_append_new(row,
                                        json_integer(s->confusion[k * s->n_classes + other]));
        (void)json_array_append_new(confusion, row);
        (void)json_array_append_new(classes, gml_json_real(gml_scores_class(s, k)));
    }
    json_t *object = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "method", gml_eval_method_name(r->method),
        "features", gml_json_text(r->features), "accuracy",
        gml_json_real(gml_scores_accuracy(s)), "top5",
        s->has_top5 ? gml_json_real((double)s->right5 / (double)s->count) : json_null(),
        "balanced", gml_json_real(gml_scores_balanced(s)), "right", (json_int_t)s->right,
        "count", (json_int_t)s->count);
    for (size_t i = 0; i < GML_EVAL_DETAILS && r->details[i].name != NULL; i++)
        (void)json_object_set_new(object, r->details[i].name,
                                  gml_json_real(r->details[i].value));
    (void)json_object_set_new(object, "classes", classes);
    (void)json_object_set_new(object, "confusion", confusion);
    return object;
}

static int print_json(const gml_eval *e)
{
    json_t *classes = json_array();
    json_t *results = json_array();
    for (uint32_t k = 0; k < e->train.n_classes; k++)
        (void)json_array_append_new(classes,
                                    gml_json_text(gml_dataset_class_name(e->train.dataset, k)));
    for (size_t i = 0; i < e->results.count; i++)
        (void)json_array_append_new(results, describe_result(&e->results.items[i]));
    return gml_json_print(json_pack(
        "{s:o, s:I, s:I, s:o, s:o, s:o}", "model", gml_json_text(e->options->backbone.path),
        "train", (json_int_t)e->train.count, "test", (json_int_t)e->test.count, "classes",
        classes, "features", describe_kinds(e), "results", results));
}

gml_status gml_cli_eval_print(const gml_eval *eval, const gml_cli_eval_output *output)
{
    if (output->report != NULL)
        GML_TRY(gml_eval_report(eval, output->report, output->log));
    if (!output->json)
        print_text(eval, output);
    int failed = output->json ? print_json(eval) : fflush(stdout) != 0;
    if (failed != 0)
        return gml_fail(eval->context.diags, GML_E_IO, (gml_loc){0},
                        "cannot write to standard output");
    return GML_OK;
}
