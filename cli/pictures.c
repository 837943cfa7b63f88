/* cli/pictures.c - gemel pictures: folders of labelled pictures that are made, not found. */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"
#include "data/digits.h"
#include "data/jpeg.h"
#include "data/shapes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GML_DIGITS_TEST 500 /* pictures, when --test says nothing */
#define GML_MAX_MADE    10000000

static const char *const parts[] = {"train", "test"};

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    const char *kind, *folder;
    const char *source; /* of the digits */
    int64_t counts[2];  /* of parts; -1: not given */
    int64_t size;       /* 0: not given */
    int64_t seed;       /* -1: not given */
    int64_t quality;
    gml_digits digits;
    uint32_t *order;
    uint8_t *pixels;
} request;

static const gml_cli_option options[] = {
    {"train", "N", "pictures to train with (4000; digits: those that are no test pictures)"},
    {"test", "N", "pictures to test with (1000; digits: 500)"},
    {"size", "N", "width and height (48; digits: 32)"},
    {"seed", "N", "of what is drawn (1), or of the digits' order (0)"},
    {"quality", "N", "of the JPEG files, 1 to 100 (95)"},
    {"source", "FILE", "digits: scikit-learn's digits.csv.gz"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel pictures shapes1|shapes|digits DIR [options]",
    "Makes labelled pictures to try training and evaluation with: DIR/train/CLASS/0001.jpg "
    "and\n"
    "DIR/test/CLASS/0002.jpg. The same options give the same pictures.\n"
    "\n"
    "  shapes1  ten bright shapes on grey; nothing else tells pictures apart\n"
    "  shapes   half of the shapes are dark: what is learnt is that, and not the shape\n"
    "  digits   the handwritten digits of scikit-learn, enlarged; test pictures are those "
    "that\n"
    "           numpy.random.default_rng(seed).permutation puts last",
};

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    if (strcmp(name, "source") == 0) {
        r->source = value;
        return *value != '\0';
    }
    const struct {
        const char *name;
        int64_t *place, low, high;
    } rows[] = {
        {"train", &r->counts[0], 0, GML_MAX_MADE},  {"test", &r->counts[1], 0, GML_MAX_MADE},
        {"size", &r->size, 8, GML_SHAPES_MAX_SIZE}, {"seed", &r->seed, 0, INT64_MAX},
        {"quality", &r->quality, 1, 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(name, rows[i].name) == 0)
            return gml_cli_int(value, rows[i].place) && *rows[i].place >= rows[i].low &&
                   *rows[i].place <= rows[i].high;
    return false;
}

/* ---- files ------------------------------------------------------------------------------- */

static gml_status make_folder(request *r, const char *path, bool may_exist)
{
    if (mkdir(path, 0777) == 0 || (may_exist && errno == EEXIST))
        return GML_OK;
    return gml_fail(&r->diags, GML_E_IO, (gml_loc){.file = path}, "cannot be made: %s",
                    strerror(errno));
}

/* DIR/PART/CLASS/NUMBER.jpg of the request's pixels. */
static gml_status write_picture(request *r, const char *part, const char *class, int64_t number)
{
    gml_str file;
    gml_str path;
    gml_pixels pixels = {r->pixels, r->size, r->size, 3};
    gml_str_init(&file);
    gml_str_init(&path);
    gml_str_printf(&path, "%s/%s/%s", r->folder, part, class);
    gml_status status = make_folder(r, path.text, true);
    gml_str_printf(&path, "/%04lld.jpg", (long long)number);
    if (status == GML_OK)
        status = gml_jpeg_encode(&pixels, (int)r->quality, &file);
    if (status == GML_E_UNSUPPORTED)
        status = gml_fail(&r->diags, status, (gml_loc){.file = path.text},
                          "this build cannot write JPEG");
    if (status == GML_OK)
        status = gml_file_write(path.text, file.text, file.len, &r->diags);
    gml_str_reset(&file);
    gml_str_reset(&path);
    return status;
}

/* ---- kinds ------------------------------------------------------------------------------- */

static gml_status make_shapes(request *r, int part)
{
    gml_shapes shapes = {.size = r->size,
                         .seed = (uint64_t)r->seed,
                         .part = (uint32_t)part,
                         .polarity = strcmp(r->kind, "shapes") == 0};
    for (int64_t i = 0; i < r->counts[part]; i++) {
        unsigned class = gml_shapes_class(&shapes, (uint32_t)i);
        gml_shapes_draw(&shapes, (uint32_t)i, r->pixels);
        GML_TRY(write_picture(r, parts[part], gml_shapes_name(class), i + 1));
    }
    return GML_OK;
}

/* Numbered by their lines in the source. */
static gml_status make_digits(request *r, int part)
{
    int64_t first = part == 0 ? 0 : (int64_t)r->digits.count - r->counts[1];
    for (int64_t i = 0; i < r->counts[part]; i++) {
        uint32_t line = r->order[first + i];
        const gml_digit *digit = &r->digits.items[line];
        const char class[] = {(char)('0' + digit->class), '\0'};
        gml_digit_draw(digit, r->size, r->pixels);
        GML_TRY(write_picture(r, parts[part], class, (int64_t)line + 1));
    }
    return GML_OK;
}

static gml_status read_digits(request *r)
{
    if (r->source == NULL)
        return gml_fail(&r->diags, GML_E_USAGE, (gml_loc){0},
                        "--source says where scikit-learn's digits.csv.gz is");
    GML_TRY(gml_digits_read(r->source, &r->arena, &r->digits, &r->diags));
    int64_t count = (int64_t)r->digits.count;
    int64_t test = r->counts[1] >= 0 ? r->counts[1] : GML_DIGITS_TEST;
    int64_t train = r->counts[0] >= 0 ? r->counts[0] : count - test;
    if (train < 0 || train + test > count)
        return gml_fail(&r->diags, GML_E_USAGE, (gml_loc){.file = r->source},
                        "has %lld digits, which is less than %lld and %lld", (long long)count,
                        (long long)train, (long long)test);
    r->counts[0] = train;
    r->counts[1] = test;
    r->order = gml_new_array(&r->arena, uint32_t, count);
    gml_numpy_permutation(r->seed >= 0 ? (uint64_t)r->seed : 0, (uint32_t)count, r->order);
    return GML_OK;
}

static void set_default(int64_t *value, int64_t none, int64_t other)
{
    *value = *value == none ? other : *value;
}

static gml_status make(request *r)
{
    bool is_digits = strcmp(r->kind, "digits") == 0;
    if (!is_digits && r->source != NULL)
        return gml_fail(&r->diags, GML_E_USAGE, (gml_loc){0}, "--source goes with digits");
    if (is_digits)
        GML_TRY(read_digits(r));
    set_default(&r->counts[0], -1, 4000);
    set_default(&r->counts[1], -1, 1000);
    set_default(&r->size, 0, is_digits ? 32 : 48);
    set_default(&r->seed, -1, is_digits ? 0 : 1);
    r->pixels = gml_new_array(&r->arena, uint8_t, 3 * r->size * r->size);
    GML_TRY(make_folder(r, r->folder, true));
    for (int part = 0; part < 2; part++) {
        const char *path = gml_arena_printf(&r->arena, "%s/%s", r->folder, parts[part]);
        GML_TRY(make_folder(r, path, false)); /* pictures of another run would be mixed in */
        GML_TRY(is_digits ? make_digits(r, part) : make_shapes(r, part));
        printf("%s: %lld pictures\n", path, (long long)r->counts[part]);
    }
    return GML_OK;
}

int gml_verb_pictures(int argc, char **argv)
{
    request r = {.counts = {-1, -1}, .seed = -1, .quality = 95};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n == 2 && (strcmp(argv[1], "shapes1") == 0 || strcmp(argv[1], "shapes") == 0 ||
                   strcmp(argv[1], "digits") == 0)) {
        r.kind = argv[1];
        r.folder = argv[2];
        gml_status made = make(&r);
        status = made == GML_OK ? 0 : gml_cli_fail(&r.diags, made);
    } else if (n >= 0) {
        fputs(
            "gemel: pictures needs shapes1, shapes or digits, and a folder; --help says more\n",
            stderr);
    }
    gml_arena_reset(&r.arena);
    return status;
}
