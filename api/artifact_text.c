/* api/artifact_text.c - the C text around an artifact: its header, and its entry points.
 *
 * An artifact's functions take one pointer a tensor, typed as C can, and one int64_t for each
 * symbolic size of the inputs. Names of tensors become C identifiers. */
#include "api/artifact_text.h"

#include "api/artifact_elf.h"
#include "api/artifact_link.h"
#include "runtime/artifact.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *c_type(gml_dtype dtype)
{
    switch ((int)dtype) {
    case GML_F32: return "float";
    case GML_F64: return "double";
    case GML_I8:
    case GML_I4:
    case GML_I2: return "int8_t";
    case GML_I16: return "int16_t";
    case GML_I32: return "int32_t";
    case GML_I64: return "int64_t";
    case GML_U16:
    case GML_F16:
    case GML_BF16: return "uint16_t";
    case GML_U32: return "uint32_t";
    case GML_U64: return "uint64_t";
    default: return "uint8_t";
    }
}

static void print_identifier(const char *name, const char *kind, uint32_t number, gml_str *out)
{
    gml_str_printf(out, "%s%u", kind, number);
    if (!name || !*name)
        return;
    gml_str_putc(out, '_');
    for (; *name; name++)
        gml_str_putc(out, isalnum((unsigned char)*name) ? *name : '_');
}

/* A comment with the type. Symbols are called as the model likes: none may end the comment, or
 * the line, and go on as code. */
static void print_type_comment(const gml_program *program, const gml_slot *slot, gml_str *out)
{
    gml_str_printf(out, " /* %s[", gml_dtype_name(slot->dtype));
    size_t start = out->len;
    for (int d = 0; d < slot->rank; d++) {
        gml_str_puts(out, d ? "," : "");
        gml_dim_print(&program->dims, slot->dims[d], out);
    }
    for (size_t i = start; i < out->len; i++) {
        unsigned char byte = (unsigned char)out->text[i];
        bool is_mark = (byte == '/' && out->text[i - 1] == '*') ||
                       (byte == '*' && out->text[i - 1] == '/');
        if (byte < 0x20 || byte >= 0x7f || byte == '\\' || is_mark)
            out->text[i] = '?';
    }
    gml_str_puts(out, "] */");
}

/* The symbols among the inputs' dimensions, in order of appearance: at most 32 matter. */
typedef struct symbols {
    gml_dim list[32];
    unsigned count;
} symbols;

static symbols find_symbols(const gml_program *program)
{
    symbols s = {.count = 0};
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const gml_slot *slot = &program->slots.items[program->inputs[i]];
        for (int d = 0; d < slot->rank; d++) {
            bool known = gml_dim_is_const(slot->dims[d]);
            for (unsigned j = 0; j < s.count; j++)
                known = known || s.list[j] == slot->dims[d];
            if (!known && s.count < 32)
                s.list[s.count++] = slot->dims[d];
        }
    }
    return s;
}

static void symbol_identifier(const gml_program *program, gml_dim dim, gml_str *out)
{
    gml_str_init(out);
    gml_dim_print(&program->dims, dim, out);
    for (size_t i = 0; i < out->len; i++)
        if (!isalnum((unsigned char)out->text[i]))
            out->text[i] = '_';
}

/* Names that differ may give one identifier: the second gets its number. */
static void print_symbol(const gml_program *program, gml_dim dim, gml_str *out)
{
    symbols s = find_symbols(program);
    gml_str name;
    symbol_identifier(program, dim, &name);
    gml_str_printf(out, "size_%s", name.text);
    for (unsigned i = 0; i < s.count && s.list[i] != dim; i++) {
        gml_str other;
        symbol_identifier(program, s.list[i], &other);
        bool is_same = strcmp(other.text, name.text) == 0;
        gml_str_reset(&other);
        if (!is_same)
            continue;
        unsigned number = i + 1;
        while (number < s.count && s.list[number] != dim)
            number++;
        gml_str_printf(out, "_%u", number);
        break;
    }
    gml_str_reset(&name);
}

