/* api/pictures_plan.c - which views a model wants. */
#include "api/pictures_plan.h"

#include "data/geometry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GML_DEFAULT_PATCH 16

/* ---- what the model says ------------------------------------------------------------------
 */

/* The value of a word NAME=VALUE of the metadata; NULL: there is none. `*out_len` is its
 * length. */
static const char *find_word(const gml_model *model, const char *name, size_t *out_len)
{
    const gml_module *module = gml_model_module(model);
    size_t len = strlen(name);
    for (size_t i = 0; i < module->metadata.count; i++) {
        const gml_metadata *entry = &module->metadata.items[i];
        if (entry->key == NULL || entry->value == NULL || strcmp(entry->key, "gemel.data") != 0)
            continue;
        for (const char *at = entry->value; *at != '\0';) {
            size_t word = strcspn(at, " ");
            if (word > len && at[len] == '=' && memcmp(at, name, len) == 0) {
                *out_len = word - len - 1;
                return at + len + 1;
            }
            at += word + strspn(at + word, " ");
        }
    }
    return NULL;
}

static int64_t find_number(const gml_model *model, const char *name, int64_t fallback)
{
    size_t len = 0;
    const char *text = find_word(model, name, &len);
    char *end = NULL;
    long long value = text != NULL ? strtoll(text, &end, 10) : 0;
    return text != NULL && end == text + len && value > 0 ? (int64_t)value : fallback;
}

static bool is_word(const gml_model *model, const char *name, const char *expected)
{
    size_t len = 0;
    const char *text = find_word(model, name, &len);
    return text != NULL && len == strlen(expected) && memcmp(text, expected, len) == 0;
}

int64_t gml_pictures_steps(const gml_model *model)
{
    return find_number(model, "steps", 0);
}

/* ---- its inputs ---------------------------------------------------------------------------
 */

static gml_status refuse(const gml_model *model, const char *input, const char *what,
                         gml_diags *diags)
{
    return gml_fail(diags, GML_E_USAGE,
                    (gml_loc){.file = gml_model_source(model)->path, .node = input}, "%s",
                    what);
}

static size_t find_input(const gml_model *model, const char *name)
{
    for (size_t i = 0; i < gml_model_n_inputs(model); i++)
        if (strcmp(gml_model_inputs(model)[i].name, name) == 0)
            return i;
    return GML_NO_INPUT;
}

/* The only input that looks like pictures. */
static size_t find_pictures(const gml_model *model)
{
    size_t found = GML_NO_INPUT;
    for (size_t i = 0; i < gml_model_n_inputs(model); i++) {
        const gml_port *port = &gml_model_inputs(model)[i];
        if (port->kind != GML_PORT_TENSOR || port->rank != 4 || port->dims[1] != 3)
            continue;
        if (found != GML_NO_INPUT)
            return GML_NO_INPUT;
        found = i;
    }
    return found;
}

static gml_picture_places find_places(const gml_model *model)
{
    gml_picture_places at = {
        .views = {find_input(model, "x1"), find_input(model, "x2")},
        .visible = find_input(model, "visible"),
        .geometry = find_input(model, "geometry"),
        .labels = find_input(model, "labels"),
    };
    if (at.views[0] == GML_NO_INPUT)
        at.views[0] = find_pictures(model);
    return at;
}

/* Of `rank` dimensions, all of known sizes, of type `dtype`. */
static gml_status check_port(const gml_model *model, size_t index, gml_dtype dtype, int rank,
                             gml_diags *diags)
{
    const gml_port *port = &gml_model_inputs(model)[index];
    if (port->kind != GML_PORT_TENSOR || port->dtype != dtype || port->rank != rank)
        return refuse(
            model, port->name,
            gml_arena_printf(diags->arena, "is %s: no input for pictures", port->type), diags);
    for (int d = 0; d < rank; d++)
        if (port->dims[d] < 1)
            return refuse(model, port->name,
                          port->dim_names[d] != NULL
                              ? gml_arena_printf(diags->arena,
                                                 "its size %s is open: --dim %s=N gives one",
                                                 port->dim_names[d], port->dim_names[d])
                              : "has a size that is open",
                          diags);
    return GML_OK;
}

static gml_status check_size(const gml_model *model, size_t index, int dim, int64_t expected,
                             gml_diags *diags)
{
    const gml_port *port = &gml_model_inputs(model)[index];
    if (port->dims[dim] == expected)
        return GML_OK;
    return refuse(model, port->name,
                  gml_arena_printf(diags->arena,
                                   "is %s, where pictures need %" PRId64 " in dimension %d",
                                   port->type, expected, dim),
                  diags);
}

static gml_status check_view(const gml_model *model, size_t index, const gml_port *first,
                             gml_diags *diags)
{
    GML_TRY(check_port(model, index, first->dtype, 4, diags));
    GML_TRY(check_size(model, index, 0, first->dims[0], diags));
    GML_TRY(check_size(model, index, 1, 3, diags));
    GML_TRY(check_size(model, index, 2, first->dims[2], diags));
    return check_size(model, index, 3, first->dims[2], diags);
}

