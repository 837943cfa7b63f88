/* cli/ending.c - the program ends early: nothing half written stays, and the exit status says
 * why. */
#define _GNU_SOURCE

#include "base/arena.h"
#include "base/leftover.h"
#include "cli/cli.h"

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#define GML_EXIT_MACHINE 5 /* gml_status_exit of GML_E_MEMORY and GML_E_INTERNAL */

/* abort() was called: no memory for the compiler's tables, or a fault of ours. Whoever called
 * it has said what is wrong. */
static void end_aborted(int number)
{
    (void)number;
    gml_leftovers_remove();
    _exit(GML_EXIT_MACHINE);
}

/* The user, or the system, wants us to end: by the signal, as the shell expects. */
static void end_interrupted(int number)
{
    gml_leftovers_remove();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* ---- endings that wait --------------------------------------------------------------------
 */

static volatile sig_atomic_t noted; /* the signal, or 0 */

static void note_ending(int number)
{
    if (noted != 0)
        end_interrupted(number);
    noted = number;
}

void gml_cli_defer_ending(void)
{
    const struct sigaction action = {.sa_handler = note_ending, .sa_flags = SA_RESTART};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

int gml_cli_wanted_ending(void)
{
    return noted;
}

void gml_cli_end_as_wanted(void)
{
    if (noted != 0)
        end_interrupted(noted);
}

/* ---- all endings --------------------------------------------------------------------------
 */

/* LLVM is C++, which throws where there is no memory, and nobody there catches. */
static void no_memory_for_new(void)
{
    gml_out_of_memory(0);
}

void gml_cli_prepare_ending(void)
{
    union {
        void *address;
        void (*(*call)(void (*)(void)))(void);
    } set_new_handler = {.address = dlsym(RTLD_DEFAULT, "_ZSt15set_new_handlerPFvvE")};
    if (set_new_handler.address != NULL)
        (void)set_new_handler.call(no_memory_for_new);
    (void)signal(SIGABRT, end_aborted);
    (void)signal(SIGINT, end_interrupted);
    (void)signal(SIGTERM, end_interrupted);
    (void)signal(SIGHUP, end_interrupted);
}
