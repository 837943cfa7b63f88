/* weights/mapping.c - which tensor of a file is which of a network's. */
#include "weights/mapping.h"

#include "base/str.h"

#include <ctype.h>
#include <string.h>

typedef enum row_kind {
    GML_ROW_MAP,
    GML_ROW_NEEDS,
    GML_ROW_TAKE,
    GML_ROW_MAY,
    GML_ROW_LEAVE,
    GML_ROW_FACT
} row_kind;

typedef struct row {
    const char *map;
    row_kind kind;
    const char *pattern;
    const char *text;
} row;

static const row rows[] = {
#define X(map, kind, pattern, text) {map, GML_ROW_##kind, pattern, text},
#include "weights/maps.def"
#undef X
};

#define GML_N_ROWS (sizeof rows / sizeof *rows)

/* Rows of other kinds give nothing here. */
#define GML_IF_MAP(map, text) {map, text},
#define GML_IF_NEEDS(map, text)
#define GML_IF_TAKE(map, text)
#define GML_IF_MAY(map, text)
#define GML_IF_LEAVE(map, text)
#define GML_IF_FACT(map, text)

static const gml_weights_map_info maps[] = {
#define X(map, kind, pattern, text) GML_IF_##kind(map, text)
#include "weights/maps.def"
#undef X
};

const gml_weights_map_info *gml_weights_maps(size_t *out_count)
{
    *out_count = sizeof maps / sizeof *maps;
    return maps;
}

const char *gml_weight_map_fact(const char *map, const char *key)
{
    for (size_t i = 0; map != NULL && i < GML_N_ROWS; i++)
        if (rows[i].kind == GML_ROW_FACT && strcmp(rows[i].map, map) == 0 &&
            strcmp(rows[i].pattern, key) == 0)
            return rows[i].text;
    return NULL;
}

/* ---- patterns ---------------------------------------------------------------------------- */

bool gml_weight_pattern_fits(const char *pattern, const char *name, gml_string *out_parts)
{
    gml_string ignored[2];
    gml_string *parts = out_parts != NULL ? out_parts : ignored;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '*') {
            size_t tail = strlen(pattern + 1);
            size_t len = strlen(name);
            if (len < tail)
                return false;
            /* one `*`: what follows is the end of the name, or, with another one, anywhere */
            if (strchr(pattern + 1, '*') == NULL) {
                parts[1] = (gml_string){name, len - tail};
                return strcmp(name + len - tail, pattern + 1) == 0;
            }
            for (size_t i = 0; i <= len; i++)
                if (gml_weight_pattern_fits(pattern + 1, name + i, parts))
                    return true;
            return false;
        }
        if (strncmp(pattern, "{i}", 3) == 0) {
            size_t digits = 0;
            while (isdigit((unsigned char)name[digits]))
                digits++;
            if (digits == 0)
                return false;
            parts[0] = (gml_string){name, digits};
            name += digits;
            pattern += 2;
        } else if (*pattern != *name++) {
            return false;
        }
    }
    return *name == '\0';
}

/* `text` with what its `{i}` and `*` stand for. */
static const char *fill_in(gml_arena *arena, const char *text, const gml_string *parts)
{
    gml_str str;
    gml_str_init(&str);
    for (; *text != '\0'; text++) {
        bool is_number = strncmp(text, "{i}", 3) == 0;
        if (is_number || *text == '*') {
            gml_str_append(&str, parts[!is_number].data, parts[!is_number].len);
            text += is_number ? 2 : 0;
        } else {
            gml_str_putc(&str, *text);
        }
    }
    const char *filled = gml_arena_text(arena, str.text, str.len);
    gml_str_reset(&str);
    return filled;
}

/* ---- which map, which prefix ------------------------------------------------------------- */

typedef struct finder {
    const gml_weight_table *table;
    const gml_weights_mapping *options;
    const char *prefix;             /* the only one that is looked at; NULL: any */
    gml_vec(const char *) prefixes; /* that fit the map */
} finder;

static bool has_all(const finder *f, const char *map, const char *prefix)
{
    for (size_t i = 0; i < GML_N_ROWS; i++) {
        if (rows[i].kind != GML_ROW_NEEDS || strcmp(rows[i].map, map) != 0)
            continue;
        const char *name = gml_arena_printf(f->table->arena, "%s%s", prefix, rows[i].pattern);
        if (!gml_map_has(&f->table->by_name, name))
            return false;
    }
    return true;
}

static const char *first_need(const char *map)
{
    for (size_t i = 0; i < GML_N_ROWS; i++)
        if (rows[i].kind == GML_ROW_NEEDS && strcmp(rows[i].map, map) == 0)
            return rows[i].pattern;
    return "";
}

static void find_prefixes(finder *f, const char *map)
{
    const char *need = first_need(map);
    size_t need_len = strlen(need);
    f->prefixes.count = 0;
    for (size_t i = 0; i < f->table->weights.count; i++) {
        const char *name = f->table->weights.items[i]->name;
        size_t len = strlen(name);
        if (len < need_len || strcmp(name + len - need_len, need) != 0 ||
            (len > need_len && name[len - need_len - 1] != '.'))
            continue;
        const char *prefix = gml_arena_text(f->table->arena, name, len - need_len);
        if ((f->prefix == NULL || strcmp(f->prefix, prefix) == 0) && has_all(f, map, prefix))
            gml_push(f->table->arena, &f->prefixes, prefix);
    }
}

