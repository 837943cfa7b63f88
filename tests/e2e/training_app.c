/* tests/e2e/training_app.c - a user's program: training_app inputs, or training_app THREADS
 * FILE. Ten steps by the artifact give the states that `gemel train --save FILE` gave, bit for
 * bit; the graph sees them; states are saved and loaded. */
#include "training_app.h"

#include "model.h"

static float x[ROWS * IN], t[ROWS * OUT];

static void save_states(const model *m, char *to)
{
    for (size_t i = 0; i < model_n_states(m); i++) {
        memcpy(to, model_state(m, i)->data, model_state(m, i)->size);
        to += model_state(m, i)->size;
    }
}

static void load_states(const model *m, const char *from)
{
    for (size_t i = 0; i < model_n_states(m); i++) {
        memcpy(model_state(m, i)->data, from, model_state(m, i)->size);
        from += model_state(m, i)->size;
    }
}

static void check_names(const model *m)
{
    const model_tensor *up = model_find_state(m, "up");
    expect(up && strcmp(up->dtype, "f32") == 0 && up->rank == 2 && up->dims[0] == IN &&
               up->size == sizeof(float) * IN * (size_t)up->dims[1],
           "up is what the model says");
    expect(!model_find_state(m, "down.") && !model_state(m, model_n_states(m)),
           "what is not there is not found");
}

int main(int argc, char **argv)
{
    static char first[1 << 20];
    static char last[1 << 20];
    char error[256] = "";
    float before[ROWS * OUT], after[ROWS * OUT], again[ROWS * OUT];
    float loss = 0, first_loss = 0, lr = 0, norm = 0;
    model *m = NULL;
    make_inputs(x, t);
    if (argc == 2) {
        write_npy("x.npy", x, ROWS, IN);
        write_npy("t.npy", t, ROWS, OUT);
        return 0;
    }
    must(model_open(&m, atoi(argv[1]), error, sizeof error), error);
    check_names(m);
    must(model_run(m, x, before), model_error(m));
    save_states(m, first);
    for (int step = 0; step < 10; step++) {
        must(model_step(m, x, t, after, &loss, &lr, &norm), model_error(m));
        first_loss = step == 0 ? loss : first_loss;
        if (step == 0)
            expect(memcmp(before, after, sizeof after) == 0, "a step computes the graph first");
    }
    expect(loss < first_loss, "the loss falls");
    for (size_t i = 0; i < model_n_states(m); i++) {
        const model_tensor *state = model_state(m, i);
        expect(has_state(argv[2], state->name, state->data, state->size), state->name);
    }
    must(model_run(m, x, after), model_error(m));
    expect(memcmp(before, after, sizeof after) != 0, "the graph sees what steps made");
    save_states(m, last);
    load_states(m, first);
    must(model_run(m, x, again), model_error(m));
    expect(memcmp(before, again, sizeof after) == 0, "it sees states that were loaded");
    load_states(m, last);
    must(model_run(m, x, again), model_error(m));
    expect(memcmp(after, again, sizeof after) == 0, "and loaded again");
    model_close(m);
    return 0;
}
