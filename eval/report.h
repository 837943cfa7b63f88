/* eval/report.h - an evaluation as a page: one HTML file that needs nothing else.
 *
 * Results, confusion of classes, nearest neighbours as pictures, and the loss of a training
 * when its log is given: the JSON lines of `gemel train --json`, of which those with numbers
 * "step" and "loss" count. Pictures are inside of the file, drawings are SVG.
 */
#ifndef GML_EVAL_REPORT_H
#define GML_EVAL_REPORT_H

#include "eval/eval.h"

/* The file appears whole or not at all. `log` may be NULL. GML_E_INVALID when the log has no
 * losses. */
GML_MUST_CHECK gml_status gml_eval_report(const gml_eval *eval, const char *path,
                                          const char *log);

/* ---- curve.c ------------------------------------------------------------------------------
 */

/* A curve as SVG, appended to `out`. */
GML_MUST_CHECK gml_status gml_report_curve(const char *log, gml_str *out, gml_diags *diags);

/* ---- pieces ------------------------------------------------------------------------------ */

/* Appends `text` with what HTML means otherwise replaced, control characters left out. */
void gml_report_text(gml_str *out, const char *text);

#endif