/* Those of the caller: states come behind them. */
static uint32_t count_inputs(const gml_program *program)
{
    uint32_t n = program->n_inputs;
    for (size_t i = 0; i < program->states.count; i++)
        n -= program->states.items[i].input != GML_NO_SLOT;
    return n;
}

static uint32_t count_outputs(const gml_program *program)
{
    uint32_t n = program->n_outputs;
    for (size_t i = 0; i < program->states.count; i++)
        n -= program->states.items[i].output != GML_NO_SLOT;
    return n;
}

static bool has_states(const gml_artifact_entry *entries)
{
    return entries[0].program->states.count != 0;
}

static void print_signature(const gml_artifact_entry *entry, const char *name, gml_str *out)
{
    const gml_program *program = entry->program;
    symbols s = find_symbols(program);
    gml_str_printf(out, "int %s_%s(%s *model", name, entry->name, name);
    for (unsigned i = 0; i < s.count; i++) {
        gml_str_puts(out, ", int64_t ");
        print_symbol(program, s.list[i], out);
    }
    for (uint32_t i = 0; i < count_inputs(program); i++) {
        const gml_slot *slot = &program->slots.items[program->inputs[i]];
        gml_str_printf(out, ",\n    const %s *", c_type(slot->dtype));
        print_identifier(program->input_names[i], "in", i, out);
        print_type_comment(program, slot, out);
    }
    for (uint32_t i = 0; i < count_outputs(program); i++) {
        const gml_slot *slot = &program->slots.items[program->outputs[i]];
        gml_str_printf(out, ",\n    %s *", c_type(slot->dtype));
        print_identifier(program->output_names[i], "out", i, out);
        print_type_comment(program, slot, out);
    }
    gml_str_puts(out, ")");
}

static void print_about(const char *name, const char *weights, gml_str *out)
{
    gml_str_printf(
        out,
        "/* %s.h - a model compiled by gemel. Link with the library of the same name.\n"
        " *\n"
        " * Functions return 0, or 3 bad input, 4 not supported, 5 the machine failed;\n"
        " * %s_error says what was wrong. Tensors are dense and row-major. A model is\n"
        " * one thread's at a time; several models may run at once.\n",
        name, name);
    if (weights)
        gml_str_printf(out,
                       " *\n"
                       " * The weights are in %s, which %s_open maps. It must lie in the\n"
                       " * library's folder, and be the one that was written with it:\n"
                       " *\n"
                       " *     if (%s_open(&model, 1, error, sizeof error) != 0)\n"
                       " *         fprintf(stderr, \"%%s\\n\", error); missing, cut short, "
                       "another model's\n",
                       weights, name, name);
    gml_str_puts(out, " */\n");
}

static gml_status check_ports(const gml_program *program, gml_diags *diags)
{
    for (uint32_t i = 0; i < program->n_inputs + program->n_outputs; i++) {
        bool in = i < program->n_inputs;
        uint32_t number = in ? i : i - program->n_inputs;
        const gml_slot *slot =
            &program->slots.items[in ? program->inputs[number] : program->outputs[number]];
        if (slot->dtype == GML_NONE || slot->dtype == GML_STRING || slot->rank == GML_NO_RANK)
            return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.node = slot->name},
                            "no C parameter can stand for this %s", in ? "input" : "output");
    }
    return GML_OK;
}

static void print_states(const char *name, gml_str *out)
{
    gml_str_printf(out,
                   "\n/* What is kept from run to run: a trained weight, an average, a "
                   "counter. Its elements\n"
                   " * are dense and may be read and written between runs, so that a program "
                   "can save and\n"
                   " * load them; they are valid until the model is closed. They begin as the "
                   "model's file\n"
                   " * has them. After a step that failed while running they are lost. */\n"
                   "typedef struct %s_tensor {\n    const char *name;\n    const char *dtype; "
                   "/* \"f32\" */\n"
                   "    int rank;\n    const int64_t *dims;\n    void *data;\n    size_t size; "
                   "/* bytes */\n"
                   "} %s_tensor;\n"
                   "size_t %s_n_states(const %s *model);\n"
                   "/* NULL when `index` is too large, or none is called so. */\n"
                   "const %s_tensor *%s_state(const %s *model, size_t index);\n"
                   "const %s_tensor *%s_find_state(const %s *model, const char *name);\n",
                   name, name, name, name, name, name, name, name, name, name);
}

