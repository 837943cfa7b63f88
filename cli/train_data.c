/* cli/train_data.c - a training on pictures: where it begins, and its checkpoints. */
#include "cli/train_data.h"

#include "api/nonfinite.h"
#include "api/state_file.h"
#include "base/map.h"
#include "cli/train_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GML_SAVE_EVERY 100 /* steps at least, unless told */
#define GML_MONITORED  3   /* numbers that are added to a step's own */

/* ---- checkpoints --------------------------------------------------------------------------
 */

gml_checkpoint gml_data_run_place(const gml_data_run *run, gml_arena *arena)
{
    gml_str data;
    gml_str_init(&data);
    gml_pictures_describe(run->pictures, &data);
    gml_checkpoint place = {
        .step = run->step,
        .epoch = run->epoch,
        .batch = run->batch,
        .bad = run->bad,
        .graph = run->graph,
        .model = gml_model_source(run->model)->path,
        .data = gml_arena_text(arena, data.text, data.len),
        .pictures = gml_pictures_hash(run->pictures),
        .n_pictures = gml_dataset_count(gml_pictures_dataset(run->pictures)),
    };
    gml_str_reset(&data);
    return place;
}

gml_status gml_data_run_save(gml_data_run *run, gml_diags *diags)
{
    if (run->saved == run->step)
        return GML_OK;
    const char *name = NULL;
    GML_TRY(gml_states_nonfinite(run->states, &name, diags));
    if (name != NULL)
        return gml_fail(diags, GML_E_MISMATCH, (gml_loc){.node = name},
                        "is not finite after step %" PRId64, run->step);
    gml_arena arena;
    gml_arena_init(&arena);
    gml_checkpoint place = gml_data_run_place(run, &arena);
    const char *path = NULL;
    gml_state_file file;
    gml_status status = gml_state_file_make(&file, run->model, run->states, diags);
    if (status == GML_OK)
        status = gml_checkpoint_save(run->options.run, &file, &place, run->options.keep, &path,
                                     diags);
    gml_state_file_reset(&file);
    if (status == GML_OK) {
        run->saved = run->step;
        run->saved_path = gml_arena_text(&run->arena, path, strlen(path));
    }
    gml_arena_reset(&arena);
    return status;
}

/* ---- going on -----------------------------------------------------------------------------
 */

static gml_status check_graph(const gml_data_run *run, const gml_found_checkpoint *found,
                              gml_diags *diags)
{
    if (found->checkpoint.graph == run->graph)
        return GML_OK;
    gml_status status =
        gml_fail(diags, GML_E_INVALID, (gml_loc){.file = found->path},
                 "is a checkpoint of another graph, which was %s", found->checkpoint.model);
    gml_note(diags, "this one is %s; its states alone can be taken with --load",
             gml_model_source(run->model)->path);
    return status;
}

static gml_status check_data(const gml_data_run *run, const gml_found_checkpoint *found,
                             gml_diags *diags)
{
    gml_checkpoint here = gml_data_run_place(run, diags->arena);
    const gml_checkpoint *there = &found->checkpoint;
    if (strcmp(here.data, there->data) != 0) {
        gml_status status = gml_fail(diags, GML_E_USAGE, (gml_loc){.file = found->path},
                                     "was made with other pictures: %s", there->data);
        gml_note(diags, "now they would be: %s", here.data);
        return status;
    }
    if (here.pictures != there->pictures)
        fprintf(stderr,
                "gemel: the folder holds other pictures than at step %" PRId64 ": %" PRIu32
                ", then %" PRIu32 "; what follows differs from an unbroken run\n",
                there->step, here.n_pictures, there->n_pictures);
    return GML_OK;
}

/* The states come last: nothing is changed when something does not fit. */
static gml_status resume(gml_data_run *run, gml_diags *diags)
{
    gml_found_checkpoint found;
    GML_TRY(gml_checkpoint_find(run->options.run, &run->arena, &found, diags));
    if (found.damaged != NULL)
        fprintf(stderr, "gemel: not whole, and passed over: %s", found.damaged);
    if (found.path == NULL) {
        fprintf(stderr, "gemel: %s has no checkpoint: beginning at step 0\n", run->options.run);
        return gml_data_run_load(run, diags);
    }
    GML_TRY(check_graph(run, &found, diags));
    run->step = found.checkpoint.step;
    run->epoch = found.checkpoint.epoch;
    run->batch = found.checkpoint.batch;
    run->bad = found.checkpoint.bad;
    GML_TRY(gml_data_run_load(run, diags));
    GML_TRY(check_data(run, &found, diags));
    GML_TRY(gml_states_load(found.path, run->states, diags));
    run->saved = run->step;
    run->saved_path = found.path;
    run->resumes = true;
    fprintf(stderr, "gemel: going on from %s\n", found.path);
    return GML_OK;
}

