/* gemel/preparation.h - how pictures become a model's input, as the model's file says it.
 *
 * Pixels of 0 to 255 become (v / 255 - mean) / std, a number each for red, green and blue.
 * Before that an evaluation makes the shorter side `resize` pixels and takes the middle. A
 * backbone's metadata has these as texts, under the keys below; what it does not have is
 * ImageNet's, and for `resize` the rule's.
 */
#ifndef GEMEL_PREPARATION_H
#define GEMEL_PREPARATION_H

#include "gemel/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GML_MEAN_KEY   "gemel.mean" /* "0.485,0.456,0.406" */
#define GML_STD_KEY    "gemel.std"  /* the same, of positive numbers */
#define GML_RESIZE_KEY "gemel.resize"

/* All zero: nothing is known. */
typedef struct gml_preparation {
    bool has_mean, has_std;
    double mean[3], std[3]; /* finite as floats too, and `std` not 0 */
    int64_t resize;         /* 0: not known */
} gml_preparation;

/* Sets what `key` is the name of; of another key nothing. NULL, or what `value` is instead of
 * what it should be ("no three numbers …"), and then nothing is set. */
const char *gml_preparation_set(gml_preparation *preparation, const char *key,
                                const char *value);
/* Mean and deviation that are not known become ImageNet's. */
void gml_preparation_fill(gml_preparation *preparation);
/* The shorter side for pictures of that size when nothing is said: 256 for 224, in proportion
 * for larger ones; small pictures are taken whole. */
int64_t gml_preparation_rule(int64_t size);

#ifdef __cplusplus
}
#endif

#endif
