/* models/models.c - the table of networks. */
#include "models/models.h"

#include <string.h>

static const gml_network networks[] = {
#define X(name, doc, variants, reads, batch, settings)                                         \
    {#name, doc, variants, reads, batch, settings, gml_network_##name},
#include "models/models.def"
#undef X
};

const gml_network *gml_network_table(size_t *out_count)
{
    *out_count = sizeof networks / sizeof *networks;
    return networks;
}

const gml_network *gml_network_find(const char *name)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (strcmp(networks[i].name, name) == 0)
            return &networks[i];
    return NULL;
}

bool gml_network_has_variant(const gml_network *network, const char *variant)
{
    if (variant == NULL)
        return true;
    size_t len = strlen(variant);
    for (const char *at = network->variants; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word == len && memcmp(at, variant, len) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}
