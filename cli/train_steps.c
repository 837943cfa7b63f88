/* cli/train_steps.c - a training on pictures: its steps, and what is said of them. */
#define _POSIX_C_SOURCE 200809L

#include "api/monitor.h"
#include "api/nonfinite.h"
#include "api/state_file.h"
#include "cli/cli.h"
#include "cli/train_report.h"
#include "cli/train_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- bad pictures -------------------------------------------------------------------------
 */

/* Each is named once, however often it comes. */
static void tell_bad_pictures(gml_data_run *run)
{
    const gml_loader *loader = gml_pictures_loader(run->pictures);
    const gml_dataset *dataset = gml_pictures_dataset(run->pictures);
    gml_str name;
    gml_str_init(&name);
    for (uint64_t i = 0; gml_loader_bad(loader, i) != NULL; i++) {
        const gml_bad_picture *bad = gml_loader_bad(loader, i);
        if (run->is_told[bad->index])
            continue;
        run->is_told[bad->index] = true;
        name.len = 0;
        gml_dataset_name(dataset, bad->index, &name);
        gml_cli_progress_end(&run->progress);
        fprintf(stderr,
                "gemel: %s: %s; replaced, %" PRIu32 " of at most %" PRIu32 " an epoch\n",
                name.text, bad->why, gml_loader_bad_in_epoch(loader),
                run->options.pictures.max_bad);
    }
    gml_str_reset(&name);
}

/* ---- numbers that are none ----------------------------------------------------------------
 */

static const gml_scalar *find_nonfinite(const gml_data_run *run)
{
    for (size_t i = 0; i < run->n_numbers; i++)
        if (!isfinite(run->numbers[i].value))
            return &run->numbers[i];
    return NULL;
}

/* From the last checkpoint to the step that failed, which is done value by value. */
static gml_status repeat(gml_data_run *run, gml_nonfinite *out_first, gml_diags *diags)
{
    int64_t failed = run->step;
    const gml_batch *batch = NULL;
    gml_found_checkpoint found;
    GML_TRY(gml_checkpoint_find(run->options.run, &run->arena, &found, diags));
    if (found.path == NULL || found.checkpoint.step >= failed)
        return GML_E_UNSUPPORTED;
    GML_TRY(gml_states_load(found.path, run->states, diags));
    run->epoch = found.checkpoint.epoch;
    run->batch = found.checkpoint.batch;
    run->bad = found.checkpoint.bad;
    GML_TRY(gml_data_run_load(run, diags));
    for (run->step = found.checkpoint.step; run->step < failed - 1; run->step++) {
        GML_TRY(gml_pictures_next(run->pictures, run->inputs, &batch, diags));
        GML_TRY(gml_session_execute(run->session, run->inputs, run->outputs, diags));
        if (gml_cli_wanted_ending() != 0)
            return GML_E_UNSUPPORTED;
    }
    GML_TRY(gml_pictures_next(run->pictures, run->inputs, &batch, diags));
    return gml_nonfinite_find(run->model, run->states, run->inputs, &run->arena, out_first,
                              diags);
}

/* Names the step, and the first tensor in the order of computing; where steps cannot be
 * repeated, the first output or state. */
static gml_status stop_nonfinite(gml_data_run *run, const gml_scalar *number, gml_diags *diags)
{
    gml_nonfinite first = {.node = ""};
    const char *state = NULL;
    GML_TRY(gml_states_nonfinite(run->states, &state, diags));
    const char *name = number->name;
    double value = number->value;
    int64_t step = run->step;
    gml_cli_progress_end(&run->progress);
    const char *text = isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    fprintf(stderr, "gemel: %s of step %" PRId64 " is %s: looking for where that begins\n",
            name, step, text);
    size_t before = diags->list.count;
    gml_status status = repeat(run, &first, diags);
    gml_diags_truncate(diags, before);
    gml_loc loc = {.file = gml_model_source(run->model)->path};
    gml_status result =
        gml_fail(diags, GML_E_MISMATCH, loc, "%s of step %" PRId64 " is %g", name, step, value);
    if (status == GML_OK && first.value != NULL)
        gml_note(diags, "the first tensor that is not finite is %s%s%s", first.value,
                 *first.node != '\0' ? ", of node " : "", first.node);
    else if (state != NULL)
        gml_note(diags, "the first state that is not finite after it is %s", state);
    return result;
}

/* ---- what is said -------------------------------------------------------------------------
 */

static double wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_due(const gml_data_run *run, int64_t every)
{
    return every > 0 && (run->step % every == 0 || run->step == run->last);
}

/* Adds what is known of the targets, if the model gives them. */
static gml_status monitor(gml_data_run *run, gml_diags *diags)
{
    size_t index = 0;
    gml_monitor seen;
    size_t before = diags->list.count;
    if (gml_model_find_output(run->model, "target", &index) != GML_OK) {
        gml_diags_truncate(diags, before);
        return GML_OK;
    }
    gml_status status = gml_monitor_targets(&run->outputs[index].tensor, &seen);
    if (status == GML_E_UNSUPPORTED)
        return GML_OK;
    if (status != GML_OK)
        return gml_fail(diags, status, (gml_loc){0}, "no memory to look at the targets");
    const gml_scalar more[] = {{"effective_rank", seen.effective_rank},
                               {"mean_cosine", seen.mean_cosine},
                               {"between_images", seen.between_images}};
    memcpy(&run->numbers[run->n_numbers], more, sizeof more);
    run->n_numbers += sizeof more / sizeof *more;
    return GML_OK;
}

