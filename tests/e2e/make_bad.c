/* tests/e2e/make_bad.c - hostile ONNX files, written byte by byte.
 *
 *     make_bad DIR       writes good.onnx and the bad ones, which bad_input.sh names
 *     make_bad --mutate  loads and runs every truncation and every flipped bit of good.onnx, in
 * this process: none may crash, and each that fails must say why
 *
 * good.onnx is y = Relu(Add(x, w)) with x f32[1,3].
 */
#include "base/str.h"
#include "gemel/gemel.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- protobuf -----------------------------------------------------------------------------
 */

static void put_varint(gml_str *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        gml_str_putc(out, (char)(value | 0x80));
    gml_str_putc(out, (char)value);
}

static void put_int(gml_str *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3);
    put_varint(out, value);
}

static void put_bytes(gml_str *out, unsigned field, const void *bytes, size_t len)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, len);
    gml_str_append(out, bytes, len);
}

static void put_text(gml_str *out, unsigned field, const char *text)
{
    put_bytes(out, field, text, strlen(text));
}

/* Takes `part`. */
static void put_part(gml_str *out, unsigned field, gml_str *part)
{
    put_bytes(out, field, part->text, part->len);
    gml_str_reset(part);
}

static gml_str start(void)
{
    gml_str str;
    gml_str_init(&str);
    return str;
}

/* ---- ONNX ---------------------------------------------------------------------------------
 */

/* Bytes that JSON, and UTF-8, must not see as they are. */
#define GML_NASTY     "\"\\\n\x01\x7f\xc3\x28\xff*/ ?/"
#define GML_NASTY_DIM UINT64_MAX /* a size whose name is that */

