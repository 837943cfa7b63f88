#include "base/diag.h"

#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gml_diags_init(gml_diags *diags, gml_arena *arena)
{
    *diags = (gml_diags){.arena = arena};
}

/* Names come from files: a line break or an escape sequence in one must not reach a terminal.
 */
static void blank_controls(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

static const char *format_line(gml_arena *arena, const char *format, va_list args)
{
    char *text = gml_arena_vprintf(arena, format, args);
    blank_controls(text);
    return text;
}

static const char *keep(gml_arena *arena, const char *text)
{
    return text ? gml_arena_text(arena, text, strlen(text)) : NULL;
}

gml_status gml_fail(gml_diags *diags, gml_status status, gml_loc loc, const char *format, ...)
{
    assert(status != GML_OK);
    gml_diag diag = {.status = status, .loc = loc};
    diag.loc.file = keep(diags->arena, loc.file);
    diag.loc.node = keep(diags->arena, loc.node);
    diag.loc.op = keep(diags->arena, loc.op);
    va_list args;
    va_start(args, format);
    diag.text = format_line(diags->arena, format, args);
    va_end(args);
    gml_push(diags->arena, &diags->list, diag);
    return status;
}

void gml_note(gml_diags *diags, const char *format, ...)
{
    if (diags->list.count == 0)
        return;
    gml_diag *newest = &diags->list.items[diags->list.count - 1];
    va_list args;
    va_start(args, format);
    const char *text = format_line(diags->arena, format, args);
    va_end(args);
    gml_push(diags->arena, &newest->notes, text);
}

/* "FILE:LINE: NODE (OP): ", without what is not known. */
static void print_loc(gml_str *str, const gml_loc *loc)
{
    if (loc->file != NULL)
        gml_str_puts(str, loc->file);
    if (loc->line > 0)
        gml_str_printf(str, "%s%d", loc->file != NULL ? ":" : "line ", loc->line);
    if (loc->file != NULL || loc->line > 0)
        gml_str_puts(str, ": ");
    bool has_node = loc->node != NULL && *loc->node != '\0';
    bool has_op = loc->op != NULL && *loc->op != '\0';
    if (has_node && has_op)
        gml_str_printf(str, "%s (%s): ", loc->node, loc->op);
    else if (has_node || has_op)
        gml_str_printf(str, "%s: ", has_node ? loc->node : loc->op);
}

const char *gml_diags_print(const gml_diags *diags)
{
    gml_str str;
    gml_str_init(&str);
    for (size_t i = 0; i < diags->list.count; i++) {
        const gml_diag *diag = &diags->list.items[i];
        size_t start = str.len;
        print_loc(&str, &diag->loc);
        if (str.len > start)
            blank_controls(str.text + start);
        gml_str_printf(&str, "%s\n", diag->text);
        for (size_t j = 0; j < diag->notes.count; j++)
            gml_str_printf(&str, "  note: %s\n", diag->notes.items[j]);
    }
    const char *text = gml_arena_text(diags->arena, str.text, str.len);
    gml_str_reset(&str);
    return text;
}

void gml_diags_truncate(gml_diags *diags, size_t count)
{
    if (count < diags->list.count)
        diags->list.count = count;
}

void gml_bug(const char *file, int line, const char *what)
{
    fprintf(stderr, "gemel: internal error: %s:%d: %s\n", file, line, what);
    abort();
}
