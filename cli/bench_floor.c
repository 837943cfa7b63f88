/* cli/bench_floor.c - gemel bench --kernels --device emu: how fast the program could be. */
#include "cli/bench_floor.h"

#include "cli/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define GML_MOST_PARTS 6 /* of a saving, in text */

static const char *const bound_names[GML_BOUND_COUNT] = {"memory", "tensor", "f32"};

static const struct {
    const char *name, *text;
} saving_names[GML_SAVING_COUNT] = {
    [GML_SAVING_OPERANDS] = {"operands", "values written as bf16, which products copied so"},
    [GML_SAVING_ROOM] = {"room", "kernels whose blocks keep their arrays out of device memory"},
    [GML_SAVING_SUMS] = {"sums", "values read for small results: those made by the writer"},
    [GML_SAVING_COPIES] = {"copies", "phases that only copy, left out"},
    [GML_SAVING_FUSION] = {"fusion", "other values not handed on through memory, at most"},
    [GML_SAVING_NARROW] = {"narrow", "what is left of them as bf16, which changes results"},
};

static double rate_of(const gml_floor *floor, double seconds)
{
    return floor->batch > 0 && seconds > 0 ? (double)floor->batch / seconds : 0;
}

static double share_of(const gml_floor *floor, double seconds)
{
    double all = gml_floor_seconds(&floor->total);
    return all > 0 ? seconds / all : 0;
}

/* ---- text ---------------------------------------------------------------------------------
 */

static void print_total(const gml_program *program, const gml_floor *floor)
{
    const gml_floor_work *total = &floor->total;
    const gml_ceilings *c = floor->ceilings;
    double seconds = gml_floor_seconds(total);
    printf("floors, not times: nothing was run. %c%s: memory %.1f TB/s, tensor cores %.0f "
           "TFLOP/s, f32 %.0f TFLOP/s\n",
           toupper((unsigned char)c->name[0]), c->name + 1, c->bytes / 1e12, c->mma / 1e12,
           c->flops / 1e12);
    printf("sum: %.3f ms", seconds * 1e3);
    if (floor->batch > 0)
        printf(", %.0f img/s with %lld in a batch", rate_of(floor, seconds),
               (long long)floor->batch);
    printf("; bound by memory %.3f ms, by tensor cores %.3f, by f32 %.3f\n",
           total->seconds[GML_BOUND_MEMORY] * 1e3, total->seconds[GML_BOUND_MMA] * 1e3,
           total->seconds[GML_BOUND_FLOPS] * 1e3);
    printf("%.3f GB, %.4f TFLOP on tensor cores, %.4f others; %u kernels, %u launches, %u host "
           "operators; arena %.2f GB\n",
           total->bytes / 1e9, total->mma / 1e12, total->flops / 1e12, floor->n_kernels,
           total->n_launches, floor->n_host, (double)program->arena_size / 1e9);
    if (floor->path.planned > 0)
        printf("critical path %.3f ms of %.3f, by values alone %.3f, as if kernels beside each "
               "other shared nothing of the GPU; %u waits\n",
               floor->path.planned * 1e3, seconds * 1e3, floor->path.values * 1e3,
               floor->path.n_waits);
}

static void print_groups(const gml_program *program, const gml_floor *floor)
{
    puts("\n       ms   share  count        GB passed on   tensor      f32  bound   kernel, "
         "its first result (first node)");
    for (uint32_t i = 0; i < floor->n_groups; i++) {
        const gml_floor_group *group = &floor->groups[i];
        const gml_step *step = &program->steps.items[group->step];
        const gml_floor_work *work = &group->work;
        double seconds = gml_floor_seconds(work);
        printf("%9.4f %5.1f %% %6u %9.4f %7.0f %% %8.4f %8.4f  %-6s  %s %s (%s)\n",
               seconds * 1e3, share_of(floor, seconds) * 100, group->count, work->bytes / 1e9,
               work->bytes > 0 ? group->passed / work->bytes * 100 : 0, work->mma / 1e12,
               work->flops / 1e12, bound_names[gml_floor_bound(work)], step->name, group->shape,
               step->node);
    }
    puts("all kernels of a line together; tensor, f32: TFLOP; passed on: bytes that a kernel "
         "writes for others or reads of them");
}

static void print_part(const gml_saving_part *part)
{
    printf("%40s%9.3f  %u x ", "", part->bytes / 1e9, part->count);
    if (part->writer)
        printf("%s > ", part->writer);
    puts(part->reader);
}

static void print_savings(const gml_floor *floor)
{
    const gml_floor_work *before = &floor->total;
    puts(
        "\nwhat would lower it, each after those before:\n       ms  (memory)    img/s   saves "
        "ms        GB");
    for (int i = 0; i < GML_SAVING_COUNT; i++) {
        const gml_saving *saving = &floor->savings[i];
        double seconds = gml_floor_seconds(&saving->after);
        printf("%9.3f %9.3f %8.0f  %9.3f %9.3f  %u %s\n", seconds * 1e3,
               saving->after.seconds[GML_BOUND_MEMORY] * 1e3, rate_of(floor, seconds),
               (gml_floor_seconds(before) - seconds) * 1e3, saving->bytes / 1e9, saving->count,
               saving_names[i].text);
        for (uint32_t k = 0; k < saving->n_parts && k < GML_MOST_PARTS; k++)
            print_part(&saving->parts[k]);
        before = &saving->after;
    }
}

