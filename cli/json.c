/* cli/json.c - JSON on standard output, by jansson. */
#define _POSIX_C_SOURCE 200809L

#include "cli/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *gml_json_text(const char *text)
{
    if (!text)
        return json_null();
    json_t *json = json_string(text);
    if (json)
        return json;
    char *copy = strdup(text);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    json = copy ? json_string(copy) : NULL;
    free(copy);
    return json ? json : json_null();
}

json_t *gml_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int gml_json_print(json_t *value)
{
    int failed = !value || json_dumpf(value, stdout, JSON_INDENT(2)) != 0 || puts("") < 0 ||
                 fflush(stdout) != 0;
    json_decref(value);
    return failed ? 5 : 0;
}
