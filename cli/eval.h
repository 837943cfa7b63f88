/* cli/eval.h - what `gemel eval` says. Private to cli/. */
#ifndef GML_CLI_EVAL_H
#define GML_CLI_EVAL_H

#include "eval/eval.h"

typedef struct gml_cli_eval_output {
    const char *report; /* an HTML file; NULL: none */
    const char *log;    /* of a training, for the report; NULL: none */
    bool json, confusion;
} gml_cli_eval_output;

/* Prints the results and writes the report. */
GML_MUST_CHECK gml_status gml_cli_eval_print(const gml_eval *eval,
                                             const gml_cli_eval_output *output);

#endif
