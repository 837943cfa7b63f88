/* models/siameseim_options.c - the options of siameseim: given ones, those that a variant or a
 * row of the paper's table sets, defaults.
 *
 * What is given counts first, then the variant, the row, and the default. */
#include "models/siameseim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const gml_network_setting gml_network_siameseim_settings[] = {
    {"row", "i", "row of the paper's Table 3: a to k, mae or moco; sets options named below"},
    {"views", "different", "different or same: is the target a second crop"},
    {"color", "on", "colour augmentation, which is the loader's affair: noted in the file"},
    {"mask", "block", "block or random: how many patches are masked, 118 or 147 of 196"},
    {"masked", "", "how many patches of an image are masked, instead"},
    {"target", "feature", "feature or pixel"},
    {"norm", "bn", "norms of projector and predictor: bn or ln"},
    {"loss-norm", "mae",
     "mae: of the target alone; moco: BatchNorm, then unit length, of both"},
    {"loss-norm-order", "bn-unit", "of moco: bn-unit or unit-bn"},
    {"scope", "dense", "dense: every patch; global: one vector for an image"},
    {"pool", "mean", "of global: mean over patches, or cls"},
    {"head", "blocks", "blocks, or mlp: projector and predictor of MoCo v3, for scope global"},
    {"mlp-hidden", "4096", "channels inside of these"},
    {"mlp-width", "256", "and of what they give"},
    {"form", "unigrad", "unigrad, or l2: without negatives"},
    {"lambda", "0.02", "weight of the negatives"},
    {"correlation", "0", "momentum of the targets' correlation over steps; 0: this batch's"},
    {"loss-scale", "width", "width: the loss is divided by its channels; one: it is not"},
    {"layout", "append",
     "append: queries behind visible tokens; fill: in their places, as MAE"},
    {"positions", "", "of queries: relative, or grid (default when views are the same)"},
    {"loss-on", "all", "all patches, or masked"},
    {"pixel-variance", "unbiased", "of a patch's pixels: unbiased or biased"},
    {"patch", "16", "width and height of a patch"},
    {"width", "768", "of the encoder"},
    {"depth", "12", "blocks of the encoder"},
    {"heads", "12", "of the encoder"},
    {"decoder-width", "768", "of projector and predictor"},
    {"decoder-heads", "16", "of projector and predictor"},
    {"projector-depth", "2", "blocks"},
    {"predictor-depth", "4", "blocks"},
    {"train-patches", "off", "on: the patch embedding is trained too"},
    {"embed", "", "all patches of the first view (default), or visible (default when trained)"},
    {"lr", "1e-3", "peak of the learning rate, which is meant for batches of 4096"},
    {"min-lr", "0", "its end"},
    {"warmup", "40", "epochs from 0 to the peak"},
    {"epochs", "400", "of the schedules"},
    {"iterations", "312", "batches in an epoch"},
    {"ema", "0.995", "momentum of the target branch, at first"},
    {"ema-schedule", "cosine", "cosine: towards 1; const"},
    {"beta1", "0.9", "AdamW"},
    {"beta2", "0.95", "AdamW"},
    {"epsilon", "1e-8", "AdamW"},
    {"weight-decay", "0.05", "AdamW, of matrices and tokens"},
    {"clip", "1", "largest norm of the gradient; 0: any"},
    {"accum", "1", "batches whose gradients make one step"},
    {"dtype", "f32", "f32 or f64"},
    {NULL, NULL, NULL},
};

/* Options that a name stands for: "key=value key=value". */
typedef struct preset {
    const char *name, *options;
} preset;

static const preset variants[] = {
    {"vit_b", ""},
    {"vit_s", "width=384 heads=6"},
    {"vit_l", "width=1024 depth=24 heads=16"},
    {"tiny", "patch=8 width=24 depth=2 heads=3 decoder-width=16 decoder-heads=4 "
             "predictor-depth=2 mlp-hidden=32 mlp-width=16"},
};

