/* tests/e2e/training_two.c - a user's program: an artifact with two trainings and an
 * initialisation does what `gemel train --save FILE` did in ten steps of each. */
#include "training_app.h"
#include "two.h"

int main(int argc, char **argv)
{
    float x[ROWS * IN], t[ROWS * OUT], y[ROWS * OUT];
    char error[256] = "";
    float loss = 0;
    two *m = NULL;
    make_inputs(x, t);
    must(two_open(&m, 1, error, sizeof error), error);
    must(two_initialise0(m), two_error(m));
    for (int step = 0; step < 10; step++) {
        must(two_step0(m, x, t, y, &loss), two_error(m));
        must(two_step1(m, x, t, y), two_error(m));
    }
    expect(argc == 2 && two_n_states(m) == 2, "there are two states");
    for (size_t i = 0; i < two_n_states(m); i++) {
        const two_tensor *state = two_state(m, i);
        expect(has_state(argv[1], state->name, state->data, state->size), state->name);
    }
    two_close(m);
    return 0;
}