/* A ValueInfoProto of a float tensor. */
static void put_value(gml_str *graph, unsigned field, const char *name, const uint64_t *dims,
                      size_t rank)
{
    gml_str shape = start();
    gml_str tensor = start();
    gml_str type = start();
    gml_str value = start();
    for (size_t i = 0; i < rank; i++) {
        gml_str dim = start();
        if (dims[i] == GML_NASTY_DIM)
            put_text(&dim, 2, GML_NASTY "n");
        else
            put_int(&dim, 1, dims[i]);
        put_part(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_part(&tensor, 2, &shape);
    put_part(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_part(&value, 2, &type);
    put_part(graph, field, &value);
}

static void put_node(gml_str *graph, const char *op, const char *a, const char *b,
                     const char *result)
{
    gml_str node = start();
    put_text(&node, 1, a);
    if (b)
        put_text(&node, 1, b);
    put_text(&node, 2, result);
    put_text(&node, 3, result); /* the node's name */
    put_text(&node, 4, op);
    put_part(graph, 1, &node);
}

/* An initialiser of floats; `raw_len` bytes of `fill`. */
static void put_weight(gml_str *graph, const char *name, uint64_t dim, const float *values,
                       size_t raw_len)
{
    gml_str tensor = start();
    put_int(&tensor, 1, dim);
    put_int(&tensor, 2, 1);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, values, raw_len);
    put_part(graph, 5, &tensor);
}

/* Takes `graph`. */
static gml_str make_model(gml_str *graph, uint64_t opset)
{
    gml_str model = start();
    gml_str import = start();
    put_int(&model, 1, 9);
    put_part(&model, 7, graph);
    put_text(&import, 1, "");
    put_int(&import, 2, opset);
    put_part(&model, 8, &import);
    return model;
}

static const uint64_t row[2] = {1, 3};

static void put_interface(gml_str *graph, const uint64_t *dims, size_t rank)
{
    put_text(graph, 2, "g");
    put_value(graph, 11, "x", dims, rank);
    put_value(graph, 12, "y", dims, rank);
}

/* With these weights, claimed to be `dim` floats. */
static gml_str make_net(const float *weights, uint64_t dim, size_t raw_len, uint64_t opset)
{
    gml_str graph = start();
    put_node(&graph, "Add", "x", "w", "s");
    put_node(&graph, "Relu", "s", NULL, "y");
    put_weight(&graph, "w", dim, weights, raw_len);
    put_interface(&graph, row, 2);
    return make_model(&graph, opset);
}

static gml_str make_good(void)
{
    static const float weights[3] = {1, 2, 3};
    return make_net(weights, 3, sizeof weights, 20);
}

/* One node whose operand and result are these. */
static gml_str make_single(const char *op, const char *operand, const char *result,
                           const uint64_t *dims, size_t rank)
{
    gml_str graph = start();
    put_node(&graph, op, operand, NULL, result);
    put_interface(&graph, dims, rank);
    return make_model(&graph, 20);
}

static gml_str make_cycle(void)
{
    gml_str graph = start();
    put_node(&graph, "Add", "x", "b", "a");
    put_node(&graph, "Relu", "a", NULL, "b");
    put_node(&graph, "Relu", "b", NULL, "y");
    put_interface(&graph, row, 2);
    return make_model(&graph, 20);
}

/* If inside If inside If … */
static gml_str make_deep(int depth)
{
    gml_str graph = start();
    put_node(&graph, "Relu", "x", NULL, "y");
    put_text(&graph, 2, "g");
    put_value(&graph, 12, "y", row, 2);
    for (int i = 0; i < depth; i++) {
        gml_str attr = start();
        gml_str node = start();
        gml_str outer = start();
        put_text(&attr, 1, "then_branch");
        put_part(&attr, 6, &graph);
        put_int(&attr, 20, 5);
        put_text(&node, 1, "x");
        put_text(&node, 2, "y");
        put_text(&node, 4, "If");
        put_part(&node, 5, &attr);
        put_part(&outer, 1, &node);
        put_interface(&outer, row, 2);
        graph = outer;
    }
    return make_model(&graph, 20);
}

/* Weights in a file of another folder. */
static gml_str make_escape(void)
{
    gml_str graph = start();
    gml_str tensor = start();
    gml_str entry = start();
    put_node(&graph, "Add", "x", "w", "y");
    put_int(&tensor, 1, 3);
    put_int(&tensor, 2, 1);
    put_text(&tensor, 8, "w");
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "../../../../../etc/passwd");
    put_part(&tensor, 13, &entry);
    put_int(&tensor, 14, 1);
    put_part(&graph, 5, &tensor);
    put_interface(&graph, row, 2);
    return make_model(&graph, 20);
}

/* y = op(x), and every name is nasty. */
static gml_str make_nasty(const char *op)
{
    static const uint64_t dims[2] = {GML_NASTY_DIM, 3};
    gml_str graph = start();
    put_node(&graph, op, GML_NASTY "x", NULL, GML_NASTY "y");
    put_text(&graph, 2, GML_NASTY "g");
    put_value(&graph, 11, GML_NASTY "x", dims, 2);
    put_value(&graph, 12, GML_NASTY "y", dims, 2);
    return make_model(&graph, 20);
}

/* ---- files --------------------------------------------------------------------------------
 */

/* Takes `bytes`. */
static void save(const char *folder, const char *name, gml_str *bytes)
{
    gml_str path = start();
    gml_str_printf(&path, "%s/%s.onnx", folder, name);
    FILE *file = fopen(path.text, "wb");
    if (!file || fwrite(bytes->text, 1, bytes->len, file) != bytes->len || fclose(file) != 0) {
        perror(path.text);
        exit(1);
    }
    gml_str_reset(&path);
    gml_str_reset(bytes);
}

static void save_damaged(const char *folder)
{
    gml_str bytes = make_good();
    save(folder, "good", &bytes);
    bytes = make_good();
    bytes.len = bytes.len * 2 / 3;
    save(folder, "truncated", &bytes);
    bytes = make_good();
    bytes.text[2] ^= 0x10; /* the tag of the graph */
    save(folder, "flipped", &bytes);
    bytes = make_good();
    bytes.len = 0;
    save(folder, "empty", &bytes);
    bytes = start();
    put_int(&bytes, 1, 9);
    put_varint(&bytes, 7 << 3 | 2);
    put_varint(&bytes, (uint64_t)1 << 40); /* the length of the graph */
    gml_str_puts(&bytes, "abc");
    save(folder, "overlong", &bytes);
    bytes = start();
    gml_str_puts(&bytes, "this is no model\n");
    save(folder, "text", &bytes);
}

static void save_graphs(const char *folder)
{
    static const uint64_t huge[2] = {(uint64_t)1 << 62, 3};
    static const uint64_t wide[2] = {(uint64_t)1 << 40, 1 << 20};
    static const uint64_t none[2] = {0, 3};
    float weights[3];
    memset(weights, 0xff, sizeof weights); /* NaN */
    gml_str bytes = make_cycle();
    save(folder, "cyclic", &bytes);
    bytes = make_deep(90);
    save(folder, "deep", &bytes);
    bytes = make_net(weights, 3, sizeof weights, 20);
    save(folder, "nan", &bytes);
    bytes = make_net(weights, 3, 4, 20);
    save(folder, "short_weight", &bytes);
    bytes = make_net(weights, (uint64_t)1 << 62, sizeof weights, 20);
    save(folder, "huge_weight", &bytes);
    bytes = make_net(weights, 3, sizeof weights, 999);
    save(folder, "new_opset", &bytes);
    bytes = make_single("Relu", "x", "y", huge, 2);
    save(folder, "huge", &bytes);
    bytes = make_single("Relu", "x", "y", wide, 2);
    save(folder, "wide", &bytes);
    bytes = make_single("Relu", "x", "y", none, 2);
    save(folder, "zero_sized", &bytes);
    bytes = make_single("Relu", "nothing", "y", row, 2);
    save(folder, "undefined", &bytes);
    bytes = make_single("Frobnicate", "x", "y", row, 2);
    save(folder, "unknown_op", &bytes);
    bytes = make_nasty("Relu");
    save(folder, "nasty", &bytes);
    bytes = make_nasty(GML_NASTY "Op");
    save(folder, "nasty_op", &bytes);
    bytes = make_escape();
    save(folder, "escape", &bytes);
}

/* ---- mutations ----------------------------------------------------------------------------
 */

static void note(gml_status status, const char *what, size_t at, int bit)
{
    const char *text = gml_error_text();
    if (status != GML_OK && status != GML_E_INTERNAL && *text)
        return;
    if (status == GML_OK)
        return;
    fprintf(stderr, "%s %zu.%d: status %d, '%s'\n", what, at, bit, (int)status, text);
    exit(1);
}

/* Loads and, where that goes well and the sizes are small, runs. */
static gml_status try_model(const void *bytes, size_t len)
{
    static float zeros[4096];
    gml_model *model = NULL;
    gml_session *session = NULL;
    gml_model_options options = {.device = "ref"};
    gml_status status = gml_model_wrap(bytes, len, NULL, &options, &model);
    if (status == GML_OK)
        status = gml_session_create(model, &session);
    for (size_t i = 0; status == GML_OK && i < gml_model_n_inputs(model); i++) {
        const gml_port *port = gml_model_input(model, i);
        gml_tensor x = {.dtype = port->dtype, .rank = port->rank, .data = zeros};
        for (int d = 0; d < port->rank; d++)
            x.dims[d] = port->dims[d] < 0 ? 1 : port->dims[d];
        if (port->rank < 0 || port->dtype == GML_STRING || gml_tensor_numel(&x) > 1024)
            break; /* the run will say that it is missing */
        status = gml_session_bind_input(session, i, &x);
    }
    if (status == GML_OK)
        status = gml_session_run(session);
    gml_session_destroy(session);
    gml_model_release(model);
    return status;
}

static int mutate(void)
{
    gml_str good = make_good();
    size_t n_fine = 0;
    size_t n_bad = 0;
    for (size_t len = 0; len < good.len; len++) {
        char *copy = malloc(len ? len : 1); /* of just that size: reading on is seen */
        memcpy(copy, good.text, len);
        gml_status status = try_model(copy, len);
        note(status, "length", len, 0);
        *(status == GML_OK ? &n_fine : &n_bad) += 1;
        free(copy);
    }
    for (size_t i = 0; i < good.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            good.text[i] = (char)(good.text[i] ^ 1 << bit);
            gml_status status = try_model(good.text, good.len);
            note(status, "byte", i, bit);
            *(status == GML_OK ? &n_fine : &n_bad) += 1;
            good.text[i] = (char)(good.text[i] ^ 1 << bit);
        }
    }
    gml_status status = try_model(good.text, good.len);
    printf("%zu mutations: %zu refused, %zu ran\n", n_fine + n_bad, n_bad, n_fine);
    gml_str_reset(&good);
    return status != GML_OK;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (strcmp(argv[1], "--mutate") == 0)
        return mutate();
    save_damaged(argv[1]);
    save_graphs(argv[1]);
    return 0;
}