static gml_status begin(gml_data_run *run, gml_diags *diags)
{
    gml_found_checkpoint found;
    gml_status status = gml_checkpoint_find(run->options.run, &run->arena, &found, diags);
    if (status == GML_OK && found.path == NULL)
        return GML_OK;
    if (status == GML_E_IO)
        return status;
    status = gml_fail(diags, GML_E_USAGE, (gml_loc){.file = run->options.run},
                      "has checkpoints of a training");
    gml_note(diags, "--resume goes on with it; --run names another folder");
    return status;
}

/* ---- opening and closing ------------------------------------------------------------------
 */

gml_status gml_data_run_load(gml_data_run *run, gml_diags *diags)
{
    gml_pictures_options options = run->options.pictures;
    options.first_epoch = run->epoch;
    options.first_batch = run->batch;
    options.bad_before = run->bad;
    gml_pictures_close(run->pictures);
    free(run->is_told);
    run->pictures = NULL;
    run->is_told = NULL;
    GML_TRY(
        gml_pictures_open(run->options.folder, run->model, &options, &run->pictures, diags));
    run->epoch = gml_pictures_plan(run->pictures)->first_epoch;
    run->batch = gml_pictures_plan(run->pictures)->first_batch;
    run->bad = gml_pictures_plan(run->pictures)->bad_before;
    uint32_t n = gml_dataset_count(gml_pictures_dataset(run->pictures));
    run->is_told = calloc(n, sizeof *run->is_told);
    return run->is_told != NULL ? GML_OK
                                : gml_fail(diags, GML_E_MEMORY, (gml_loc){0},
                                           "no memory for %" PRIu32 " flags", n);
}

/* Whoever reads the pictures gives all inputs. */
static void take_memory(gml_data_run *run)
{
    size_t n_in = gml_model_n_inputs(run->model);
    size_t n_out = gml_model_n_outputs(run->model);
    run->inputs = gml_new_array(&run->arena, gml_rvalue, n_in + 1);
    run->outputs = gml_new_array(&run->arena, gml_rvalue, n_out + 1);
    run->numbers = gml_new_array(&run->arena, gml_scalar, n_out + GML_MONITORED);
}

static gml_status open_run(gml_data_run *run, gml_diags *diags)
{
    const gml_data_options *o = &run->options;
    const gml_source *source = gml_model_source(run->model);
    run->last = o->steps > 0 ? o->steps : gml_pictures_steps(run->model);
    if (run->last < 1)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){.file = source->path},
                        "does not say how many steps its training has: --steps does");
    run->graph = gml_hash_bytes(source->bytes, source->len, 0);
    gml_source_forget(source);
    take_memory(run);
    if (!o->resume) /* before the folder of the run is made */
        GML_TRY(gml_data_run_load(run, diags));
    GML_TRY(gml_run_lock(o->run, &run->lock, diags));
    GML_TRY(o->resume ? resume(run, diags) : begin(run, diags));
    int64_t n_batches = gml_loader_batches(gml_pictures_loader(run->pictures));
    if (o->save_every == 0)
        run->options.save_every = n_batches > GML_SAVE_EVERY ? n_batches : GML_SAVE_EVERY;
    run->first = run->step;
    return gml_log_open(o->run, run->step, &run->log, diags);
}

gml_status gml_data_run_open(const gml_data_options *options, gml_session *session,
                             gml_data_run **out_run, gml_diags *diags)
{
    gml_data_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "out of memory");
    run->options = *options;
    run->session = session;
    run->model = gml_session_model(session);
    run->states = gml_session_states(session);
    run->lock = -1;
    run->saved = -1;
    gml_arena_init(&run->arena);
    gml_status status = open_run(run, diags);
    if (status != GML_OK)
        gml_data_run_close(run);
    else
        *out_run = run;
    return status;
}

bool gml_data_run_resumes(const gml_data_run *run)
{
    return run->resumes;
}

void gml_data_run_close(gml_data_run *run)
{
    if (run == NULL)
        return;
    for (size_t i = 0; run->outputs != NULL && i < gml_model_n_outputs(run->model); i++)
        gml_rvalue_reset(&run->outputs[i]);
    gml_log_close(run->log);
    gml_pictures_close(run->pictures);
    gml_run_unlock(run->lock);
    free(run->is_told);
    gml_arena_reset(&run->arena);
    free(run);
}