static const preset rows[] = {
    {"mae", "views=same color=off mask=random target=pixel norm=ln form=l2 layout=fill "
            "loss-on=masked decoder-width=512 projector-depth=0 predictor-depth=8 "
            "train-patches=on"},
    {"a", "views=same color=off mask=random target=pixel norm=ln form=l2"},
    {"b", "views=same color=off mask=random norm=ln loss-norm=moco"},
    {"c", "views=same mask=random target=pixel norm=ln form=l2"},
    {"d", "color=off mask=random target=pixel norm=ln form=l2"},
    {"e", "color=off mask=random norm=ln loss-norm=moco"},
    {"f", "mask=random norm=ln loss-norm=moco"},
    {"g", "mask=random loss-norm=moco"},
    {"h", "loss-norm=moco"},
    {"i", ""},
    {"j", "form=l2"},
    {"k", "mask=random loss-norm=moco scope=global"},
    {"moco", "mask=random loss-norm=moco scope=global pool=cls head=mlp"},
};

typedef struct text {
    char bytes[64];
} text;

typedef struct reader {
    gml_builder *b;
    const gml_network_options *options;
    const char *variant, *row; /* the options they stand for */
} reader;

/* ---- where an option's value comes from -------------------------------------------------- */

static bool find_in(const char *options, const char *name, text *out_value)
{
    size_t len = strlen(name);
    for (const char *at = options; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word > len && at[len] == '=' && memcmp(at, name, len) == 0 &&
            word - len <= sizeof out_value->bytes) {
            memcpy(out_value->bytes, at + len + 1, word - len - 1);
            out_value->bytes[word - len - 1] = '\0';
            return true;
        }
        at += word + strspn(at + word, " ");
    }
    return false;
}

static const gml_network_setting *find_setting(const char *name)
{
    for (const gml_network_setting *at = gml_network_siameseim_settings; at->name; at++)
        if (strcmp(at->name, name) == 0)
            return at;
    return NULL;
}

static text read_text(const reader *r, const char *name)
{
    text value = {""};
    for (size_t i = r->options->n_settings; i-- > 0;) {
        const gml_setting *given = &r->options->settings[i];
        if (strcmp(given->name, name) != 0)
            continue;
        size_t len = strlen(given->value);
        if (len >= sizeof value.bytes) {
            gml_builder_fail(r->b, GML_E_USAGE, "option %s: the value is too long", name);
            return value;
        }
        memcpy(value.bytes, given->value, len + 1);
        return value;
    }
    if (!find_in(r->variant, name, &value) && !find_in(r->row, name, &value)) {
        const char *fallback = find_setting(name)->value;
        memcpy(value.bytes, fallback, strlen(fallback) + 1);
    }
    return value;
}

/* ---- kinds of values --------------------------------------------------------------------- */

/* True for `yes`, false for `no`, and a failure for any other. */
static bool is_chosen(const reader *r, const char *name, const char *yes, const char *no)
{
    text value = read_text(r, name);
    if (strcmp(value.bytes, yes) == 0)
        return true;
    if (strcmp(value.bytes, no) != 0)
        gml_builder_fail(r->b, GML_E_USAGE, "option %s: '%s' is neither %s nor %s", name,
                         value.bytes, yes, no);
    return false;
}

static double read_number(const reader *r, const char *name, double low, double high)
{
    text value = read_text(r, name);
    char *end = NULL;
    errno = 0;
    double number = strtod(value.bytes, &end);
    if (errno == 0 && end != value.bytes && *end == '\0' && number >= low && number <= high)
        return number;
    gml_builder_fail(r->b, GML_E_USAGE, "option %s: '%s' is no number from %g to %g", name,
                     value.bytes, low, high);
    return low;
}

static int64_t read_count(const reader *r, const char *name, int64_t low, int64_t high)
{
    double number = read_number(r, name, (double)low, (double)high);
    if (number != floor(number))
        gml_builder_fail(r->b, GML_E_USAGE, "option %s: %g is no count", name, number);
    return (int64_t)number;
}

/* The options of a preset; a failure when none is called so. */
static const char *find_preset(const reader *r, const preset *presets, size_t n,
                               const char *what, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(presets[i].name, name) == 0)
            return presets[i].options;
    gml_builder_fail(r->b, GML_E_USAGE, "there is no %s '%s'", what, name);
    return "";
}

/* ---- the configuration ------------------------------------------------------------------- */

