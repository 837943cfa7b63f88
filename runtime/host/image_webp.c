#include "runtime/host/image_util.h"

#ifdef GML_HAVE_WEBP

#    include <webp/decode.h>

gml_status gml_image_webp(gml_image *image)
{
    int width = 0;
    int height = 0;
    if (WebPGetInfo(image->bytes, image->size, &width, &height) == 0)
        return gml_image_fail(image, "WebP", NULL);
    GML_TRY(gml_image_alloc(image, width, height));
    size_t size = 3 * (size_t)width * (size_t)height;
    if (WebPDecodeRGBInto(image->bytes, image->size, image->pixels, size, 3 * width) == NULL)
        return gml_image_fail(image, "WebP", NULL);
    return GML_OK;
}

#else

gml_status gml_image_webp(gml_image *image)
{
    return gml_image_refuse(image, GML_E_UNSUPPORTED, "this build has no decoder of WebP");
}

#endif
