/* data/blend.h - Pillow's blend of two tones. */
#ifndef GML_DATA_BLEND_H
#define GML_DATA_BLEND_H

#include <stdint.h>

/* from + factor (v - from), rounded towards zero and clipped, in Pillow's order. */
static inline uint8_t gml_blend(uint8_t from, uint8_t v, float factor)
{
    float mixed = (float)from + factor * (float)(v - from);
    mixed = mixed < 0 ? 0 : mixed;
    mixed = mixed > 255 ? 255 : mixed;
    return (uint8_t)(int32_t)mixed;
}

#endif
