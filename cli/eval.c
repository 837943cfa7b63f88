/* cli/eval.c - gemel eval: what a backbone's features are worth. */
#include "cli/eval.h"

#include "cli/cli.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_eval_options options;
    gml_eval_context context;
    gml_cli_progress progress;
    gml_cli_eval_output output;
    int64_t epochs, warmup; /* of what is trained; -1: not given */
    double lr;              /* 0: not given */
} request;

static const gml_cli_option options[] = {
    {"train", "DIR", "labelled pictures: a folder a class, or tar files"},
    {"test", "DIR", "the pictures that are predicted"},
    {"method", "LIST", "of knn, ridge, linear, fewshot, finetune, with commas (knn,ridge)"},
    {"output", "NAME", "the model's output that holds features (the first)"},
    {"no-class-token", NULL, "tokens are all of patches"},
    {"pixels", NULL, "evaluate the pictures themselves, too; the model may be left out"},
    {"image-size", "N", "of pictures, where the model leaves it open"},
    {"resize", "N",
     "the shorter side, before the middle is taken (the model's; see docs/eval.md)"},
    {"filter", "NAME", "of resizing: bicubic (default) or bilinear"},
    {"mean", "R,G,B", "subtracted from pictures of 0..1 (the model's, or ImageNet's)"},
    {"std", "R,G,B", "and then the divisor (the model's, or ImageNet's)"},
    {"batch", "N", "pictures of a run, where the model leaves it open (64)"},
    {"k", "N", "knn: neighbours (20)"},
    {"temperature", "X", "knn: of votes by similarity (each counts 1)"},
    {"strength", "X", "ridge: of the penalty (chosen by cross-validation)"},
    {"epochs", "N", "linear, finetune: how many (90, 100)"},
    {"warmup", "N", "linear, finetune: of them the rate rises over (10, 5)"},
    {"lr", "X", "linear, finetune: the rate for a batch of 256 (0.1, 2.5e-4)"},
    {"probe-batch", "N", "linear: its batch (512)"},
    {"augment", NULL, "linear: random crops, in each epoch others"},
    {"shots", "N", "fewshot: pictures of each class (all)"},
    {"subset", "FILE", "fewshot: the training pictures that count, a name a line"},
    {"lambda", "X", "fewshot: the penalty (0.1)"},
    {"tolerance", "X", "fewshot: the duality gap that ends it, of the loss (0.001)"},
    {"layer-decay", "X", "finetune: what each block multiplies the rate with (0.65)"},
    {"weight-decay", "X", "finetune: of AdamW (0.05)"},
    {"rand-augment", "M", "finetune: magnitude of RandAugment, up to 10; 0: none (9)"},
    {"drop-path", "X", "finetune: share of the last block's branches left out (0.1)"},
    {"smoothing", "X", "finetune: of classes (0.1)"},
    {"mixup", "X", "finetune: the parameter of its Beta distribution, up to 1; 0: none (0.8)"},
    {"cutmix", "X", "finetune: the same of cutmix (1)"},
    {"erase", "X", "finetune: probability of a box of noise (0.25)"},
    {"report", "FILE.html", "write everything as a page, with pictures"},
    {"log", "FILE", "for the report: log.jsonl of a training, whose loss is drawn"},
    {"numbers", "FILE.npz", "write features and predictions"},
    {"confusion", NULL, "print how often each class is taken for which"},
    {"device", "NAME", GML_DEVICE_NAMES},
    {"precision", "NAME", GML_PRECISION_NAMES},
    {"threads", "N", "for pictures and models (one a processor)"},
    {"seed", "N", "of what is drawn (0)"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel eval [BACKBONE] --train DIR --test DIR [options]",
    "Says how well pictures are classified by a model's features, which stay as they are. The\n"
    "model has one input, pictures f32[N,3,H,W]; 'gemel export vit --weights' makes one.\n"
    "Features are a row a picture, or tokens: then 'mean' of those of patches, and 'cls'.\n"
    "\n"
    "  knn      the most frequent class among the nearest training pictures, by cosine\n"
    "  ridge    a linear probe in closed form\n"
    "  linear   a linear probe trained by LARS\n"
    "  fewshot  logistic regression\n"
    "  finetune the whole model is trained, with a classifier; by batches of --batch",
};

/* ---- options ----------------------------------------------------------------------------- */

static bool read_methods(gml_eval_options *o, const char *value)
{
    memset(o->wants, 0, sizeof o->wants);
    for (const char *at = value;; at++) {
        size_t len = strcspn(at, ",");
        int m = 0;
        while (m < GML_EVAL_METHOD_COUNT &&
               (strlen(gml_eval_method_name((gml_eval_method)m)) != len ||
                memcmp(gml_eval_method_name((gml_eval_method)m), at, len) != 0))
            m++;
        if (m == GML_EVAL_METHOD_COUNT)
            return false;
        o->wants[m] = true;
        at += len;
        if (*at == '\0')
            return true;
    }
}

static bool handle_flag(request *r, const char *name)
{
    bool *const places[] = {&r->options.backbone.no_token, &r->options.backbone.pixels,
                            &r->options.augment, &r->output.confusion, &r->output.json};
    static const char *const names[] = {"no-class-token", "pixels", "augment", "confusion",
                                        "json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            *places[i] = true;
    return true;
}

static bool handle_text(request *r, const char *name, const char *value, bool *out_ok)
{
    const struct {
        const char *name;
        const char **place;
    } rows[] = {
        {"train", &r->options.train},
        {"test", &r->options.test},
        {"output", &r->options.backbone.output},
        {"subset", &r->options.subset},
        {"report", &r->output.report},
        {"log", &r->output.log},
        {"numbers", &r->options.numbers},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name, rows[i].name) == 0) {
            *rows[i].place = value;
            *out_ok = *value != '\0';
            return true;
        }
    return false;
}

static bool handle_count(request *r, const char *name, const char *value, bool *out_ok)
{
    gml_eval_options *o = &r->options;
    int64_t n_threads = 0;
    int64_t seed = 0;
    const struct {
        const char *name;
        int64_t *place, low, high;
    } rows[] = {
        {"image-size", &o->backbone.size, 1, 4096},
        {"resize", &o->preparation.resize, 1, 8192},
        {"batch", &o->backbone.batch, 1, 65536},
        {"k", &o->knn.k, 1, 1 << 20},
        {"epochs", &r->epochs, 1, 1 << 20},
        {"warmup", &r->warmup, 0, 1 << 20},
        {"probe-batch", &o->probe.batch, 2, 65536},
        {"shots", &o->shots, 1, 1 << 30},
        {"threads", &n_threads, 1, 256},
        {"seed", &seed, 0, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name, rows[i].name) == 0) {
            *out_ok = gml_cli_int(value, rows[i].place) && *rows[i].place >= rows[i].low &&
                      *rows[i].place <= rows[i].high;
            if (rows[i].place == &n_threads)
                r->context.n_threads = (int)n_threads;
            if (rows[i].place == &seed)
                r->context.seed = (uint64_t)seed;
            return true;
        }
    return false;
}

/* Numbers of fine-tuning that may be 0. */
static bool handle_share(gml_eval_options *o, const char *name, const char *value)
{
    gml_finetune *f = &o->finetune;
    const struct {
        const char *name;
        double *place, high;
    } rows[] = {
        {"layer-decay", &f->layer_decay, 1},
        {"weight-decay", &f->decay, 1e6},
        {"smoothing", &f->mixing.smoothing, 1},
        {"mixup", &f->mixing.mixup, 1},
        {"cutmix", &f->mixing.cutmix, 1},
        {"erase", &f->mixing.erase, 1},
        {"rand-augment", &f->rand_augment, GML_RAND_MOST},
        {"drop-path", &f->drop_path, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name, rows[i].name) == 0)
            return gml_cli_double(value, rows[i].place) && *rows[i].place >= 0 &&
                   *rows[i].place <= rows[i].high;
    return false;
}

static bool handle_number(request *r, const char *name, const char *value)
{
    gml_eval_options *o = &r->options;
    const struct {
        const char *name;
        double *place;
    } rows[] = {
        {"temperature", &o->knn.temperature},
        {"strength", &o->ridge.strength},
        {"lr", &r->lr},
        {"lambda", &o->fewshot.lambda},
        {"tolerance", &o->fewshot.tolerance},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name, rows[i].name) == 0)
            return gml_cli_double(value, rows[i].place) && *rows[i].place > 0 &&
                   isfinite(*rows[i].place);
    return handle_share(o, name, value);
}

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    gml_eval_options *o = &r->options;
    bool ok = false;
    if (value == NULL)
        return handle_flag(r, name);
    if (handle_text(r, name, value, &ok) || handle_count(r, name, value, &ok))
        return ok;
    if (strcmp(name, "method") == 0)
        return read_methods(o, value);
    if (strcmp(name, "mean") == 0)
        return gml_preparation_set(&o->preparation, GML_MEAN_KEY, value) == NULL;
    if (strcmp(name, "std") == 0)
        return gml_preparation_set(&o->preparation, GML_STD_KEY, value) == NULL;
    if (strcmp(name, "device") == 0)
        return gml_device_parse(value, &r->context.device, &r->context.device_number);
    if (strcmp(name, "precision") == 0)
        return gml_precision_parse(value, &r->context.precision);
    if (strcmp(name, "filter") == 0) {
        bool is_linear = strcmp(value, "bilinear") == 0;
        o->filter = is_linear ? GML_FILTER_BILINEAR : GML_FILTER_BICUBIC;
        return is_linear || strcmp(value, "bicubic") == 0;
    }
    return handle_number(r, name, value);
}

