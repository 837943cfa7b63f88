/* runtime/host/image_bmp.c - Windows bitmaps: 1, 4 and 8 bits with a palette, 16, 24 and 32
 * bits with or without masks. Run-length compression is refused. */
#include "runtime/host/image_util.h"

#include <string.h>

typedef struct bitmap {
    const uint8_t *bytes;
    size_t size;
    uint32_t header, data; /* sizes of the header, offset of the pixels */
    int64_t width, height;
    bool is_top_down;
    unsigned bits;
    uint32_t masks[3]; /* red, green, blue */
    const uint8_t *palette;
    uint32_t n_colours, colour_size;
} bitmap;

static uint32_t u16_at(const bitmap *b, size_t at)
{
    return at + 2 <= b->size ? b->bytes[at] | (uint32_t)b->bytes[at + 1] << 8 : 0;
}

static uint32_t u32_at(const bitmap *b, size_t at)
{
    return u16_at(b, at) | u16_at(b, at + 2) << 16;
}

static bool read_masks(bitmap *b, uint32_t compression)
{
    static const uint32_t wide[3] = {0xff0000, 0xff00, 0xff};
    static const uint32_t narrow[3] = {0x7c00, 0x3e0, 0x1f};
    if (compression == 0) {
        memcpy(b->masks, b->bits == 16 ? narrow : wide, sizeof b->masks);
        return true;
    }
    if ((compression != 3 && compression != 6) || (b->bits != 16 && b->bits != 32))
        return false;
    for (size_t c = 0; c < 3; c++)
        b->masks[c] = u32_at(b, 14 + 40 + 4 * c);
    return true;
}

/* The old header of 12 bytes has 16-bit sizes and palettes of three bytes a colour. */
static gml_status read_header(gml_image *image, bitmap *b)
{
    *b = (bitmap){.bytes = image->bytes, .size = image->size};
    b->data = u32_at(b, 10);
    b->header = u32_at(b, 14);
    bool is_old = b->header == 12;
    if (!is_old && b->header < 40)
        return gml_image_fail(image, "BMP", "its header is too short");
    b->width = is_old ? (int64_t)u16_at(b, 18) : (int64_t)(int32_t)u32_at(b, 18);
    b->height = is_old ? (int64_t)u16_at(b, 20) : (int64_t)(int32_t)u32_at(b, 22);
    b->bits = u16_at(b, is_old ? 24 : 28);
    b->is_top_down = b->height < 0;
    b->height = b->is_top_down ? -b->height : b->height;
    uint32_t compression = is_old ? 0 : u32_at(b, 30);
    if (!read_masks(b, compression))
        return gml_image_refuse(image, GML_E_UNSUPPORTED, "BMP compression %u with %u bits",
                                compression, b->bits);
    if (b->bits > 8)
        return GML_OK;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8)
        return gml_image_fail(image, "BMP", "its number of bits is wrong");
    uint32_t most = 1u << b->bits;
    uint32_t given = is_old ? 0 : u32_at(b, 46);
    size_t at = 14 + (size_t)b->header;
    b->n_colours = given == 0 || given > most ? most : given;
    b->colour_size = is_old ? 3 : 4;
    if (at > b->size || b->n_colours > (b->size - at) / b->colour_size)
        return gml_image_fail(image, "BMP", "its palette ends early");
    b->palette = b->bytes + at;
    return GML_OK;
}

/* The bits of `mask` in `value`, stretched to eight. */
static uint8_t masked(uint32_t value, uint32_t mask)
{
    while (mask != 0 && (mask & 1) == 0) {
        mask >>= 1;
        value >>= 1;
    }
    if (mask == 0)
        return 0;
    return (uint8_t)(((uint64_t)(value & mask) * 255 + mask / 2) / mask);
}

static void put_pixel(const bitmap *b, const uint8_t *row, int64_t x, uint8_t *rgb)
{
    if (b->bits <= 8) {
        int64_t bit = x * b->bits;
        unsigned shift = 8 - b->bits - (unsigned)(bit & 7);
        uint32_t colour = ((uint32_t)row[bit / 8] >> shift) & ((1u << b->bits) - 1);
        if (colour >= b->n_colours)
            return; /* black */
        for (int c = 0; c < 3; c++)
            rgb[c] = b->palette[colour * b->colour_size + 2 - (uint32_t)c];
        return;
    }
    uint32_t value = 0;
    for (unsigned i = 0; i < b->bits / 8; i++)
        value |= (uint32_t)row[x * (b->bits / 8) + i] << (8 * i);
    for (int c = 0; c < 3; c++)
        rgb[c] = masked(value, b->masks[c]);
}

gml_status gml_image_bmp(gml_image *image)
{
    bitmap b;
    GML_TRY(read_header(image, &b));
    if (b.bits > 8 && b.bits != 16 && b.bits != 24 && b.bits != 32)
        return gml_image_fail(image, "BMP", "its number of bits is wrong");
    GML_TRY(gml_image_alloc(image, b.width, b.height));
    size_t stride = ((size_t)b.width * b.bits + 31) / 32 * 4;
    if (b.data > b.size || (size_t)b.height > (b.size - b.data) / stride)
        return gml_image_fail(image, "BMP", "it ends early");
    for (int64_t y = 0; y < b.height; y++) {
        int64_t from = b.is_top_down ? y : b.height - 1 - y;
        const uint8_t *row = b.bytes + b.data + (size_t)from * stride;
        for (int64_t x = 0; x < b.width; x++)
            put_pixel(&b, row, x, image->pixels + 3 * (y * b.width + x));
    }
    return GML_OK;
}
