/* api/call.c - what a call of the public API has to say when it fails. */
#define _POSIX_C_SOURCE 200809L

#include "api/call.h"

#include "gemel/gemel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_key_t error_key;
static bool has_error_key;
static pthread_once_t error_once = PTHREAD_ONCE_INIT;

static void make_error_key(void)
{
    has_error_key = pthread_key_create(&error_key, free) == 0;
}

const char *gml_error_text(void)
{
    pthread_once(&error_once, make_error_key);
    const char *text = has_error_key ? pthread_getspecific(error_key) : NULL;
    return text ? text : "";
}

static void set_error_text(const char *text)
{
    pthread_once(&error_once, make_error_key);
    if (!has_error_key)
        return;
    char *copy = malloc(strlen(text) + 1);
    if (copy)
        memcpy(copy, text, strlen(text) + 1);
    free(pthread_getspecific(error_key));
    if (pthread_setspecific(error_key, copy) != 0)
        free(copy);
}

gml_diags *gml_call_begin(gml_call *c)
{
    gml_arena_init(&c->arena);
    gml_diags_init(&c->diags, &c->arena);
    return &c->diags;
}

gml_status gml_call_end(gml_call *c, gml_status status)
{
    if (status != GML_OK && c->diags.list.count == 0)
        (void)gml_fail(&c->diags, status, (gml_loc){0}, "%s", gml_status_text(status));
    if (status != GML_OK)
        set_error_text(gml_diags_print(&c->diags));
    gml_arena_reset(&c->arena);
    return status;
}

gml_status gml_call_misuse(const char *text)
{
    gml_call c;
    return gml_call_end(&c,
                        gml_fail(gml_call_begin(&c), GML_E_USAGE, (gml_loc){0}, "%s", text));
}
