#include "data/geometry.h"

void gml_geometry(const gml_view *first, const gml_view *second, int64_t width,
                  float out_numbers[GML_GEOMETRY])
{
    const gml_crop *a = &first->crop;
    const gml_crop *b = &second->crop;
    double h = (double)a->height;
    double w = (double)a->width;
    out_numbers[0] = (float)((double)(b->top - a->top) / h);
    out_numbers[1] = (float)((double)(b->left - a->left) / w);
    out_numbers[2] = (float)((double)b->height / h);
    out_numbers[3] = (float)((double)b->width / w);
    out_numbers[4] = first->flip != second->flip ? 1 : 0;
    out_numbers[5] = (float)((double)(width - a->left - b->left) / w);
}
