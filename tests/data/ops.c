/* tests/data/ops.c - applies operations of data/ to pictures, for a comparison with Pillow.
 *
 * A request is a line, "NAME HEIGHT WIDTH CHANNELS N ARGUMENT…", and then N bytes: interleaved
 * pixels, or with `decode` a file. The answer is a line, "STATUS HEIGHT WIDTH N", and N bytes:
 * interleaved pixels, or with `normalise` floats (3, height, width). Ends with its input. */
#include "base/diag.h"
#include "data/affine.h"
#include "data/color.h"
#include "data/randaugment.h"
#include "data/resize.h"
#include "runtime/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 16

typedef struct request {
    char name[32];
    int64_t height, width, channels, size;
    double args[MAX_ARGS];
    uint8_t *bytes;
} request;

static bool read_request(request *r)
{
    char line[1024];
    int used = 0;
    if (!fgets(line, sizeof line, stdin))
        return false;
    if (sscanf(line, "%31s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", r->name,
               &r->height, &r->width, &r->channels, &r->size, &used) != 5)
        return false;
    char *at = line + used;
    for (int i = 0; i < MAX_ARGS; i++)
        r->args[i] = strtod(at, &at);
    r->bytes = malloc((size_t)r->size + 1);
    return r->bytes && fread(r->bytes, 1, (size_t)r->size, stdin) == (size_t)r->size;
}

static void answer(gml_status status, int64_t height, int64_t width, const void *bytes,
                   size_t size)
{
    printf("%d %" PRId64 " %" PRId64 " %zu\n", (int)status, height, width, size);
    if (size > 0)
        fwrite(bytes, 1, size, stdout);
    fflush(stdout);
}

static void answer_planes(gml_status status, const uint8_t *planes, int64_t height,
                          int64_t width, int64_t channels)
{
    int64_t n = height * width;
    uint8_t *pixels = malloc((size_t)(n * channels) + 1);
    for (int64_t i = 0; pixels && i < n; i++)
        for (int64_t c = 0; c < channels; c++)
            pixels[i * channels + c] = planes[c * n + i];
    answer(status, height, width, pixels, (size_t)(n * channels));
    free(pixels);
}

static void run_resize(const request *r, gml_filter filter, gml_work *work)
{
    const double *a = r->args;
    gml_resize resize = {.crop = {(int64_t)a[0], (int64_t)a[1], (int64_t)a[2], (int64_t)a[3]},
                         .flip = a[4] != 0,
                         .filter = filter,
                         .height = (int64_t)a[5],
                         .width = (int64_t)a[6]};
    gml_pixels source = {r->bytes, r->height, r->width, (int)r->channels};
    uint8_t *out = malloc((size_t)(resize.height * resize.width * r->channels));
    gml_status status = gml_resize_run(&resize, &source, work, out);
    answer_planes(status, out, resize.height, resize.width, r->channels);
    free(out);
}

static void run_decode(const request *r)
{
    gml_scratch scratch = {0};
    gml_image image = {.bytes = r->bytes,
                       .size = (size_t)r->size,
                       .least_side = (int64_t)r->args[0],
                       .scratch = &scratch};
    gml_status status = gml_image_decode(&image);
    size_t size = status == GML_OK ? (size_t)(3 * image.width * image.height) : 0;
    answer(status, image.height, image.width, image.pixels, size);
    gml_scratch_reset(&scratch);
}

/* The matrix, or an angle, and the fill colour. */
static gml_status warp(const request *r, const gml_planes *planes, gml_work *work)
{
    bool is_angle = strcmp(r->name, "rotate") == 0;
    const double *colors = r->args + (is_angle ? 1 : 6);
    uint8_t fill[3] = {(uint8_t)colors[0], (uint8_t)colors[1], (uint8_t)colors[2]};
    gml_affine affine;
    memcpy(affine.m, r->args, sizeof affine.m);
    if (is_angle)
        affine = gml_affine_rotation(r->args[0], planes->height, planes->width);
    return gml_affine_run(&affine, fill, planes, work);
}