/* ---- JSON ---------------------------------------------------------------------------------
 */

static json_t *json_work(const gml_floor *floor, const gml_floor_work *work)
{
    double seconds = gml_floor_seconds(work);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:I}", "bytes",
                     gml_json_real(work->bytes), "mma_flop", gml_json_real(work->mma), "flop",
                     gml_json_real(work->flops), "ms", gml_json_real(seconds * 1e3), "share",
                     gml_json_real(share_of(floor, seconds)), "bound",
                     bound_names[gml_floor_bound(work)], "memory_ms",
                     gml_json_real(work->seconds[GML_BOUND_MEMORY] * 1e3), "mma_ms",
                     gml_json_real(work->seconds[GML_BOUND_MMA] * 1e3), "flop_ms",
                     gml_json_real(work->seconds[GML_BOUND_FLOPS] * 1e3), "launches",
                     (json_int_t)work->n_launches);
}

static json_t *json_kernel(const gml_floor *floor, const gml_step *step,
                           const gml_floor_work *work)
{
    json_t *row = json_work(floor, work);
    json_object_set_new(row, "kernel", gml_json_text(step->name));
    json_object_set_new(row, "node", gml_json_text(step->node));
    return row;
}

static json_t *json_kernels(const gml_program *program, const gml_floor *floor)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < program->steps.count; i++)
        if (program->steps.items[i].kind == GML_STEP_KERNEL)
            json_array_append_new(
                rows, json_kernel(floor, &program->steps.items[i], &floor->steps[i]));
    return rows;
}

static json_t *json_groups(const gml_program *program, const gml_floor *floor)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < floor->n_groups; i++) {
        const gml_floor_group *group = &floor->groups[i];
        json_t *row = json_kernel(floor, &program->steps.items[group->step], &group->work);
        json_object_set_new(row, "count", json_integer(group->count));
        json_object_set_new(row, "shape", gml_json_text(group->shape));
        json_object_set_new(row, "passed_bytes", gml_json_real(group->passed));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *json_savings(const gml_floor *floor)
{
    json_t *rows = json_array();
    for (int i = 0; i < GML_SAVING_COUNT; i++) {
        const gml_saving *saving = &floor->savings[i];
        json_t *parts = json_array();
        for (uint32_t k = 0; k < saving->n_parts; k++) {
            const gml_saving_part *part = &saving->parts[k];
            json_array_append_new(
                parts, json_pack("{s:o, s:o, s:I, s:o}", "writer", gml_json_text(part->writer),
                                 "reader", gml_json_text(part->reader), "count",
                                 (json_int_t)part->count, "bytes", gml_json_real(part->bytes)));
        }
        json_array_append_new(
            rows,
            json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "what", saving_names[i].name, "count",
                      (json_int_t)saving->count, "bytes", gml_json_real(saving->bytes), "after",
                      json_work(floor, &saving->after), "images_per_second",
                      gml_json_real(rate_of(floor, gml_floor_seconds(&saving->after))), "parts",
                      parts));
    }
    return rows;
}

/* null: the launches are no graph. */
static json_t *json_path(const gml_floor_path *path)
{
    return path->planned > 0
               ? json_pack("{s:o, s:o, s:I}", "ms", gml_json_real(path->planned * 1e3),
                           "values_ms", gml_json_real(path->values * 1e3), "waits",
                           (json_int_t)path->n_waits)
               : json_null();
}

static int print_json(const gml_program *program, const gml_floor *floor)
{
    const gml_ceilings *c = floor->ceilings;
    json_t *root =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "floors_of", c->name,
                  "bytes_per_second", gml_json_real(c->bytes), "mma_flop_per_second",
                  gml_json_real(c->mma), "flop_per_second", gml_json_real(c->flops), "sum",
                  json_work(floor, &floor->total), "images_per_second",
                  gml_json_real(rate_of(floor, gml_floor_seconds(&floor->total))), "batch",
                  (json_int_t)floor->batch, "kernel_count", (json_int_t)floor->n_kernels,
                  "host_operators", (json_int_t)floor->n_host, "arena_bytes",
                  (json_int_t)program->arena_size);
    if (root) {
        json_object_set_new(root, "critical_path", json_path(&floor->path));
        json_object_set_new(root, "groups", json_groups(program, floor));
        json_object_set_new(root, "savings", json_savings(floor));
        json_object_set_new(root, "kernels", json_kernels(program, floor));
    }
    return gml_json_print(root);
}

int gml_bench_floor_print(const gml_program *program, const gml_ceilings *ceilings, bool json,
                          gml_arena *arena)
{
    gml_floor floor;
    gml_floor_find(program, ceilings, arena, &floor);
    if (json)
        return print_json(program, &floor);
    print_total(program, &floor);
    print_groups(program, &floor);
    print_savings(&floor);
    return 0;
}
