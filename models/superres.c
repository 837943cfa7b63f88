/* models/superres.c - a luminance picture three times as wide and high: convolutions at the low
 * resolution, then a pixel shuffle (channels to pixels).
 */
#include "models/layers.h"
#include "models/models.h"

#define GML_UPSCALE 3

void gml_network_superres(gml_builder *builder, const gml_network_options *options)
{
    static const gml_conv_shape convs[] = {
        {.in = 1, .out = 64, .kernel = 5, .stride = 1, .padding = 2, .has_bias = true},
        {.in = 64, .out = 64, .kernel = 3, .stride = 1, .padding = 1, .has_bias = true},
        {.in = 64, .out = 32, .kernel = 3, .stride = 1, .padding = 1, .has_bias = true},
        {.in = 32,
         .out = (int64_t)GML_UPSCALE * GML_UPSCALE,
         .kernel = 3,
         .stride = 1,
         .padding = 1,
         .has_bias = true},
    };
    static const char *const names[] = {"conv1", "conv2", "conv3", "conv4"};
    gml_layers layers = {.builder = builder, .opset = options->opset};
    int64_t side = options->image_size > 0 ? options->image_size : 224;
    gml_value *x = gml_builder_input(builder, "luminance", GML_F32, 4,
                                     (gml_extent[]){options->batch, {1}, {side}, {side}});
    for (int i = 0; i < 4; i++) {
        x = gml_layer_conv(&layers, names[i], x, &convs[i]);
        if (i < 3)
            x = gml_layer_unary(&layers, gml_scope_node(names[i], "Relu").text, "Relu", x);
    }
    x = gml_builder_node(builder, &(gml_node_spec){.op = "DepthToSpace",
                                                   .name = "pixel_shuffle/DepthToSpace",
                                                   .inputs = {x},
                                                   .attrs = {GML_INT("blocksize", GML_UPSCALE),
                                                             GML_TEXT("mode", "CRD")}});
    gml_builder_output(builder, x, "upscaled"); /* (B, 1, 3H, 3W) */
}
