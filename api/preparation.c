/* api/preparation.c - how pictures become a model's input. */
#include "api/preparation.h"

#include "api/source.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GML_MAX_RESIZE 8192

/* ---- texts ------------------------------------------------------------------------------- */

/* Three numbers with commas between them, that floats can hold. */
static bool read_colors(const char *text, double least, double out[3])
{
    double found[3];
    for (int c = 0; c < 3; c++) {
        char *end = NULL;
        found[c] = strtod(text, &end);
        if (end == text || *end != (c < 2 ? ',' : '\0') || !(fabs(found[c]) <= FLT_MAX) ||
            found[c] < least)
            return false;
        text = end + 1;
    }
    memcpy(out, found, sizeof found);
    return true;
}

static bool read_resize(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long pixels = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || pixels < 1 || pixels > GML_MAX_RESIZE)
        return false;
    *out = pixels;
    return true;
}

const char *gml_preparation_set(gml_preparation *preparation, const char *key,
                                const char *value)
{
    gml_preparation *p = preparation;
    if (strcmp(key, GML_MEAN_KEY) == 0) {
        bool is_good = read_colors(value, -FLT_MAX, p->mean);
        p->has_mean = p->has_mean || is_good;
        return is_good ? NULL : "no three numbers with commas between them";
    }
    if (strcmp(key, GML_STD_KEY) == 0) {
        bool is_good = read_colors(value, FLT_MIN, p->std);
        p->has_std = p->has_std || is_good;
        return is_good ? NULL : "no three positive numbers with commas between them";
    }
    if (strcmp(key, GML_RESIZE_KEY) == 0 && !read_resize(value, &p->resize))
        return "no number of pixels from 1 to 8192";
    return NULL;
}

/* ---- a model's --------------------------------------------------------------------------- */

static bool is_known(const gml_preparation *p, const char *key)
{
    return (p->has_mean && strcmp(key, GML_MEAN_KEY) == 0) ||
           (p->has_std && strcmp(key, GML_STD_KEY) == 0) ||
           (p->resize != 0 && strcmp(key, GML_RESIZE_KEY) == 0);
}

gml_status gml_preparation_complete(gml_preparation *preparation, const gml_model *model,
                                    gml_diags *diags)
{
    const gml_preparation given = *preparation;
    const gml_module *module = gml_model_module(model);
    for (size_t i = 0; module != NULL && i < module->metadata.count; i++) {
        const gml_metadata *entry = &module->metadata.items[i];
        if (entry->key == NULL || entry->value == NULL || is_known(&given, entry->key))
            continue;
        const char *fault = gml_preparation_set(preparation, entry->key, entry->value);
        if (fault != NULL)
            return gml_fail(
                diags, GML_E_INVALID,
                (gml_loc){.file = gml_model_source(model)->path, .node = entry->key},
                "the metadata's '%.40s' is %s", entry->value, fault);
    }
    return GML_OK;
}

/* ---- what nobody says -------------------------------------------------------------------- */

void gml_preparation_fill(gml_preparation *preparation)
{
    static const double mean[3] = {0.485, 0.456, 0.406};
    static const double std[3] = {0.229, 0.224, 0.225};
    if (!preparation->has_mean)
        memcpy(preparation->mean, mean, sizeof mean);
    if (!preparation->has_std)
        memcpy(preparation->std, std, sizeof std);
    preparation->has_mean = preparation->has_std = true;
}

int64_t gml_preparation_rule(int64_t size)
{
    return size < 224 ? size : (size * 256 + 112) / 224;
}
