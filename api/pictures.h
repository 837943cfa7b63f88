/* api/pictures.h - the inputs of a training step from a folder of pictures.
 *
 * What is to be loaded follows from the model's inputs, by name:
 *
 *     x1        f32 [B,3,S,S]   the first view; or the only input of four dimensions
 *     x2        f32 [B,3,S,S]   the second view, if there is one
 *     visible   i64 [B,V]       the patches of the first view that are seen
 *     geometry  f32 [B,6]       where the crops lie
 *     labels    i64 [B]         the numbers of the pictures' classes
 *
 * f64 will do for f32. What shapes do not tell is in the metadata `gemel.data` of the ONNX
 * file, words NAME=VALUE: patch=16 mask=block color=on steps=124800. Options come before it.
 * Other inputs are not this file's.
 *
 *     GML_TRY(gml_pictures_open(folder, model, &options, &pictures, diags));
 *     while (wanted) {
 *         GML_TRY(gml_pictures_next(pictures, values, &batch, diags));
 *         … values are the inputs of a step …
 *     }
 *     gml_pictures_close(pictures);
 *
 * One thread calls; loading is on threads of its own (data/loader.h).
 */
#ifndef GML_API_PICTURES_H
#define GML_API_PICTURES_H

#include "api/session.h"
#include "base/str.h"
#include "data/loader.h"

typedef enum gml_choice { GML_AS_THE_MODEL_SAYS, GML_CHOOSE_NO, GML_CHOOSE_YES } gml_choice;

/* To begin with as gml_pictures_defaults gives it. */
typedef struct gml_pictures_options {
    double crop_min; /* share of the area; negative: the recipe's 0.08 */
    double flip;     /* probabilities; negative: the recipe's */
    double jitter, grey, solarise;
    double blur[2];         /* of the first view and the second */
    gml_choice color;       /* NO: neither jitter, grey, blur nor solarise */
    gml_choice random_mask; /* instead of blocks */
    int64_t patch;          /* pixels a side; 0: as the model says, or 16 */
    uint64_t seed;
    int n_workers, ahead;
    bool fast_jpeg;
    uint32_t max_bad;                  /* as the loader's: in one epoch */
    uint32_t first_epoch, first_batch; /* where to begin; behind an epoch's end: with the next,
                                          as gml_pictures_plan then says */
    uint32_t bad_before;               /* of the first epoch */
} gml_pictures_options;

gml_pictures_options gml_pictures_defaults(void);

typedef struct gml_pictures gml_pictures;

/* GML_E_USAGE when the model's inputs are not such, an open size was not given, or an option
 * will not do; or what the data set and the loader say. */
GML_MUST_CHECK gml_status gml_pictures_open(const char *folder, const gml_model *model,
                                            const gml_pictures_options *options,
                                            gml_pictures **out_pictures, gml_diags *diags);
void gml_pictures_close(gml_pictures *pictures); /* accepts NULL */

/* The next batch: `values` (one for each input of the model) view it until the next call, and
 * `*out_batch` is what the loader says of it. Values of inputs that are not named above stay.
 */
GML_MUST_CHECK gml_status gml_pictures_next(gml_pictures *pictures, gml_rvalue *values,
                                            const gml_batch **out_batch, gml_diags *diags);

const gml_dataset *gml_pictures_dataset(const gml_pictures *pictures);
const gml_loader *gml_pictures_loader(const gml_pictures *pictures);
/* What the model and the options came to. */
const gml_loader_options *gml_pictures_plan(const gml_pictures *pictures);
/* Steps that the model's schedules are made for; 0: it does not say. */
int64_t gml_pictures_steps(const gml_model *model);
/* Appends all that decides what is in the batches but the pictures themselves, as one line: two
 * trainings with the same line, folder and model see the same batches. */
void gml_pictures_describe(const gml_pictures *pictures, gml_str *out);
/* Of the names of all pictures, in order. */
uint64_t gml_pictures_hash(const gml_pictures *pictures);

#endif
