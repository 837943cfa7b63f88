/* models/resnet.c - ResNet with bottleneck blocks, version 1.5 (the stride is at the 3 x 3
 * convolution), as torchvision builds and names it. Normalisation is as exporters write it for
 * inference.
 */
#include "models/layers.h"
#include "models/models.h"

#include <string.h>

#define GML_EPSILON   1e-5F
#define GML_N_CLASSES 1000
#define GML_N_STAGES  4
#define GML_EXPANSION 4 /* a block's outputs for each of its inner channels */

typedef struct resnet_variant {
    const char *name;
    int64_t blocks[GML_N_STAGES];
} resnet_variant;

static const resnet_variant variants[] = {
    {"50", {3, 4, 6, 3}},
    {"101", {3, 4, 23, 3}},
    {"152", {3, 8, 36, 3}},
};

static gml_value *normalize(const gml_layers *layers, const char *name, gml_value *x,
                            int64_t channels)
{
    gml_builder *b = layers->builder;
    gml_fill zero = gml_fill_constant(0);
    gml_fill one = gml_fill_constant(1);
    gml_value *scale =
        gml_builder_weight(b, gml_scope_in(name, "weight").text, GML_F32, 1, &channels, one);
    gml_value *shift =
        gml_builder_weight(b, gml_scope_in(name, "bias").text, GML_F32, 1, &channels, zero);
    gml_value *mean = gml_builder_state(b, gml_scope_in(name, "running_mean").text, GML_F32, 1,
                                        &channels, zero);
    gml_value *variance = gml_builder_state(b, gml_scope_in(name, "running_var").text, GML_F32,
                                            1, &channels, one);
    return gml_builder_node(
        b, &(gml_node_spec){
               .op = "BatchNormalization",
               .name = gml_scope_node(name, "BatchNormalization").text,
               .inputs = {x, scale, shift, mean, variance},
               .attrs = {GML_FLOAT("epsilon", GML_EPSILON), GML_FLOAT("momentum", 0.9F)}});
}

/* Convolution and normalisation: "SCOPE.conv1" and "SCOPE.bn1" with number 1. */
static gml_value *conv_norm(const gml_layers *layers, const char *scope, int number,
                            gml_value *x, const gml_conv_shape *shape)
{
    static const char *const convs[] = {"", "conv1", "conv2", "conv3"};
    static const char *const norms[] = {"", "bn1", "bn2", "bn3"};
    x = gml_layer_conv(layers, gml_scope_in(scope, convs[number]).text, x, shape);
    return normalize(layers, gml_scope_in(scope, norms[number]).text, x, shape->out);
}

/* x (B, in, H, W) -> (B, 4 inner, H / stride, W / stride) */
static gml_value *add_block(const gml_layers *layers, const char *name, gml_value *x,
                            int64_t in, int64_t inner, int64_t stride)
{
    int64_t out = inner * GML_EXPANSION;
    gml_value *y =
        conv_norm(layers, name, 1, x,
                  &(gml_conv_shape){.in = in, .out = inner, .kernel = 1, .stride = 1});
    y = gml_layer_unary(layers, gml_scope_node(name, "Relu").text, "Relu", y);
    y = conv_norm(layers, name, 2, y,
                  &(gml_conv_shape){
                      .in = inner, .out = inner, .kernel = 3, .stride = stride, .padding = 1});
    y = gml_layer_unary(layers, gml_scope_node(name, "Relu_1").text, "Relu", y);
    y = conv_norm(layers, name, 3, y,
                  &(gml_conv_shape){.in = inner, .out = out, .kernel = 1, .stride = 1});
    if (in != out) {
        gml_scope shortcut = gml_scope_in(name, "downsample");
        x = gml_layer_conv(
            layers, gml_scope_numbered(shortcut.text, 0).text, x,
            &(gml_conv_shape){.in = in, .out = out, .kernel = 1, .stride = stride});
        x = normalize(layers, gml_scope_numbered(shortcut.text, 1).text, x, out);
    }
    y = gml_layer_binary(layers, gml_scope_node(name, "Add").text, "Add", y, x);
    return gml_layer_unary(layers, gml_scope_node(name, "Relu_2").text, "Relu", y);
}

/* images (B, 3, H, W) -> (B, 64, H / 4, W / 4) */
static gml_value *add_stem(const gml_layers *layers, gml_value *images)
{
    gml_value *x = gml_layer_conv(
        layers, "conv1", images,
        &(gml_conv_shape){.in = 3, .out = 64, .kernel = 7, .stride = 2, .padding = 3});
    x = normalize(layers, "bn1", x, 64);
    x = gml_layer_unary(layers, "relu/Relu", "Relu", x);
    return gml_builder_node(
        layers->builder,
        &(gml_node_spec){.op = "MaxPool",
                         .name = "maxpool/MaxPool",
                         .inputs = {x},
                         .attrs = {GML_INTS("kernel_shape", 3, 3), GML_INTS("pads", 1, 1, 1, 1),
                                   GML_INTS("strides", 2, 2)}});
}

void gml_network_resnet(gml_builder *builder, const gml_network_options *options)
{
    const resnet_variant *v = &variants[0];
    for (size_t i = 0; options->variant != NULL && i < sizeof variants / sizeof *variants; i++)
        if (strcmp(variants[i].name, options->variant) == 0)
            v = &variants[i];
    gml_layers layers = {builder, options->opset, 0.02};
    int64_t side = options->image_size > 0 ? options->image_size : 224;
    gml_value *x = gml_builder_input(builder, "images", GML_F32, 4,
                                     (gml_extent[]){options->batch, {3}, {side}, {side}});
    x = add_stem(&layers, x);
    int64_t channels = 64;
    for (int64_t stage = 0; stage < GML_N_STAGES; stage++) {
        int64_t inner = (int64_t)64 << stage;
        gml_scope layer = {"layer1"};
        layer.text[5] = (char)('1' + stage);
        for (int64_t i = 0; i < v->blocks[stage]; i++) {
            x = add_block(&layers, gml_scope_numbered(layer.text, i).text, x, channels, inner,
                          i == 0 && stage > 0 ? 2 : 1);
            channels = inner * GML_EXPANSION;
        }
    }
    if (options->no_head) {
        gml_builder_output(builder, x, "features"); /* (B, 2048, H / 32, W / 32) */
        return;
    }
    x = gml_layer_unary(&layers, "avgpool/GlobalAveragePool", "GlobalAveragePool", x);
    x = gml_layer_unary(&layers, "Flatten", "Flatten", x); /* (B, 2048) */
    gml_builder_output(builder, gml_layer_classifier(&layers, "fc", x, channels, GML_N_CLASSES),
                       "logits");
}
