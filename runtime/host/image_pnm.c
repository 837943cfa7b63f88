/* runtime/host/image_pnm.c - portable bitmaps, greymaps and pixmaps, P1 to P6: text or binary.
 */
#include "runtime/host/image_util.h"

typedef struct pnm {
    const uint8_t *bytes;
    size_t size, at;
    int kind;      /* 1 to 6 */
    int64_t limit; /* the value of white */
} pnm;

static void skip_blanks(pnm *p)
{
    bool in_comment = false;
    for (; p->at < p->size; p->at++) {
        uint8_t byte = p->bytes[p->at];
        bool is_blank = byte == ' ' || (byte >= 9 && byte <= 13);
        if (byte == '#')
            in_comment = true;
        else if (byte == '\n')
            in_comment = false;
        else if (!in_comment && !is_blank)
            return;
    }
}

/* A decimal number of at most nine digits, or one digit when `single`; -1 when there is none.
 */
static int64_t read_number(pnm *p, bool single)
{
    int64_t value = 0;
    int n = 0;
    skip_blanks(p);
    while (p->at < p->size && p->bytes[p->at] >= '0' && p->bytes[p->at] <= '9') {
        value = value * 10 + (p->bytes[p->at++] - '0');
        if (++n > 9)
            return -1;
        if (single)
            break;
    }
    return n > 0 ? value : -1;
}

/* The next sample of a binary file, or -1. */
static int64_t read_binary(pnm *p)
{
    size_t width = p->limit > 255 ? 2 : 1;
    if (p->size - p->at < width)
        return -1;
    int64_t value = p->bytes[p->at++];
    if (width == 2)
        value = value << 8 | p->bytes[p->at++];
    return value;
}

static bool read_sample(pnm *p, uint8_t *out_sample)
{
    int64_t value = p->kind <= 3 ? read_number(p, p->kind == 1) : read_binary(p);
    if (value < 0 || value > p->limit)
        return false;
    if (p->kind == 1)
        value = 1 - value; /* 1 is black */
    *out_sample = (uint8_t)((value * 255 + p->limit / 2) / p->limit);
    return true;
}

/* P4: eight pixels a byte, rows begin with a byte, 1 is black. */
static gml_status read_bits(gml_image *image, pnm *p)
{
    size_t stride = ((size_t)image->width + 7) / 8;
    if ((size_t)image->height > (p->size - p->at) / stride)
        return gml_image_fail(image, "PNM", "it ends early");
    for (int64_t i = 0; i < image->width * image->height; i++) {
        size_t x = (size_t)(i % image->width);
        const uint8_t *row = p->bytes + p->at + (size_t)(i / image->width) * stride;
        bool is_black = ((row[x / 8] >> (7 - x % 8)) & 1) != 0;
        for (int c = 0; c < 3; c++)
            image->pixels[3 * i + c] = is_black ? 0 : 255;
    }
    return GML_OK;
}

gml_status gml_image_pnm(gml_image *image)
{
    pnm p = {.bytes = image->bytes, .size = image->size, .at = 2};
    p.kind = image->bytes[1] - '0';
    bool is_bitmap = p.kind == 1 || p.kind == 4;
    bool has_colour = p.kind == 3 || p.kind == 6;
    int64_t width = read_number(&p, false);
    int64_t height = read_number(&p, false);
    p.limit = is_bitmap ? 1 : read_number(&p, false);
    if (width < 1 || height < 1 || p.limit < 1 || p.limit > 65535)
        return gml_image_fail(image, "PNM", "its header is wrong");
    if (p.kind >= 4 && p.at < p.size)
        p.at++; /* exactly one blank ends a binary file's header */
    /* Every pixel takes at least one bit: a short file with a large size is told at once. */
    if (width > image->max_pixels / height || (size_t)(width * height / 8) > p.size)
        return gml_image_fail(image, "PNM", "it ends early");
    GML_TRY(gml_image_alloc(image, width, height));
    if (p.kind == 4)
        return read_bits(image, &p);
    for (int64_t i = 0; i < width * height; i++) {
        uint8_t *rgb = image->pixels + 3 * i;
        for (int c = 0; c < 3; c++) {
            if (c > 0 && !has_colour)
                rgb[c] = rgb[0];
            else if (!read_sample(&p, &rgb[c]))
                return gml_image_fail(image, "PNM", "it ends early");
        }
    }
    return GML_OK;
}
