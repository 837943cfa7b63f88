/* tests/e2e/make_hosts.c - models with host operators that stand on other people's libraries:
 *
 *     make_hosts DIR    writes regex.onnx, upper.onnx, split.onnx, picture.onnx, and
 * plain.onnx, whose operator needs none
 *
 * They have no inputs: what they work on is constant. */
#include "tests/unit/onnx_model.h"

#include <stdio.h>

static void add_strings(onnx_model *m, const char *first, const char *second)
{
    const char *texts[] = {first, second};
    Onnx__TensorProto *tensor = add_tensor(m, "texts", GML_STRING, 1, (int64_t[]){2}, NULL, 0);
    tensor->string_data = gml_new_array(&m->arena, ProtobufCBinaryData, 2);
    tensor->n_string_data = 2;
    for (int i = 0; i < 2; i++) {
        tensor->string_data[i].data = (uint8_t *)model_text(m, texts[i]);
        tensor->string_data[i].len = strlen(texts[i]);
    }
}

static void make_regex(onnx_model *m)
{
    add_strings(m, "abba", "abab");
    add_string(m, add_node(m, "RegexFullMatch", "texts", "y"), "pattern", "a(b+)a");
    add_output(m, "y", GML_BOOL);
}

/* Numbers, by way of capitals. */
static void make_upper(onnx_model *m)
{
    add_strings(m, "1e3", "inf");
    add_string(m, add_node(m, "StringNormalizer", "texts", "t"), "case_change_action", "UPPER");
    add_int(m, add_node(m, "Cast", "t", "y"), "to", GML_F32);
    add_output(m, "y", GML_F32);
}

static void make_split(onnx_model *m)
{
    add_strings(m, "three small words", "one");
    (void)add_node(m, "StringSplit", "texts", "words y");
    add_output(m, "y", GML_I64);
}

/* The largest value of a picture of two pixels. */
static void make_picture(onnx_model *m)
{
    static const char bytes[] = "P6 2 1 255 \x01\x02\x03\xc8\x05\x06";
    int64_t size = sizeof bytes - 1;
    (void)add_tensor(m, "file", GML_U8, 1, &size, bytes, sizeof bytes - 1);
    (void)add_node(m, "ImageDecoder", "file", "pixels");
    add_int(m, add_node(m, "Cast", "pixels", "numbers"), "to", GML_F32);
    add_int(m, add_node(m, "ReduceMax", "numbers", "y"), "keepdims", 0);
    add_output(m, "y", GML_F32);
}

static void make_plain(onnx_model *m)
{
    add_strings(m, "7", "-8.5");
    add_int(m, add_node(m, "Cast", "texts", "y"), "to", GML_F32);
    add_output(m, "y", GML_F32);
}

static bool write_model(const char *folder, const char *name, void (*make)(onnx_model *m))
{
    onnx_model m;
    model_init(&m, 20);
    make(&m);
    size_t size = onnx__model_proto__get_packed_size(&m.proto);
    uint8_t *bytes = gml_arena_alloc(&m.arena, size);
    (void)onnx__model_proto__pack(&m.proto, bytes);
    FILE *file = fopen(gml_arena_printf(&m.arena, "%s/%s.onnx", folder, name), "wb");
    bool done = file && fwrite(bytes, 1, size, file) == size;
    done = file && fclose(file) == 0 && done;
    model_reset(&m);
    return done;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    bool done = write_model(argv[1], "regex", make_regex) &&
                write_model(argv[1], "upper", make_upper) &&
                write_model(argv[1], "split", make_split) &&
                write_model(argv[1], "picture", make_picture) &&
                write_model(argv[1], "plain", make_plain);
    return done ? 0 : 1;
}
