/* cli/show.h - tensors on the terminal and in JSON. Private to cli/. */
#ifndef GML_CLI_SHOW_H
#define GML_CLI_SHOW_H

#include "api/session.h"

#include <jansson.h>

/* Prints "y: f32[2,3]" and the elements in nested brackets, long directions shortened to three
 * at either end. */
void gml_show_value(const char *name, const gml_rvalue *value);
/* {"type": …, "shape": […], "data": […]}: the data flat, and only when there are at most
 * `n_shown` elements; numbers that JSON lacks are texts. A new reference. */
json_t *gml_show_json(const gml_rvalue *value, int64_t n_shown);

#endif
