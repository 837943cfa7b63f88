/* weights/table.c - tensors and texts by name. */
#include "weights/table.h"

#include <string.h>

#define GML_MAX_TEXT 200 /* bytes of a value that are kept */

void gml_weight_table_init(gml_weight_table *table, const char *file, gml_arena *arena,
                           gml_diags *diags)
{
    *table = (gml_weight_table){.file = file, .diags = diags, .arena = arena};
    gml_map_init(&table->by_name, arena);
}

gml_status gml_weight_table_fail(const gml_weight_table *table, gml_status status,
                                 const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = gml_arena_vprintf(table->diags->arena, format, args);
    va_end(args);
    return gml_fail(table->diags, status, (gml_loc){.file = table->file, .node = name}, "%s",
                    text);
}

static gml_status check_room(const gml_weight_table *table, const char *name)
{
    if (table->weights.count + table->texts.count >= GML_WEIGHTS_MAX_ENTRIES)
        return gml_weight_table_fail(table, GML_E_INVALID, NULL, "has more than %zu entries",
                                     GML_WEIGHTS_MAX_ENTRIES);
    if (strlen(name) > GML_WEIGHTS_MAX_NAME)
        return gml_weight_table_fail(table, GML_E_INVALID, NULL,
                                     "has a name of more than %d bytes", GML_WEIGHTS_MAX_NAME);
    return GML_OK;
}

gml_status gml_weight_table_add(gml_weight_table *table, const char *name,
                                const gml_tensor *tensor, bool is_turned)
{
    GML_TRY(check_room(table, name));
    gml_weight *weight = gml_new(table->arena, gml_weight);
    *weight = (gml_weight){.name = gml_arena_text(table->arena, name, strlen(name)),
                           .tensor = *tensor,
                           .is_turned = is_turned};
    if (gml_map_set(&table->by_name, name, weight) != NULL)
        return gml_weight_table_fail(table, GML_E_INVALID, weight->name,
                                     "two tensors have this name");
    gml_push(table->arena, &table->weights, weight);
    return GML_OK;
}

gml_status gml_weight_table_add_text(gml_weight_table *table, const char *name,
                                     const char *value, size_t len)
{
    GML_TRY(check_room(table, name));
    gml_weights_text text = {
        .name = gml_arena_text(table->arena, name, strlen(name)),
        .value = gml_arena_text(table->arena, value, len < GML_MAX_TEXT ? len : GML_MAX_TEXT)};
    gml_push(table->arena, &table->texts, text);
    return GML_OK;
}
