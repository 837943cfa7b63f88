/* cli/main.c - the gemel program: finds the verb. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const gml_verb verbs[] = {
    {"bench", "measure a model, whole and kernel by kernel", gml_verb_bench},
    {"compare", "compare two devices, settings or files value by value", gml_verb_compare},
    {"compile", "make a shared library and a C header of a model", gml_verb_compile},
    {"check", "run ONNX test directories and compare", gml_verb_check},
    {"eval", "classify pictures by a backbone's features", gml_verb_eval},
    {"export", "write a network as an ONNX model", gml_verb_export},
    {"info", "say what a model is: interface, operators, size", gml_verb_info},
    {"kernels", "list the operators, test their kernels", gml_verb_kernels},
    {"pictures", "make labelled pictures to try training with", gml_verb_pictures},
    {"run", "run a model once on files or random inputs", gml_verb_run},
    {"train", "run training steps of a model", gml_verb_train},
    {"weights", "list and convert files of weights, say what maps to what", gml_verb_weights},
};

static void print_help(FILE *out)
{
    fputs("gemel compiles, runs and trains ONNX graphs\n\nusage: gemel VERB [options] …\n\n",
          out);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].doc);
    fputs(
        "\n'gemel VERB --help' says more. Exit status: 0 done, 1 the answer is bad, 2 usage,\n"
        "3 bad input, 4 not supported, 5 the machine (memory, device, disk).\n",
        out);
}

int main(int argc, char **argv)
{
    gml_cli_prepare_ending();
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "gemel: there is no verb '%s'; 'gemel --help' lists them\n", argv[1]);
    return 2;
}
