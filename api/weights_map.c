/* api/weights_map.c - weights under the names of a network. */
#include "api/weights.h"
#include "runtime/value.h"
#include "weights/elements.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- how matrices are stored ---------------------------------------------------------------
 *
 * A framework stores a linear layer's matrix (out, in), gemel's models store it (in, out) and
 * say so in their metadata, as their checkpoints do. Where nothing is said the bias, of `out`
 * elements, tells the two apart where in is not out, and square matrices stand as the others
 * do. */

static const gml_tensor *bias_of(const gml_weights *w, const char *name)
{
    static const char end[] = ".weight";
    size_t len = strlen(name);
    if (len < sizeof end || strcmp(name + len - sizeof end + 1, end) != 0)
        return NULL;
    char *bias =
        gml_arena_printf(w->table.diags->arena, "%.*s.bias", (int)(len - sizeof end + 1), name);
    const gml_weight_place *place = gml_map_find(&w->mapping.by_target, bias);
    bool is_vector = place != NULL && place->weight->tensor.rank == 1;
    return is_vector ? &place->weight->tensor : NULL;
}

/* -1: as the framework, 1: turned, 0: either, or no matrix with a bias. */
static int orientation(const gml_weights *w, const gml_weight_place *place)
{
    const gml_tensor *matrix = &place->weight->tensor;
    const gml_tensor *bias =
        place->target != NULL && matrix->rank == 2 ? bias_of(w, place->target) : NULL;
    if (bias == NULL || matrix->dims[0] == matrix->dims[1])
        return 0;
    return matrix->dims[0] == bias->dims[0] ? -1 : matrix->dims[1] == bias->dims[0] ? 1 : 0;
}

static void find_turned(gml_weights *w)
{
    bool is_turned = false;
    for (size_t i = 0; i < w->mapping.places.count; i++)
        is_turned = is_turned || orientation(w, w->mapping.places.items[i]) > 0;
    for (size_t i = 0; is_turned && i < w->mapping.places.count; i++) {
        const gml_weight_place *place = w->mapping.places.items[i];
        bool has_bias = place->target != NULL && place->weight->tensor.rank == 2 &&
                        bias_of(w, place->target) != NULL;
        if (has_bias && orientation(w, place) >= 0)
            w->table.weights.items[i]->is_turned = true;
    }
}

/* ---- the map ------------------------------------------------------------------------------
 */

void gml_weights_map(gml_weights *weights, const gml_weights_mapping *mapping)
{
    if (weights->status != GML_OK)
        return;
    weights->status = gml_weight_table_map(&weights->table, mapping, &weights->mapping);
    if (weights->status == GML_OK && !weights->knows_turned)
        find_turned(weights);
}

const char *gml_weights_map_name(const gml_weights *weights)
{
    return weights->mapping.map;
}

const char *gml_weights_prefix(const gml_weights *weights)
{
    return weights->mapping.prefix;
}

gml_weight_fate gml_weights_get_fate(const gml_weights *weights, size_t i,
                                     const char **out_text)
{
    const gml_weight_place *place = weights->mapping.places.items[i];
    *out_text = place->target != NULL ? place->target : place->reason;
    if (*out_text == NULL)
        *out_text = "";
    return place->fate;
}

const char *gml_weights_fact(const gml_weights *weights, const char *key)
{
    return gml_weight_map_fact(weights->mapping.map, key);
}

static gml_weight_place *find_place(const gml_weights *w, const char *name)
{
    return w->mapping.map != NULL ? gml_map_find(&w->mapping.by_target, name) : NULL;
}

const gml_weight *gml_weights_find(const gml_weights *weights, const char *name)
{
    const gml_weight_place *place = find_place(weights, name);
    return place != NULL ? place->weight : NULL;
}

const gml_weight *gml_weights_use(gml_weights *weights, const char *name)
{
    gml_weight_place *place = find_place(weights, name);
    if (place == NULL)
        return NULL;
    place->is_used = true;
    return place->weight;
}

gml_status gml_weights_check_used(gml_weights *weights, gml_diags *diags)
{
    gml_status status = GML_OK;
    size_t n_more = 0;
    for (size_t i = 0; i < weights->mapping.places.count; i++) {
        const gml_weight_place *place = weights->mapping.places.items[i];
        bool is_idle = place->fate == GML_WEIGHT_TAKEN && !place->is_used;
        if (!is_idle && place->fate != GML_WEIGHT_UNKNOWN)
            continue;
        if (status == GML_OK)
            status = gml_fail(
                diags, GML_E_INVALID,
                (gml_loc){.file = weights->table.file, .node = place->weight->name},
                is_idle ? "the network has no place for it" : "no row of the map %s fits it",
                weights->mapping.map);
        else if (n_more++ < 8)
            gml_note(diags, "nor has %s a place", place->weight->name);
    }
    if (n_more > 8)
        gml_note(diags, "and %zu more", n_more - 8);
    if (status != GML_OK)
        gml_note(diags, "--leave NAME leaves a tensor out, if it is of no use");
    return status;
}

/* ---- positions ----------------------------------------------------------------------------
 */

static int64_t square_root(int64_t n)
{
    int64_t root = (int64_t)llround(sqrt((double)n));
    return root * root == n ? root : -1;
}

static gml_status fit(gml_weights *w, gml_weight *weight, int64_t n_before, gml_grid grid)
{
    gml_tensor *table = &weight->tensor;
    gml_loc loc = {.file = w->table.file, .node = weight->name};
    int64_t side = table->rank == 3 && table->dims[0] == 1 && table->dims[1] > n_before
                       ? square_root(table->dims[1] - n_before)
                       : -1;
    if (side < 1 || table->dims[2] < 1 || !gml_elements_allow(table->dtype))
        return gml_fail(&w->diags, GML_E_SHAPE, loc,
                        "is no table of positions: %" PRId64
                        " rows and those of a square grid are expected",
                        n_before);
    if (side == grid.rows && side == grid.columns)
        return GML_OK;
    int64_t channels = table->dims[2];
    gml_tensor made = {.dtype = GML_F32,
                       .rank = 3,
                       .dims = {1, n_before + grid.rows * grid.columns, channels}};
    size_t bytes = 0;
    if (!gml_tensor_bytes(&made, &bytes) || bytes > UINT32_MAX)
        return gml_fail(&w->diags, GML_E_SHAPE, loc, "cannot be brought to so large a grid");
    float *to = gml_arena_alloc(&w->arena, bytes);
    const char *from = table->data;
    size_t first = (size_t)(n_before * channels);
    gml_elements_convert(table->dtype, from, GML_F32, to, first);
    gml_elements_resize(table->dtype, from + first * gml_dtype_size(table->dtype),
                        (gml_grid){side, side}, grid, channels, to + first);
    made.data = to;
    *table = made;
    return GML_OK;
}

void gml_weights_fit_positions(gml_weights *weights, const char *name, int64_t n_before,
                               int64_t rows, int64_t columns)
{
    const gml_weight *found =
        weights->status == GML_OK ? gml_weights_find(weights, name) : NULL;
    if (found == NULL || rows < 1 || columns < 1)
        return; /* whoever asks for it will say so */
    gml_weight *weight = gml_map_find(&weights->table.by_name, found->name);
    weights->status = fit(weights, weight, n_before, (gml_grid){rows, columns});
}