/* "rand-NAME": a magnitude, and 1 for the negative sign. */
static gml_status apply_rand(const request *r, const gml_planes *planes, gml_work *work)
{
    gml_rand_step step = {.magnitude = r->args[0], .is_negative = r->args[1] != 0};
    for (int i = 0; i < GML_RAND_OPERATION_COUNT; i++) {
        step.operation = (gml_rand_operation)i;
        if (strcmp(r->name + 5, gml_rand_operation_name(step.operation)) == 0)
            return gml_rand_step_run(&step, planes, work);
    }
    return GML_E_USAGE;
}

static gml_status apply_tone(const request *r, const gml_planes *planes, gml_work *work)
{
    const char *name = r->name;
    double x = r->args[0];
    if (strcmp(name, "autocontrast") == 0)
        gml_color_autocontrast(planes);
    else if (strcmp(name, "equalise") == 0)
        gml_color_equalise(planes);
    else if (strcmp(name, "invert") == 0)
        gml_color_invert(planes);
    else if (strcmp(name, "posterise") == 0)
        gml_color_posterise(planes, (int)x);
    else if (strcmp(name, "lift") == 0)
        gml_color_lift(planes, (int)x, (int)r->args[1]);
    else if (strcmp(name, "sharpness") == 0)
        return gml_color_sharpness(planes, (float)x, work);
    else
        return GML_E_USAGE;
    return GML_OK;
}

static gml_status apply(const request *r, const gml_planes *planes, gml_work *work)
{
    const char *name = r->name;
    double x = r->args[0];
    if (strcmp(name, "rotate") == 0 || strcmp(name, "affine") == 0)
        return warp(r, planes, work);
    if (strncmp(name, "rand-", 5) == 0)
        return apply_rand(r, planes, work);
    if (strcmp(name, "brightness") == 0)
        gml_color_brightness(planes, (float)x);
    else if (strcmp(name, "contrast") == 0)
        gml_color_contrast(planes, (float)x);
    else if (strcmp(name, "saturation") == 0)
        gml_color_saturation(planes, (float)x);
    else if (strcmp(name, "hue") == 0)
        gml_color_hue(planes, x);
    else if (strcmp(name, "grey") == 0)
        gml_color_grey(planes);
    else if (strcmp(name, "solarise") == 0)
        gml_color_solarise(planes, (int)x);
    else if (strcmp(name, "blur") == 0)
        return gml_color_blur(planes, (float)x, work);
    else
        return apply_tone(r, planes, work);
    return GML_OK;
}

static void run_color(const request *r, gml_work *work)
{
    int64_t n = r->height * r->width;
    gml_planes planes = {malloc((size_t)(3 * n)), r->height, r->width};
    for (int64_t i = 0; i < 3 * n; i++)
        planes.data[i % 3 * n + i / 3] = r->bytes[i];
    if (strcmp(r->name, "normalise") == 0) {
        const double *a = r->args;
        const float mean[3] = {(float)a[0], (float)a[1], (float)a[2]};
        const float std[3] = {(float)a[3], (float)a[4], (float)a[5]};
        float *out = malloc((size_t)(3 * n) * sizeof *out);
        gml_color_normalise(&planes, mean, std, out);
        answer(GML_OK, r->height, r->width, out, (size_t)(3 * n) * sizeof *out);
        free(out);
    } else {
        gml_status status = apply(r, &planes, work);
        answer_planes(status, planes.data, r->height, r->width, 3);
    }
    free(planes.data);
}

int main(void)
{
    gml_work work = {0};
    request r;
    while (read_request(&r)) {
        if (strcmp(r.name, "bicubic") == 0)
            run_resize(&r, GML_FILTER_BICUBIC, &work);
        else if (strcmp(r.name, "bilinear") == 0)
            run_resize(&r, GML_FILTER_BILINEAR, &work);
        else if (strcmp(r.name, "decode") == 0)
            run_decode(&r);
        else
            run_color(&r, &work);
        free(r.bytes);
    }
    gml_work_reset(&work);
    return 0;
}
