/* cli/json.h - JSON on standard output, by jansson. Private to cli/. */
#ifndef GML_CLI_JSON_H
#define GML_CLI_JSON_H

#include <jansson.h>

/* A JSON text; bytes that are no UTF-8, which names in models may have, become '?'. NULL gives
 * null. */
json_t *gml_json_text(const char *text);
/* A number; null for what JSON cannot write: infinities and NaN. */
json_t *gml_json_real(double value);
/* Prints `value` and a line end, and gives the reference up. The exit status: 0, or 5 when
 * nothing could be printed. */
int gml_json_print(json_t *value);

#endif
