#include "base/quote.h"

#include <string.h>

void gml_quote_print(const char *bytes, size_t len, gml_str *out)
{
    gml_str_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte == '"' || byte == '\\')
            gml_str_printf(out, "\\%c", byte);
        else if (byte == '\n' || byte == '\t')
            gml_str_puts(out, byte == '\n' ? "\\n" : "\\t");
        else if (byte < 0x20 || byte == 0x7f)
            gml_str_printf(out, "\\x%02x", byte);
        else
            gml_str_putc(out, (char)byte);
    }
    gml_str_putc(out, '"');
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* Reads what follows a backslash; advances `*text` past it. */
static bool parse_escape(const char **text, char *out)
{
    const char *at = *text;
    switch (*at) {
    case '"':
    case '\\': *out = *at; break;
    case 'n': *out = '\n'; break;
    case 't': *out = '\t'; break;
    case 'x':
        if (hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
            return false;
        *out = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
        *text = at + 3;
        return true;
    default: return false;
    }
    *text = at + 1;
    return true;
}

bool gml_quote_parse(gml_arena *arena, const char **text, gml_string *out)
{
    const char *at = *text;
    if (*at != '"')
        return false;
    gml_str bytes;
    gml_str_init(&bytes);
    bool good = true;
    for (at++; good && *at != '"';) {
        char byte = *at;
        good = (unsigned char)byte >= 0x20;
        if (good) {
            at++;
            good = byte != '\\' || parse_escape(&at, &byte);
        }
        if (good)
            gml_str_putc(&bytes, byte);
    }
    if (good) {
        *out = (gml_string){gml_arena_text(arena, bytes.text, bytes.len), bytes.len};
        *text = at + 1;
    }
    gml_str_reset(&bytes);
    return good;
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

size_t gml_plain_name_len(const char *text)
{
    size_t len = 0;
    while (is_letter(text[len]) ||
           (len > 0 && ((text[len] >= '0' && text[len] <= '9') || text[len] == '.')))
        len++;
    return len;
}

bool gml_is_plain_name(const char *name)
{
    size_t len = gml_plain_name_len(name);
    return len != 0 && name[len] == '\0';
}
