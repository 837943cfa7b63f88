/* cli/train_options.c - the options of a training on pictures. */
#include "cli/cli.h"
#include "cli/train_data.h"

#include <stdio.h>
#include <string.h>

void gml_data_options_init(gml_data_options *options)
{
    *options = (gml_data_options){.run = "run",
                                  .pictures = gml_pictures_defaults(),
                                  .keep = 2,
                                  .log_every = 10,
                                  .monitor_every = 50};
}

/* ---- kinds of values ----------------------------------------------------------------------
 */

static bool read_share(const char *text, double *out_share)
{
    return gml_cli_double(text, out_share) && *out_share >= 0 && *out_share <= 1;
}

static bool read_shares(const char *text, double out_shares[2])
{
    char first[32];
    size_t len = strcspn(text, ",");
    if (len >= sizeof first)
        return false;
    memcpy(first, text, len);
    first[len] = '\0';
    out_shares[1] = -1;
    return read_share(first, &out_shares[0]) &&
           read_share(text[len] == ',' ? text + len + 1 : first, &out_shares[1]);
}

static bool read_choice(const char *text, const char *yes, const char *no,
                        gml_choice *out_choice)
{
    if (strcmp(text, yes) == 0)
        *out_choice = GML_CHOOSE_YES;
    else if (strcmp(text, no) == 0)
        *out_choice = GML_CHOOSE_NO;
    else
        return false;
    return true;
}

static bool read_count(const char *text, int64_t low, int64_t high, int64_t *out_count)
{
    return gml_cli_int(text, out_count) && *out_count >= low && *out_count <= high;
}

/* ---- the options --------------------------------------------------------------------------
 */

static bool handle_share(gml_pictures_options *p, const char *name, const char *value,
                         bool *out_ok)
{
    const struct {
        const char *name;
        double *place;
    } shares[] = {{"crop-min", &p->crop_min},
                  {"flip", &p->flip},
                  {"jitter", &p->jitter},
                  {"grey", &p->grey},
                  {"solarise", &p->solarise}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (strcmp(name, shares[i].name) == 0) {
            *out_ok = read_share(value, shares[i].place);
            return true;
        }
    return false;
}

static bool handle_count(gml_data_options *o, const char *name, const char *value, bool *out_ok)
{
    int64_t workers = o->pictures.n_workers;
    int64_t ahead = o->pictures.ahead;
    int64_t max_bad = o->pictures.max_bad;
    const struct {
        const char *name;
        int64_t *place;
        int64_t low, high;
    } counts[] = {{"save-every", &o->save_every, 1, INT64_MAX},
                  {"keep", &o->keep, 1, 1 << 20},
                  {"log-every", &o->log_every, 1, INT64_MAX},
                  {"monitor-every", &o->monitor_every, 0, INT64_MAX},
                  {"patch", &o->pictures.patch, 1, 1 << 12},
                  {"workers", &workers, 1, GML_MAX_WORKERS},
                  {"ahead", &ahead, 1, 64},
                  {"max-bad", &max_bad, 0, UINT32_MAX}};
    bool found = false;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && !found; i++) {
        found = strcmp(name, counts[i].name) == 0;
        if (found)
            *out_ok = read_count(value, counts[i].low, counts[i].high, counts[i].place);
    }
    o->pictures.n_workers = (int)workers;
    o->pictures.ahead = (int)ahead;
    o->pictures.max_bad = (uint32_t)max_bad;
    return found;
}

static bool handle_word(gml_data_options *o, const char *name, const char *value, bool *out_ok)
{
    *out_ok = true;
    if (strcmp(name, "run") == 0) {
        o->run = value;
        *out_ok = *value != '\0';
    } else if (strcmp(name, "resume") == 0)
        o->resume = true;
    else if (strcmp(name, "fast-jpeg") == 0)
        o->pictures.fast_jpeg = true;
    else if (strcmp(name, "color") == 0)
        *out_ok = read_choice(value, "on", "off", &o->pictures.color);
    else if (strcmp(name, "mask") == 0)
        *out_ok = read_choice(value, "random", "block", &o->pictures.random_mask);
    else if (strcmp(name, "blur") == 0)
        *out_ok = read_shares(value, o->pictures.blur);
    else
        return false;
    return true;
}

bool gml_data_options_handle(gml_data_options *options, const char *name, const char *value,
                             bool *out_ok)
{
    if (strcmp(name, "data") == 0) {
        options->folder = value;
        *out_ok = *value != '\0';
        return true;
    }
    if (!handle_share(&options->pictures, name, value, out_ok) &&
        !handle_count(options, name, value, out_ok) &&
        !handle_word(options, name, value, out_ok))
        return false;
    if (options->first == NULL)
        options->first = name;
    return true;
}