static void set_defaults(request *r)
{
    gml_eval_options *o = &r->options;
    o->filter = GML_FILTER_BICUBIC;
    o->backbone.batch = 64;
    o->wants[GML_EVAL_KNN] = o->wants[GML_EVAL_RIDGE] = true;
    o->knn.k = 20;
    o->probe = (gml_probe){.epochs = 90, .warmup = 10, .batch = 512, .lr = 0.1};
    o->finetune = (gml_finetune){.epochs = 100,
                                 .warmup = 5,
                                 .lr = 2.5e-4,
                                 .min_lr = 1e-6,
                                 .decay = 0.05,
                                 .layer_decay = 0.65,
                                 .rand_augment = 9,
                                 .drop_path = 0.1,
                                 .mixing = {0.1, 0.8, 1, 0.25}};
    r->epochs = r->warmup = -1;
    o->fewshot = (gml_fewshot){.lambda = 0.1, .tolerance = 1e-3, .max_steps = 300};
}

/* What both trainings take from the command line. */
static void share_options(request *r)
{
    gml_probe *probe = &r->options.probe;
    gml_finetune *finetune = &r->options.finetune;
    if (r->epochs >= 0)
        probe->epochs = finetune->epochs = r->epochs;
    if (r->warmup >= 0)
        probe->warmup = finetune->warmup = r->warmup;
    if (r->lr > 0)
        probe->lr = finetune->lr = r->lr;
}

