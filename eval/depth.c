#include "eval/depth.h"

void gml_depth_draw(const gml_drop_path *drop, gml_rng *rng, int64_t n_samples, float *out)
{
    for (size_t k = 0; k < drop->n; k++)
        for (int64_t i = 0; i < n_samples; i++) {
            bool is_out = gml_rng_unit(rng) < drop->rates[k];
            *out++ = is_out ? 0 : (float)(1 / (1 - drop->rates[k]));
        }
}

void gml_depth_all(const gml_drop_path *drop, int64_t n_samples, float *out)
{
    for (int64_t i = 0; i < (int64_t)drop->n * n_samples; i++)
        out[i] = 1;
}
