/* models/models.h - the networks that `gemel export` writes.
 *
 * A network is a row of models/models.def and a file models/NAME.c, written against
 * gemel/build.h. Its weights bear the names that the framework's own implementation gives them,
 * so that trained ones can be loaded by name. Where a weight is stored as the transpose of the
 * framework's (MatMul wants in x out), its name is a line of the metadata entry
 * "gemel.transposed".
 */
#ifndef GML_MODELS_MODELS_H
#define GML_MODELS_MODELS_H

#include "gemel/build.h"
#include "gemel/weights.h"

/* The metadata entry that says how many heads a transformer's encoder has, which the shapes of
 * its weights do not. */
#define GML_HEADS_KEY "gemel.heads"

/* An option of one network alone. */
typedef struct gml_network_setting {
    const char *name;  /* as --NAME of the command line; NULL ends a table */
    const char *value; /* when it is not given; "": as doc says */
    const char *doc;
} gml_network_setting;

/* One that is given. */
typedef struct gml_setting {
    const char *name, *value;
} gml_setting;

typedef struct gml_network_options {
    const char *variant; /* one of the network's; NULL: the first */
    gml_extent batch;
    gml_extent sequence;  /* tokens; NULL and 0: the network's own */
    int64_t image_size;   /* 0: the network's own */
    bool no_head;         /* leave out what is specific to a task */
    const char *features; /* of a network without head: "cls" (NULL), "mean" or "tokens" */
    int64_t opset;        /* the builder's, which decides how operators are spelled; not 0 */
    gml_weights *weights; /* that it begins with, mapped; NULL: random ones */
    const gml_setting *settings; /* the last one of a name counts */
    size_t n_settings;
} gml_network_options;

/* Which options a network reads. */
enum {
    GML_NETWORK_SEQUENCE = 1 << 0,
    GML_NETWORK_IMAGE_SIZE = 1 << 1,
    GML_NETWORK_NO_HEAD = 1 << 2,
    GML_NETWORK_FEATURES = 1 << 3,
    GML_NETWORK_WEIGHTS = 1 << 4,
};

typedef struct gml_network {
    const char *name;
    const char *doc;
    const char *variants; /* separated by spaces, the default first; "" when there is but one */
    unsigned options;
    int64_t batch;                       /* when none is given */
    const gml_network_setting *settings; /* its own options; NULL: none */
    /* Adds the network to an empty builder; failures stick there. */
    void (*build)(gml_builder *builder, const gml_network_options *options);
} gml_network;

/* Writes to the file how pictures of `size` pixels are prepared (gemel/preparation.h): by the
 * options mean, std and resize where the network has them, else as the weights' files say, else
 * as everybody does. */
void gml_network_prepare(gml_builder *builder, const gml_network_options *options,
                         int64_t size);

extern const gml_network_setting gml_network_siameseim_settings[];
extern const gml_network_setting gml_network_vit_settings[];

const gml_network *gml_network_table(size_t *out_count);
/* NULL when none is called so. */
const gml_network *gml_network_find(const char *name);
/* True when `variant` is one of the network's, or NULL. */
bool gml_network_has_variant(const gml_network *network, const char *variant);

#define X(name, doc, variants, reads, batch, settings)                                         \
    void gml_network_##name(gml_builder *builder, const gml_network_options *options);
#include "models/models.def"
#undef X

#endif
