/* cli/train_report.c - a training step as a line. */
#define _POSIX_C_SOURCE 200809L

#include "cli/train_report.h"

#include "cli/json.h"
#include "runtime/host.h"

#include <stdio.h>
#include <time.h>

static bool is_number(const gml_rvalue *value)
{
    gml_dtype_class class = gml_dtype_get_class(value->tensor.dtype);
    return value->kind == GML_RVALUE_TENSOR && gml_tensor_numel(&value->tensor) == 1 &&
           class != GML_CLASS_STRING && class != GML_CLASS_COMPLEX;
}

static double number_of(const gml_tensor *tensor)
{
    return gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT
               ? gml_host_get_float(tensor, 0)
               : (double)gml_host_get_int(tensor, 0);
}

size_t gml_train_numbers(const gml_model *model, const gml_rvalue *outputs,
                         gml_scalar *out_numbers)
{
    size_t n = 0;
    for (size_t i = 0; i < gml_model_n_outputs(model); i++)
        if (is_number(&outputs[i]))
            out_numbers[n++] =
                (gml_scalar){gml_model_outputs(model)[i].name, number_of(&outputs[i].tensor)};
    return n;
}

static void print_json(const gml_train_line *line)
{
    json_t *json = json_object();
    (void)json_object_set_new(json, "step", json_integer(line->step));
    if (line->training >= 0)
        (void)json_object_set_new(json, "training", json_integer(line->training));
    if (line->epoch >= 0)
        (void)json_object_set_new(json, "epoch", json_integer(line->epoch));
    for (size_t i = 0; i < line->n_numbers; i++)
        (void)json_object_set_new(json, line->numbers[i].name,
                                  gml_json_real(line->numbers[i].value));
    (void)json_object_set_new(json, "ms", gml_json_real(line->ms));
    if (line->rate > 0)
        (void)json_object_set_new(json, "img_s", gml_json_real(line->rate));
    if (json_dumpf(json, stdout, JSON_COMPACT) == 0)
        putchar('\n');
    json_decref(json);
}

static void print_text(const gml_train_line *line)
{
    printf("step %lld", (long long)line->step);
    if (line->training >= 0)
        printf(" of training %lld", (long long)line->training);
    if (line->epoch >= 0)
        printf("  epoch %lld", (long long)line->epoch);
    for (size_t i = 0; i < line->n_numbers; i++)
        printf("  %s %.9g", line->numbers[i].name, line->numbers[i].value);
    if (line->rate > 0)
        printf("  %.1f img/s", line->rate);
    printf("  %.1f ms\n", line->ms);
}

void gml_train_print(const gml_train_line *line, bool json)
{
    if (json)
        print_json(line);
    else
        print_text(line);
}

void gml_train_tell(gml_str *report)
{
    if (report->len == 0)
        return;
    fputs(report->text, stderr);
    gml_str_reset(report);
    gml_str_init(report);
}

double gml_train_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
