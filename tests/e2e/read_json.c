/* tests/e2e/read_json.c - exit status 0 when standard input is one JSON value, all of it. */
#include <jansson.h>
#include <stdio.h>

int main(void)
{
    json_error_t error;
    json_t *value = json_loadf(stdin, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        fprintf(stderr, "line %d, column %d: %s\n", error.line, error.column, error.text);
        return 1;
    }
    size_t size = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    json_decref(value);
    if (size == 0)
        fputs("the value is empty\n", stderr);
    return size == 0;
}