static void read_sizes(const reader *r, gml_siam_config *c)
{
    bool is_tiny = r->options->variant != NULL && strcmp(r->options->variant, "tiny") == 0;
    c->image = r->options->image_size > 0 ? r->options->image_size : is_tiny ? 32 : 224;
    c->patch = read_count(r, "patch", 1, 1 << 10);
    c->width = read_count(r, "width", 4, 1 << 14);
    c->depth = read_count(r, "depth", 1, GML_SIAM_MAX_DEPTH);
    c->heads = read_count(r, "heads", 1, 1 << 10);
    c->decoder_width = read_count(r, "decoder-width", 4, 1 << 14);
    c->decoder_heads = read_count(r, "decoder-heads", 1, 1 << 10);
    c->projector_depth = read_count(r, "projector-depth", 0, GML_SIAM_MAX_DEPTH);
    c->predictor_depth = read_count(r, "predictor-depth", 0, GML_SIAM_MAX_DEPTH);
    if (c->image % c->patch != 0)
        gml_builder_fail(r->b, GML_E_USAGE,
                         "image size %lld is no multiple of the patch's %lld",
                         (long long)c->image, (long long)c->patch);
    if (c->width % c->heads != 0 || c->decoder_width % c->decoder_heads != 0)
        gml_builder_fail(r->b, GML_E_USAGE, "a width is no multiple of its number of heads");
    if (c->width % 4 != 0 || c->decoder_width % 4 != 0)
        gml_builder_fail(r->b, GML_E_USAGE, "positions take widths that are multiples of 4");
    c->grid = c->image / c->patch;
    c->n_patches = c->grid * c->grid;
    if (c->n_patches > 1 << 16)
        gml_builder_fail(r->b, GML_E_USAGE, "%lld patches are too many",
                         (long long)c->n_patches);
}

/* 118 of 196 as the block masks have it, or three quarters. */
static void read_mask(const reader *r, gml_siam_config *c)
{
    int64_t masked = is_chosen(r, "mask", "block", "random") ? c->n_patches * 118 / 196
                                                             : c->n_patches * 3 / 4;
    if (*read_text(r, "masked").bytes != '\0')
        masked = read_count(r, "masked", 0, c->n_patches - 1);
    c->n_visible = c->n_patches - masked;
    c->masked_only = is_chosen(r, "loss-on", "masked", "all");
    if (c->masked_only && masked == 0)
        gml_builder_fail(r->b, GML_E_USAGE,
                         "the loss is on masked patches, and there are none");
}

static void read_objective(const reader *r, gml_siam_config *c)
{
    c->same_view = is_chosen(r, "views", "same", "different");
    (void)is_chosen(r, "color", "on", "off");
    c->pixels = is_chosen(r, "target", "pixel", "feature");
    c->out = c->pixels ? 3 * c->patch * c->patch : c->decoder_width;
    c->layer_norm = is_chosen(r, "norm", "ln", "bn");
    c->moco = is_chosen(r, "loss-norm", "moco", "mae");
    c->unit_first = is_chosen(r, "loss-norm-order", "unit-bn", "bn-unit");
    c->global = is_chosen(r, "scope", "global", "dense");
    c->by_class = is_chosen(r, "pool", "cls", "mean");
    c->mlp = is_chosen(r, "head", "mlp", "blocks");
    c->mlp_hidden = read_count(r, "mlp-hidden", 1, 1 << 16);
    if (c->mlp)
        c->out = read_count(r, "mlp-width", 1, 1 << 16);
    c->l2 = is_chosen(r, "form", "l2", "unigrad");
    c->lambda = read_number(r, "lambda", 0, 1e6);
    c->correlation = read_number(r, "correlation", 0, 1);
    c->divides = is_chosen(r, "loss-scale", "width", "one");
    c->fills_slots = is_chosen(r, "layout", "fill", "append");
    c->grid_positions = c->same_view;
    if (*read_text(r, "positions").bytes != '\0')
        c->grid_positions = is_chosen(r, "positions", "grid", "relative");
    c->biased = is_chosen(r, "pixel-variance", "biased", "unbiased");
    c->trains_patches = is_chosen(r, "train-patches", "on", "off");
    c->embeds_visible = c->trains_patches;
    if (*read_text(r, "embed").bytes != '\0')
        c->embeds_visible = is_chosen(r, "embed", "visible", "all");
    if (c->fills_slots && !(c->same_view && c->grid_positions))
        gml_builder_fail(r->b, GML_E_USAGE,
                         "option layout: fill goes with the same view and its grid");
    if (c->masked_only && (!c->same_view || c->global))
        gml_builder_fail(
            r->b, GML_E_USAGE,
            "option loss-on: masked patches are those of the same view, one by one");
    if (c->mlp && !c->global)
        gml_builder_fail(r->b, GML_E_USAGE, "option head: mlp goes with the scope global");
    if (c->global && c->pixels)
        gml_builder_fail(r->b, GML_E_USAGE, "option scope: pixels have no global vector");
}

