/* cli/train_report.h - what is said of a training step. Private to cli/. */
#ifndef GML_CLI_TRAIN_REPORT_H
#define GML_CLI_TRAIN_REPORT_H

#include "api/events.h"
#include "api/session.h"
#include "base/str.h"

/* The results that are single numbers, in the model's order. `out_numbers` has room for one for
 * each output. */
size_t gml_train_numbers(const gml_model *model, const gml_rvalue *outputs,
                         gml_scalar *out_numbers);

/* A step as a line of text or JSON. */
typedef struct gml_train_line {
    int64_t step;
    int64_t training; /* which of several; -1: there is one */
    int64_t epoch;    /* -1: there are none */
    const gml_scalar *numbers;
    size_t n_numbers;
    double ms;   /* of a step */
    double rate; /* pictures a second; 0: there are none */
} gml_train_line;

/* To standard output. */
void gml_train_print(const gml_train_line *line, bool json);

/* What there is in `report`, to standard error; it is empty then. */
void gml_train_tell(gml_str *report);

/* Seconds of a clock that only runs forward. */
double gml_train_clock(void);

#endif
