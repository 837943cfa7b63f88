/* models/preparation.c - what a network's file says about the pictures it takes. */
#include "gemel/preparation.h"

#include "models/models.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What was given, else "". */
static const char *find_given(const gml_network_options *options, const char *name)
{
    for (size_t i = options->n_settings; i-- > 0;)
        if (strcmp(options->settings[i].name, name) == 0)
            return options->settings[i].value;
    return "";
}

/* The entry `key` of the files that the weights come from, of which the last one counts; NULL:
 * they have none. */
static const char *find_text(const gml_weights *weights, const char *key)
{
    for (size_t i = weights != NULL ? gml_weights_text_count(weights) : 0; i-- > 0;) {
        const gml_weights_text *text = gml_weights_get_text(weights, i);
        if (strcmp(text->name, key) == 0)
            return text->value;
    }
    return NULL;
}

/* By the option `name`, else as the weights' files have it. */
static void read(gml_builder *b, const gml_network_options *options, const char *name,
                 const char *key, gml_preparation *out)
{
    const char *value = find_given(options, name);
    bool is_given = *value != '\0';
    if (!is_given)
        value = find_text(options->weights, key);
    const char *fault = value != NULL ? gml_preparation_set(out, key, value) : NULL;
    if (fault != NULL && is_given)
        gml_builder_fail(b, GML_E_USAGE, "--%s %s is %s", name, value, fault);
    else if (fault != NULL)
        gml_builder_fail(b, GML_E_INVALID, "%s: %s: the metadata's '%.40s' is %s",
                         gml_weights_file(options->weights), key, value, fault);
}

static void write_colors(gml_builder *b, const char *key, const double values[3])
{
    char text[80];
    snprintf(text, sizeof text, "%.9g,%.9g,%.9g", values[0], values[1], values[2]);
    gml_builder_metadata(b, key, text);
}

void gml_network_prepare(gml_builder *builder, const gml_network_options *options, int64_t size)
{
    gml_preparation p = {.resize = 0};
    char resize[24];
    read(builder, options, "mean", GML_MEAN_KEY, &p);
    read(builder, options, "std", GML_STD_KEY, &p);
    read(builder, options, "resize", GML_RESIZE_KEY, &p);
    gml_preparation_fill(&p);
    write_colors(builder, GML_MEAN_KEY, p.mean);
    write_colors(builder, GML_STD_KEY, p.std);
    if (p.resize != 0 && p.resize < size)
        gml_builder_fail(builder, GML_E_USAGE,
                         "pictures of %" PRId64 " pixels have no middle of %" PRId64
                         ": --resize says how large their shorter side becomes",
                         p.resize, size);
    snprintf(resize, sizeof resize, "%" PRId64, p.resize);
    if (p.resize != 0 && p.resize != gml_preparation_rule(size))
        gml_builder_metadata(builder, GML_RESIZE_KEY, resize);
}