static gml_status check_inputs(const gml_model *model, const gml_picture_places *at,
                               gml_diags *diags)
{
    if (at->views[0] == GML_NO_INPUT)
        return refuse(model, NULL, "has no input x1, nor one of pictures alone", diags);
    const gml_port *first = &gml_model_inputs(model)[at->views[0]];
    gml_dtype dtype = first->dtype == GML_F64 ? GML_F64 : GML_F32;
    GML_TRY(check_port(model, at->views[0], dtype, 4, diags));
    for (int i = 0; i < 2; i++)
        if (at->views[i] != GML_NO_INPUT)
            GML_TRY(check_view(model, at->views[i], first, diags));
    if (at->visible != GML_NO_INPUT)
        GML_TRY(check_port(model, at->visible, GML_I64, 2, diags));
    if (at->geometry != GML_NO_INPUT) {
        GML_TRY(check_port(model, at->geometry, dtype, 2, diags));
        GML_TRY(check_size(model, at->geometry, 1, GML_GEOMETRY, diags));
        if (at->views[1] == GML_NO_INPUT)
            return refuse(model, "geometry", "is there, and no second view x2", diags);
    }
    if (at->labels != GML_NO_INPUT)
        GML_TRY(check_port(model, at->labels, GML_I64, 1, diags));
    const size_t others[] = {at->visible, at->geometry, at->labels};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] != GML_NO_INPUT)
            GML_TRY(check_size(model, others[i], 0, first->dims[0], diags));
    return GML_OK;
}

/* ---- the plan -----------------------------------------------------------------------------
 */

static void set_unless_negative(double *place, double value)
{
    if (!(value < 0))
        *place = value;
}

/* Where neither option nor metadata say it: the recipe is SiameseIM's if patches are masked. */
static bool has_color(const gml_model *model, const gml_picture_places *at,
                      const gml_pictures_options *o)
{
    size_t len = 0;
    if (o->color != GML_AS_THE_MODEL_SAYS)
        return o->color == GML_CHOOSE_YES;
    if (find_word(model, "color", &len) != NULL)
        return is_word(model, "color", "on");
    return at->visible != GML_NO_INPUT;
}

static void plan_views(gml_loader_options *plan, const gml_pictures_options *o, bool color,
                       int64_t size)
{
    for (int i = 0; i < 2; i++) {
        gml_recipe *recipe = &plan->views[i];
        recipe->size = size;
        if (!color)
            gml_recipe_drop_colors(recipe);
        set_unless_negative(&recipe->crop_min, o->crop_min);
        set_unless_negative(&recipe->flip, o->flip);
        if (o->color == GML_CHOOSE_NO)
            continue;
        set_unless_negative(&recipe->jitter, o->jitter);
        set_unless_negative(&recipe->grey, o->grey);
        set_unless_negative(&recipe->blur, o->blur[i]);
        if (i == 1)
            set_unless_negative(&recipe->solarise, o->solarise);
    }
}

/* A model that sees all of a view has one patch, which is not masked. */
static gml_status plan_mask(gml_loader_options *plan, const gml_model *model,
                            const gml_pictures_options *o, const gml_picture_places *at,
                            gml_diags *diags)
{
    int64_t size = plan->views[0].size;
    plan->mask = (gml_mask){.grid = 1, .block_min = 1, .aspect_max = 1};
    if (at->visible == GML_NO_INPUT)
        return GML_OK;
    int64_t patch = o->patch > 0 ? o->patch : find_number(model, "patch", GML_DEFAULT_PATCH);
    if (patch > size || size % patch != 0 || size / patch > GML_MAX_GRID)
        return refuse(model, "visible",
                      gml_arena_printf(diags->arena,
                                       "pictures of %" PRId64
                                       " pixels have no patches of %" PRId64,
                                       size, patch),
                      diags);
    int64_t grid = size / patch;
    int64_t n_visible = gml_model_inputs(model)[at->visible].dims[1];
    if (n_visible > grid * grid)
        return refuse(model, "visible",
                      gml_arena_printf(diags->arena,
                                       "%" PRId64 " visible patches of %" PRId64
                                       ": the patch's size is another (--patch)",
                                       n_visible, grid * grid),
                      diags);
    plan->mask = gml_mask_siameseim(grid);
    plan->mask.masked = grid * grid - n_visible;
    plan->mask.random =
        o->random_mask == GML_CHOOSE_YES ||
        (o->random_mask == GML_AS_THE_MODEL_SAYS && is_word(model, "mask", "random"));
    return GML_OK;
}

gml_status gml_pictures_make_plan(const gml_model *model, const gml_pictures_options *o,
                                  gml_loader_options *out_plan, gml_picture_places *out_places,
                                  gml_diags *diags)
{
    gml_picture_places at = find_places(model);
    GML_TRY(check_inputs(model, &at, diags));
    const gml_port *first = &gml_model_inputs(model)[at.views[0]];
    gml_loader_options plan = gml_loader_siameseim(first->dims[0]);
    plan.n_views = at.views[1] != GML_NO_INPUT ? 2 : 1;
    plan.seed = o->seed;
    plan.n_workers = o->n_workers;
    plan.ahead = o->ahead;
    plan.fast_jpeg = o->fast_jpeg;
    plan.max_bad = o->max_bad;
    plan.first_epoch = o->first_epoch;
    plan.first_batch = o->first_batch;
    plan.bad_before = o->bad_before;
    plan_views(&plan, o, has_color(model, &at, o), first->dims[2]);
    GML_TRY(plan_mask(&plan, model, o, &at, diags));
    *out_plan = plan;
    *out_places = at;
    return GML_OK;
}