/* No prefix at all is the file's own; of several others nobody knows which is meant. */
static gml_status choose_prefix(finder *f, const char *map, const char **out_prefix)
{
    for (size_t i = 0; i < f->prefixes.count; i++)
        if (*f->prefixes.items[i] == '\0') {
            *out_prefix = "";
            return GML_OK;
        }
    *out_prefix = f->prefixes.items[0];
    if (f->prefixes.count == 1)
        return GML_OK;
    (void)gml_weight_table_fail(f->table, GML_E_INVALID, NULL,
                                "holds several networks that the map %s fits", map);
    for (size_t i = 0; i < f->prefixes.count && i < 8; i++)
        gml_note(f->table->diags, "one begins with %s", f->prefixes.items[i]);
    gml_note(f->table->diags, "--prefix says which is meant");
    return GML_E_INVALID;
}

static gml_status fail_fit(const finder *f)
{
    const gml_weight_table *table = f->table;
    (void)gml_weight_table_fail(table, GML_E_INVALID, NULL, "%s fits none of its names%s%s",
                                f->options->map != NULL ? "the map" : "no map",
                                f->prefix != NULL ? " behind " : "",
                                f->prefix != NULL ? f->prefix : "");
    for (size_t i = 0; i < table->weights.count && i < 4; i++)
        gml_note(table->diags, "a tensor is called %s", table->weights.items[i]->name);
    return GML_E_INVALID;
}

static gml_status find_map(finder *f, gml_weight_mapping *out)
{
    bool is_known = f->options->map == NULL;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        if (f->options->map != NULL && strcmp(f->options->map, maps[i].name) != 0)
            continue;
        is_known = true;
        find_prefixes(f, maps[i].name);
        if (f->prefixes.count > 0) {
            out->map = maps[i].name;
            return choose_prefix(f, out->map, &out->prefix);
        }
    }
    if (is_known)
        return fail_fit(f);
    return gml_weight_table_fail(f->table, GML_E_USAGE, NULL, "there is no map '%s'",
                                 f->options->map);
}

/* ---- places ------------------------------------------------------------------------------ */

static bool is_left_by_name(const gml_weights_mapping *options, const char *name)
{
    for (size_t i = 0; i < options->n_leave; i++)
        if (gml_weight_pattern_fits(options->leave[i], name, NULL))
            return true;
    return false;
}

static void decide(gml_arena *arena, const char *map, const char *name, gml_weight_place *place)
{
    gml_string parts[2] = {{NULL, 0}, {NULL, 0}};
    place->fate = GML_WEIGHT_UNKNOWN;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < GML_N_ROWS; i++) {
            const row *r = &rows[i];
            bool may_fit =
                r->kind == GML_ROW_TAKE || r->kind == GML_ROW_MAY || r->kind == GML_ROW_LEAVE;
            if (!may_fit || strcmp(r->map, pass == 0 ? map : "") != 0 ||
                !gml_weight_pattern_fits(r->pattern, name, parts))
                continue;
            place->fate = r->kind == GML_ROW_LEAVE ? GML_WEIGHT_LEFT
                          : r->kind == GML_ROW_MAY ? GML_WEIGHT_OPTIONAL
                                                   : GML_WEIGHT_TAKEN;
            if (r->kind == GML_ROW_LEAVE)
                place->reason = r->text;
            else
                place->target = fill_in(arena, r->text, parts);
            return;
        }
}

static bool is_float(const gml_tensor *tensor)
{
    return gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT;
}

static gml_status add_place(gml_weight_table *table, const gml_weights_mapping *options,
                            const gml_weight *weight, gml_weight_mapping *out)
{
    size_t len = strlen(out->prefix);
    gml_weight_place *place = gml_new(table->arena, gml_weight_place);
    *place = (gml_weight_place){.weight = weight, .fate = GML_WEIGHT_LEFT};
    if (is_left_by_name(options, weight->name))
        place->reason = "as was asked for";
    else if (strncmp(weight->name, out->prefix, len) != 0)
        place->reason = "not behind the prefix";
    else if (!is_float(&weight->tensor))
        place->reason = "whole numbers are no weights";
    else
        decide(table->arena, out->map, weight->name + len, place);
    if (place->fate == GML_WEIGHT_UNKNOWN && weight->tensor.rank == 0) {
        place->fate = GML_WEIGHT_LEFT;
        place->reason = "a single number is no weight";
    }
    gml_push(table->arena, &out->places, place);
    if (place->target != NULL && gml_map_set(&out->by_target, place->target, place) != NULL)
        return gml_weight_table_fail(table, GML_E_INVALID, weight->name,
                                     "is a second tensor for %s", place->target);
    return GML_OK;
}

gml_status gml_weight_table_map(gml_weight_table *table, const gml_weights_mapping *options,
                                gml_weight_mapping *out)
{
    finder f = {.table = table, .options = options, .prefix = options->prefix};
    *out = (gml_weight_mapping){.map = NULL};
    gml_map_init(&out->by_target, table->arena);
    if (f.prefix != NULL && *f.prefix != '\0' && f.prefix[strlen(f.prefix) - 1] != '.')
        f.prefix = gml_arena_printf(table->arena, "%s.", f.prefix);
    GML_TRY(find_map(&f, out));
    for (size_t i = 0; i < table->weights.count; i++)
        GML_TRY(add_place(table, options, table->weights.items[i], out));
    return GML_OK;
}