static void show_progress(gml_data_run *run, double now)
{
    double per_step = run->step > run->first + 1
                          ? (now - run->begin) / (double)(run->step - run->first - 1)
                          : 0;
    int64_t batch = gml_pictures_plan(run->pictures)->batch;
    int64_t left = (int64_t)(per_step * (double)(run->last - run->step) + 0.5);
    gml_str text;
    gml_str_init(&text);
    if (per_step > 0)
        gml_str_printf(&text, "  %.1f img/s  ETA %" PRId64 ":%02" PRId64 ":%02" PRId64,
                       (double)batch / per_step, left / 3600, left / 60 % 60, left % 60);
    if (run->n_numbers > 0)
        gml_str_printf(&text, "  %s %.4g", run->numbers[0].name, run->numbers[0].value);
    gml_cli_progress_bar(&run->progress, run->step, run->last, text.text);
    gml_str_reset(&text);
}

/* A line to standard output, and to the log; `clock` is now. */
static gml_status put_line(gml_data_run *run, uint32_t epoch, double clock, gml_diags *diags)
{
    int64_t steps = run->step - run->line_step;
    double seconds = clock - run->line_clock;
    int64_t batch = gml_pictures_plan(run->pictures)->batch;
    gml_train_line line = {.step = run->step,
                           .training = -1,
                           .epoch = epoch,
                           .numbers = run->numbers,
                           .n_numbers = run->n_numbers,
                           .ms = seconds / (double)steps * 1e3,
                           .rate = (double)(batch * steps) / seconds};
    run->line_step = run->step;
    run->line_clock = clock;
    if (run->options.json || isatty(STDOUT_FILENO) != 1 || isatty(STDERR_FILENO) != 1)
        gml_train_print(&line, run->options.json);
    if (fflush(stdout) != 0 || ferror(stdout))
        return gml_fail(diags, GML_E_IO, (gml_loc){0}, "cannot write to standard output");
    return gml_log_put(run->log, run->step, wall_clock(), run->numbers, run->n_numbers, diags);
}

/* ---- steps --------------------------------------------------------------------------------
 */

static gml_status do_step(gml_data_run *run, const gml_batch *batch, gml_diags *diags)
{
    GML_TRY(gml_session_execute(run->session, run->inputs, run->outputs, diags));
    uint32_t n_batches = gml_loader_batches(gml_pictures_loader(run->pictures));
    run->step++;
    run->epoch = batch->number + 1 < n_batches ? batch->epoch : batch->epoch + 1;
    run->batch = batch->number + 1 < n_batches ? batch->number + 1 : 0;
    run->bad = run->batch > 0 ? gml_loader_bad_in_epoch(gml_pictures_loader(run->pictures)) : 0;
    run->n_numbers = gml_train_numbers(run->model, run->outputs, run->numbers);
    const gml_scalar *nonfinite = find_nonfinite(run);
    return nonfinite != NULL ? stop_nonfinite(run, nonfinite, diags) : GML_OK;
}

/* The next batch. Without one, what has been done is kept. */
static gml_status get_batch(gml_data_run *run, const gml_batch **out_batch, gml_diags *diags)
{
    gml_status status = gml_pictures_next(run->pictures, run->inputs, out_batch, diags);
    tell_bad_pictures(run);
    if (status == GML_OK)
        return GML_OK;
    gml_cli_progress_end(&run->progress);
    gml_status saved = gml_data_run_save(run, diags);
    return saved == GML_OK ? status : saved;
}

static gml_status do_steps(gml_data_run *run, gml_diags *diags)
{
    GML_TRY(gml_data_run_save(run, diags)); /* a full disk is found now, not an epoch later */
    run->line_clock = gml_train_clock();
    run->line_step = run->step;
    while (run->step < run->last && gml_cli_wanted_ending() == 0) {
        const gml_batch *batch = NULL;
        GML_TRY(get_batch(run, &batch, diags));
        uint32_t epoch = batch->epoch;
        GML_TRY(do_step(run, batch, diags));
        double clock = gml_train_clock();
        gml_train_tell(run->options.memory_report);
        if (run->step == run->first + 1)
            run->begin = clock;
        bool is_monitored = is_due(run, run->options.monitor_every);
        if (is_monitored)
            GML_TRY(monitor(run, diags));
        if (is_monitored || is_due(run, run->options.log_every))
            GML_TRY(put_line(run, epoch, clock, diags));
        if (run->step == run->first + 1) { /* compiling is no step */
            run->line_clock = clock;
            run->line_step = run->step;
        }
        show_progress(run, clock);
        if (is_due(run, run->options.save_every)) {
            double before = gml_train_clock();
            GML_TRY(gml_data_run_save(run, diags));
            run->line_clock += gml_train_clock() - before; /* steps are what lines tell of */
        }
    }
    return gml_data_run_save(run, diags);
}

gml_status gml_data_run_steps(gml_data_run *run, gml_diags *diags)
{
    if (run->step >= run->last)
        fprintf(stderr, "gemel: all %" PRId64 " steps are done\n", run->last);
    gml_cli_defer_ending();
    gml_status status = do_steps(run, diags);
    gml_cli_progress_end(&run->progress);
    if (status != GML_OK && run->saved_path != NULL)
        gml_note(diags, "the last good checkpoint is %s", run->saved_path);
    if (status != GML_OK)
        return status;
    if (run->step < run->last)
        fprintf(stderr, "gemel: stopped after step %" PRId64 " of %" PRId64 ": saved in %s\n",
                run->step, run->last, run->saved_path);
    else
        fprintf(stderr, "gemel: step %" PRId64 " is saved in %s\n", run->step, run->saved_path);
    return GML_OK;
}