static const char *describe(const char *entry)
{
    if (strncmp(entry, "step", 4) == 0)
        return "One step of training: changes states.";
    if (strncmp(entry, "init", 4) == 0)
        return "Gives states their first values, for training that begins afresh.";
    return "The model with its states as they are now; they stay.";
}

gml_status gml_artifact_header(const gml_artifact_entry *entries, size_t n, const char *name,
                               const char *weights, gml_str *out, gml_diags *diags)
{
    for (size_t i = 0; i < n; i++)
        GML_TRY(check_ports(entries[i].program, diags));
    print_about(name, weights, out);
    gml_str_printf(out,
                   "#ifndef GEMEL_MODEL_%s_H\n#define GEMEL_MODEL_%s_H\n\n"
                   "#include <stddef.h>\n#include <stdint.h>\n\n"
                   "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
                   "typedef struct %s %s;\n\n"
                   "/* `error` (of `size` bytes) may be NULL. */\n"
                   "int %s_open(%s **out_model, int n_threads, char *error, size_t size);\n"
                   "void %s_close(%s *model);\n"
                   "const char *%s_error(const %s *model);\n",
                   name, name, name, name, name, name, name, name, name, name);
    for (size_t i = 0; i < n; i++) {
        if (has_states(entries))
            gml_str_printf(out, "\n/* %s */\n", describe(entries[i].name));
        print_signature(&entries[i], name, out);
        gml_str_puts(out, ";\n");
    }
    if (has_states(entries))
        print_states(name, out);
    gml_str_puts(out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return GML_OK;
}

void gml_artifact_exports(const gml_artifact_entry *entries, size_t n, const char *name,
                          gml_str *out)
{
    gml_str_printf(out, "%s_open; %s_close; %s_error; ", name, name, name);
    for (size_t i = 0; i < n; i++)
        gml_str_printf(out, "%s_%s; ", name, entries[i].name);
    if (has_states(entries))
        gml_str_printf(out, "%s_n_states; %s_state; %s_find_state; ", name, name, name);
}

/* ---- the library's side -------------------------------------------------------------------
 */

/* The function of entry `number`. */
static void print_run(const gml_artifact_entry *entries, size_t number, const char *call,
                      const char *name, gml_str *out)
{
    const gml_program *program = entries[number].program;
    print_signature(&entries[number], name, out);
    gml_str_puts(out, "\n{\n    const void *inputs[] = {");
    for (uint32_t i = 0; i < count_inputs(program); i++) {
        print_identifier(program->input_names[i], "in", i, out);
        gml_str_puts(out, ", ");
    }
    gml_str_puts(out, "0};\n    void *outputs[] = {");
    for (uint32_t i = 0; i < count_outputs(program); i++) {
        print_identifier(program->output_names[i], "out", i, out);
        gml_str_puts(out, ", ");
    }
    gml_str_puts(out, "0};\n");
    for (uint32_t i = 0; i < count_inputs(program); i++) {
        const gml_slot *slot = &program->slots.items[program->inputs[i]];
        gml_str_printf(out, "    const int64_t dims%u[] = {", i);
        for (int d = 0; d < slot->rank; d++) {
            if (gml_dim_is_const(slot->dims[d]))
                gml_str_printf(out, "%" PRId64, slot->dims[d]);
            else
                print_symbol(program, slot->dims[d], out);
            gml_str_puts(out, ", ");
        }
        gml_str_puts(out, "0};\n");
    }
    gml_str_puts(out, "    const int64_t *dims[] = {");
    for (uint32_t i = 0; i < count_inputs(program); i++)
        gml_str_printf(out, "dims%u, ", i);
    gml_str_printf(out, "0};\n    return %s inputs, dims, outputs);\n}\n", call);
}

/* The note gives way to the image (api/artifact_elf.h); the relocation, which does nothing,
 * keeps linkers from leaving it out. `__ehdr_start` is the linker's: the beginning of the
 * library. */
static const char image_text[] =
    "\n__asm__(\".section " GML_IMAGE_SECTION ",\\\"a\\\",@note\\n.balign 4\\n\"\n"
    "        \"gml_note: .long 6, 0, 1\\n.asciz \\\"gemel\\\"\\n.balign 4\\n.text\\n\"\n"
    "        \".reloc ., BFD_RELOC_NONE, gml_note\\n\");\n"
    "extern const char __ehdr_start[] __attribute__((visibility(\"hidden\")));\n"
    "const void *gml_embed_image(const void *, size_t *);\n\n"
    /* for whoever opens the library by its name alone: api/artifact_open.c */
    "const void *gemel_artifact(size_t *out_size, const void **out_symbols)\n{\n"
    "    *out_symbols = &gml_symbols;\n"
    "    return gml_embed_image(__ehdr_start, out_size);\n}\n\n";

static void print_state_functions(const char *name, gml_str *out)
{
    gml_str_printf(
        out,
        "\ntypedef struct gml_embed_state state;\n"
        "size_t gml_embed_n_states(const %s *);\n"
        "const state *gml_embed_get_state(const %s *, size_t);\n"
        "const state *gml_embed_find_state(const %s *, const char *);\n\n"
        "size_t %s_n_states(const %s *model)\n{\n    return gml_embed_n_states(model);\n}\n\n"
        "const state *%s_state(const %s *model, size_t index)\n{\n"
        "    return gml_embed_get_state(model, index);\n}\n\n"
        "const state *%s_find_state(const %s *model, const char *name)\n{\n"
        "    return gml_embed_find_state(model, name);\n}\n",
        name, name, name, name, name, name, name, name, name);
}

static void print_parts(const gml_artifact_entry *entries, size_t n, const char *name,
                        gml_str *out)
{
    gml_str_printf(out,
                   "int gml_embed_run_part(%s *, unsigned, const void *const *,\n"
                   "                       const int64_t *const *, void *const *);\n\n",
                   name);
    for (size_t i = 0; i < n; i++) {
        char call[64];
        snprintf(call, sizeof call, "gml_embed_run_part(model, %zu,", i);
        print_run(entries, i, call, name, out);
        gml_str_putc(out, '\n');
    }
    print_state_functions(name, out);
}

void gml_artifact_stub(const gml_artifact_entry *entries, size_t n, const char *name,
                       gml_str *out)
{
    gml_artifact_print_stub(entries, n, "gml_symbols", out);
    gml_str_puts(out, image_text);
    gml_str_printf(
        out,
        "typedef struct gml_embed %s;\n"
        "int gml_embed_open(const void *, const void *, int, %s **, char *, size_t);\n"
        "void gml_embed_close(%s *);\n"
        "int gml_embed_run(%s *, const void *const *, const int64_t *const *, void *const *);\n"
        "const char *gml_embed_error(const %s *);\n\n"
        "int %s_open(%s **out_model, int n_threads, char *error, size_t size)\n{\n"
        "    return gml_embed_open(__ehdr_start, &gml_symbols, n_threads, out_model, error,\n"
        "                          size);\n}\n\n"
        "void %s_close(%s *model)\n{\n    gml_embed_close(model);\n}\n\n"
        "const char *%s_error(const %s *model)\n{\n    return gml_embed_error(model);\n}\n\n",
        name, name, name, name, name, name, name, name, name, name, name);
    if (n == 1 && !has_states(entries))
        print_run(entries, 0, "gml_embed_run(model,", name, out);
    else
        print_parts(entries, n, name, out);
}