/* What contradicts itself, or NULL. */
static const char *find_fault(const request *r)
{
    const gml_eval_options *o = &r->options;
    if (o->train == NULL || o->test == NULL)
        return "--train and --test say where the pictures are";
    if (o->backbone.path == NULL && !o->backbone.pixels)
        return "without a model --pixels says that pictures themselves are meant";
    if (o->shots > 0 && o->subset != NULL)
        return "either --shots or --subset";
    if (o->wants[GML_EVAL_LINEAR] && o->wants[GML_EVAL_FINETUNE] &&
        (r->epochs >= 0 || r->warmup >= 0 || r->lr > 0))
        return "--epochs, --warmup and --lr are of linear or of finetune: one at a time";
    if ((o->wants[GML_EVAL_LINEAR] && o->probe.warmup >= o->probe.epochs) ||
        (o->wants[GML_EVAL_FINETUNE] && o->finetune.warmup >= o->finetune.epochs))
        return "--warmup is not shorter than --epochs";
    if (r->output.log != NULL && r->output.report == NULL)
        return "--log goes with --report";
    return NULL;
}

/* ---- the whole --------------------------------------------------------------------------- */

static gml_status run(request *r)
{
    gml_eval eval = {.options = &r->options, .context = r->context};
    gml_status status = gml_eval_run(&eval);
    gml_cli_progress_end(&r->progress);
    if (status == GML_OK)
        status = gml_cli_eval_print(&eval, &r->output);
    gml_eval_close(&eval);
    return status;
}

static void show_remark(void *context, const char *text)
{
    gml_cli_progress_end(context);
    fprintf(stderr, "gemel: eval: %s\n", text);
}

static int run_request(request *r, const char *path)
{
    r->options.backbone.path = path;
    r->context.arena = &r->arena;
    r->context.diags = &r->diags;
    share_options(r);
    const char *fault = find_fault(r);
    if (fault != NULL) {
        fprintf(stderr, "gemel: eval: %s\n", fault);
        return 2;
    }
    r->options.watch.context = &r->progress;
    r->options.watch.remark = show_remark;
    if (!r->output.json)
        r->options.watch.report = gml_cli_progress_show;
    gml_status status = run(r);
    return status == GML_OK ? 0 : gml_cli_fail(&r->diags, status);
}

int gml_verb_eval(int argc, char **argv)
{
    request r = {.progress = {0}};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    set_defaults(&r);
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n == 0 || n == 1)
        status = run_request(&r, n == 1 ? argv[1] : NULL);
    else if (n > 1)
        fputs("gemel: eval takes one BACKBONE; --help says more\n", stderr);
    gml_arena_reset(&r.arena);
    return status;
}
