/* api/weights_save.c - weights as safetensors or .npz. */
#include "api/weights.h"
#include "frontend/npy.h"
#include "runtime/value.h"
#include "weights/elements.h"

#include <string.h>

typedef struct output {
    gml_weights *w;
    const gml_weights_save_options *options;
    gml_vec(gml_named_tensor) list;
    gml_vec(gml_buffer *) buffers; /* of elements that are not the file's */
} output;

/* ---- which, and what they are called ------------------------------------------------------
 */

/* The name that weight `i` gets; NULL: it is not written. */
static const char *name_of(const output *o, size_t i)
{
    const gml_weights *w = o->w;
    const char *name = w->table.weights.items[i]->name;
    const char *prefix = o->options->prefix;
    if (w->mapping.map != NULL)
        return w->mapping.places.items[i]->target;
    if (prefix == NULL || strncmp(name, prefix, strlen(prefix)) != 0)
        return prefix == NULL ? name : NULL;
    name += strlen(prefix);
    return *name == '.' ? name + 1 : name;
}

static gml_dtype dtype_of(const output *o, const gml_weight *weight)
{
    bool is_asked = o->options->dtype != GML_NONE && gml_elements_allow(weight->tensor.dtype);
    return is_asked ? o->options->dtype : weight->tensor.dtype;
}

/* ---- elements -----------------------------------------------------------------------------
 */

static void copy_elements(const gml_weight *weight, gml_tensor *made, size_t count)
{
    const gml_tensor *from = &weight->tensor;
    if (weight->is_turned && from->rank == 2 && gml_elements_allow(from->dtype))
        gml_elements_turn(from->dtype, from->data, from->dims[0], from->dims[1], made->dtype,
                          made->data);
    else
        gml_elements_convert(from->dtype, from->data, made->dtype, made->data, count);
}

static gml_status add(output *o, const gml_weight *weight, const char *name)
{
    gml_named_tensor item = {name, weight->tensor};
    gml_tensor *made = &item.tensor;
    bool is_turned = weight->is_turned && made->rank == 2 && gml_elements_allow(made->dtype);
    made->dtype = dtype_of(o, weight);
    if (is_turned) {
        made->dims[0] = weight->tensor.dims[1];
        made->dims[1] = weight->tensor.dims[0];
    }
    size_t bytes = 0;
    if ((is_turned || made->dtype != weight->tensor.dtype) && gml_tensor_bytes(made, &bytes)) {
        gml_buffer *buffer = gml_buffer_create(bytes, false);
        if (buffer == NULL)
            return gml_fail(&o->w->diags, GML_E_MEMORY, (gml_loc){.node = weight->name},
                            "there is no memory for its elements");
        gml_push(&o->w->arena, &o->buffers, buffer);
        made->data = gml_buffer_data(buffer);
        copy_elements(weight, made, bytes / gml_dtype_size(made->dtype));
    }
    gml_push(&o->w->arena, &o->list, item);
    return GML_OK;
}

/* ---- files --------------------------------------------------------------------------------
 */

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path);
    size_t end_len = strlen(end);
    return len > end_len && strcmp(path + len - end_len, end) == 0;
}

static gml_status write_safetensors(output *o, const char *path)
{
    /* what readers of the format look for in the files of PyTorch's models */
    static const gml_safetensors_text format = {"format", "pt"};
    gml_safetensor *items = gml_new_array(&o->w->arena, gml_safetensor, o->list.count + 1);
    for (size_t i = 0; i < o->list.count; i++)
        items[i] =
            (gml_safetensor){.name = o->list.items[i].name, .tensor = o->list.items[i].tensor};
    return gml_safetensors_write(path, items, o->list.count, &format, 1, &o->w->diags);
}

static gml_status check_request(const output *o, const char *path)
{
    gml_diags *diags = &o->w->diags;
    gml_loc loc = {.file = path};
    if (!ends_with(path, ".safetensors") && !ends_with(path, ".npz"))
        return gml_fail(diags, GML_E_USAGE, loc, "is neither a .safetensors nor an .npz file");
    if (ends_with(path, ".npz") && o->options->dtype == GML_BF16)
        return gml_fail(diags, GML_E_USAGE, loc, "cannot hold bf16, which NumPy does not have");
    return GML_OK;
}

static gml_status save(output *o, const char *path)
{
    GML_TRY(check_request(o, path));
    for (size_t i = 0; i < o->w->table.weights.count; i++) {
        const char *name = name_of(o, i);
        if (name != NULL)
            GML_TRY(add(o, o->w->table.weights.items[i], name));
    }
    if (o->list.count == 0)
        return gml_fail(&o->w->diags, GML_E_USAGE, (gml_loc){.file = o->w->table.file},
                        "has no tensor to be written");
    if (ends_with(path, ".npz"))
        return gml_npz_write(path, o->list.items, o->list.count, &o->w->diags);
    return write_safetensors(o, path);
}

void gml_weights_save(gml_weights *weights, const char *path,
                      const gml_weights_save_options *options)
{
    static const gml_weights_save_options defaults = {.dtype = GML_NONE};
    if (weights->status != GML_OK)
        return;
    output o = {.w = weights, .options = options != NULL ? options : &defaults};
    weights->status = save(&o, gml_arena_text(&weights->arena, path, strlen(path)));
    for (size_t i = 0; i < o.buffers.count; i++)
        gml_buffer_release(o.buffers.items[i]);
}