static void read_recipe(const reader *r, gml_siam_config *c)
{
    c->lr = read_number(r, "lr", 0, 1e6);
    c->min_lr = read_number(r, "min-lr", 0, 1e6);
    c->warmup = read_number(r, "warmup", 0, 1e9);
    c->epochs = read_number(r, "epochs", 1e-9, 1e9);
    c->iterations = read_number(r, "iterations", 1, 1e12);
    c->ema = read_number(r, "ema", 0, 1);
    c->ema_cosine = is_chosen(r, "ema-schedule", "cosine", "const");
    c->beta1 = read_number(r, "beta1", 0, 1 - 1e-9);
    c->beta2 = read_number(r, "beta2", 0, 1 - 1e-9);
    c->epsilon = read_number(r, "epsilon", 1e-30, 1);
    c->decay = read_number(r, "weight-decay", 0, 1e6);
    c->clip = read_number(r, "clip", 0, 1e30);
    c->accumulate = read_count(r, "accum", 1, 1 << 20);
    c->dtype = is_chosen(r, "dtype", "f64", "f32") ? GML_F64 : GML_F32;
    if (c->warmup >= c->epochs)
        gml_builder_fail(r->b, GML_E_USAGE, "the warm-up takes all of the %g epochs",
                         c->epochs);
}

static void check_names(const reader *r)
{
    for (size_t i = 0; i < r->options->n_settings; i++)
        if (find_setting(r->options->settings[i].name) == NULL)
            gml_builder_fail(r->b, GML_E_USAGE, "there is no option %s",
                             r->options->settings[i].name);
}

static void note_options(const reader *r)
{
    const char *variant = r->options->variant;
    gml_builder_metadata(r->b, "siameseim.variant",
                         variant != NULL ? variant : variants[0].name);
    for (const gml_network_setting *at = gml_network_siameseim_settings; at->name; at++) {
        char key[64] = "siameseim.";
        strncat(key, at->name, sizeof key - strlen(key) - 1);
        gml_builder_metadata(r->b, key, read_text(r, at->name).bytes);
    }
}

/* What whoever takes the encoder out of the file or of a checkpoint cannot see in its weights.
 */
static void note_encoder(const reader *r, const gml_siam_config *c)
{
    char heads[24];
    snprintf(heads, sizeof heads, "%lld", (long long)c->heads);
    gml_builder_metadata(r->b, GML_HEADS_KEY, heads);
    gml_network_prepare(r->b, r->options, c->image);
}

/* What a loader of pictures cannot see in the inputs' shapes, as words NAME=VALUE. */
static void note_data(const reader *r, const gml_siam_config *c)
{
    char words[160];
    snprintf(words, sizeof words, "patch=%lld mask=%s color=%s steps=%.0f", (long long)c->patch,
             read_text(r, "mask").bytes, read_text(r, "color").bytes,
             c->epochs * c->iterations);
    gml_builder_metadata(r->b, "gemel.data", words);
}

bool gml_siam_configure(gml_builder *builder, const gml_network_options *options,
                        gml_siam_config *out_config)
{
    reader r = {.b = builder, .options = options, .variant = "", .row = ""};
    *out_config = (gml_siam_config){.batch = options->batch};
    check_names(&r);
    if (options->variant != NULL)
        r.variant = find_preset(&r, variants, sizeof variants / sizeof *variants, "variant",
                                options->variant);
    r.row =
        find_preset(&r, rows, sizeof rows / sizeof *rows, "row", read_text(&r, "row").bytes);
    read_sizes(&r, out_config);
    read_mask(&r, out_config);
    read_objective(&r, out_config);
    read_recipe(&r, out_config);
    note_options(&r);
    note_encoder(&r, out_config);
    note_data(&r, out_config);
    return gml_builder_status(builder) == GML_OK;
}
