/* Real masters and children: the test forks a master and observes it through shared memory. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/supervisor.h"

enum { SLOTS = 8, STARTS_MAX = 64 };

/* in shared memory */
struct observed {
    atomic_int pids[SLOTS], groups[SLOTS];
    /* `started` counts children whose other fields are set and whose signals are handled */
    atomic_int forked, started, running, stops, reloads, dumps, hangups;
    atomic_llong started_ms[STARTS_MAX];
    atomic_bool crash, deaf, slow;
    atomic_int quits;
};
static struct observed *seen;

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

enum { PATIENCE_MS = 30000, LOOK_MS = 5 };

/* For values that stay as expected. */
static bool eventually_equal(atomic_int *value, int expected)
{
    for (int ms = 0; ms < PATIENCE_MS && *value != expected; ms += LOOK_MS)
        sleep_ms(LOOK_MS);
    return *value == expected;
}

static bool eventually_at_least(atomic_int *value, int expected)
{
    for (int ms = 0; ms < PATIENCE_MS && *value < expected; ms += LOOK_MS)
        sleep_ms(LOOK_MS);
    return *value >= expected;
}

static bool eventually_gone(int pid)
{
    for (int ms = 0; ms < PATIENCE_MS && kill(pid, 0) == 0; ms += LOOK_MS)
        sleep_ms(LOOK_MS);
    return kill(pid, 0) != 0;
}

static void on_hangup(int number)
{
    seen->hangups++;
}

static void on_quit(int number)
{
    seen->quits++;
}

static int run_child(void *arg, int group, int slot)
{
    sigset_t none;
    int n = seen->forked++;
    if (n < STARTS_MAX)
        seen->started_ms[n] = clock_boot_ms();
    seen->groups[slot] = group;
    seen->pids[slot] = (int)getpid();
    if (seen->crash) {
        seen->started++;
        return 1;
    }
    signal(SIGTERM, seen->deaf ? SIG_IGN : SIG_DFL);
    signal(SIGUSR1, on_hangup);
    if (seen->slow)
        sleep_ms(300);
    signal(SIGQUIT, on_quit);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    seen->started++;
    for (;;)
        pause();
}

static bool is_failure(void *arg, const struct supervisor_exit *exit)
{
    return WIFEXITED(exit->status) ? WEXITSTATUS(exit->status) != 0 : WTERMSIG(exit->status) != SIGTERM;
}

static void on_stop(void *arg)
{
    seen->stops++;
}

static void on_reload(void *arg)
{
    struct supervisor **s = arg;
    seen->reloads++;
    supervisor_replace_children(*s, SIGTERM);
}

static void on_state_dump(void *arg)
{
    struct supervisor **s = arg;
    seen->dumps++;
    if (seen->slow)
        supervisor_signal_children(*s, SIGQUIT);
}

static void on_count(void *arg, int running)
{
    seen->running = running;
}

static const struct supervisor_callbacks callbacks = {run_child, is_failure,    on_reload,
                                                      on_stop,   on_state_dump, on_count};

static void share_observed(void)
{
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(seen, MAP_FAILED);
    memset(seen, 0, sizeof *seen);
}

/* Two groups: two children in slots 0..7, one child in slots 4..7. Every exit of a child counts as an early
 * one, however busy the machine is. */
static pid_t start_master(int64_t grace_ms)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);       /* a test that fails leaves no master behind */
    if (!freopen("/dev/null", "w", stderr)) /* the log */
        _exit(9);
    struct supervisor *s;
    struct supervisor_settings settings = {
        .child_name = "child", .early_exit_ms = 600000, .delay_max_ms = 400, .grace_ms = grace_ms};
    s = supervisor_new(NULL, &settings, &callbacks, &s);
    supervisor_add_group(s, 0, SLOTS, 2);
    supervisor_add_group(s, SLOTS / 2, SLOTS, 1);
    supervisor_run(s);
    talloc_free(s);
    _exit(0);
}

static int wait_for_master(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TestSuite(supervisor, .init = share_observed);

Test(supervisor, starts_groups_and_stops_gracefully)
{
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->running, 3));
    cr_assert(eventually_equal(&seen->started, 3));
    cr_assert(seen->pids[0] && seen->pids[1] && seen->pids[4]);
    cr_assert_eq(seen->groups[1], 0);
    cr_assert_eq(seen->groups[4], 1);
    kill(master, SIGTERM);
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
    cr_assert_eq(seen->stops, 1);
    cr_assert_eq(seen->started, 3);
    cr_assert_neq(kill(seen->pids[0], 0), 0);
}

Test(supervisor, restarts_a_child_in_its_slot)
{
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->started, 3));
    int killed = seen->pids[1];
    kill(killed, SIGKILL);
    cr_assert(eventually_equal(&seen->started, 4));
    cr_assert_neq(seen->pids[1], killed);
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
}

Test(supervisor, delays_the_restart_of_children_that_fail_early)
{
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->started, 3));
    seen->crash = true;
    int before = seen->started;
    kill(seen->pids[4], SIGKILL); /* the only child of its group; then 100, 200, 400, 400 ms */
    cr_assert(eventually_at_least(&seen->started, before + 4));
    cr_assert_geq(seen->started_ms[before + 3] - seen->started_ms[before], 200 + 400 + 400);
    cr_assert(eventually_equal(&seen->running, 2));
    seen->crash = false;
    cr_assert(eventually_equal(&seen->running, 3));
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
}

Test(supervisor, replaces_children_on_reload)
{
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->started, 3));
    int old = seen->pids[0];
    kill(master, SIGHUP);
    cr_assert(eventually_equal(&seen->started, 6));
    cr_assert(eventually_equal(&seen->running, 3));
    cr_assert(seen->pids[2] && seen->pids[3], "new children start beside the old ones");
    cr_assert(eventually_gone(old));
    kill(master, SIGINT);
    cr_assert_eq(wait_for_master(master), 0);
    cr_assert_eq(seen->started, 6);
}

Test(supervisor, kills_children_after_the_grace_period)
{
    seen->deaf = true;
    pid_t master = start_master(300);
    cr_assert(eventually_equal(&seen->started, 3));
    int64_t began_ms = clock_boot_ms();
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
    cr_assert_geq(clock_boot_ms() - began_ms, 300);
}

Test(supervisor, forwards_log_and_dump_signals)
{
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->started, 3));
    kill(master, SIGUSR1);
    cr_assert(eventually_equal(&seen->hangups, 3));
    kill(master, SIGUSR2);
    cr_assert(eventually_equal(&seen->dumps, 1));
    sleep_ms(50);
    cr_assert_eq(seen->started, 3, "a child that does not handle SIGUSR2 survives it");
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
}

/* The dump sends the signal. */
Test(supervisor, child_gets_a_signal_that_was_sent_before_it_could_handle_it)
{
    seen->slow = true;
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->forked, 3));
    kill(master, SIGUSR2);
    cr_assert(eventually_equal(&seen->quits, 3));
    cr_assert_eq(seen->forked, 3);
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
}

Test(supervisor, children_end_with_a_killed_master)
{
    pid_t master = start_master(10000);
    cr_assert(eventually_equal(&seen->started, 3));
    kill(master, SIGKILL);
    wait_for_master(master);
    cr_assert(eventually_gone(seen->pids[0]));
}

/* As if the process replaced its program when it is told to reload. */
static void on_replacement(void *arg)
{
    struct supervisor **s = arg;
    static const struct supervisor_callbacks next = {run_child, is_failure,    on_reload,
                                                     on_stop,   on_state_dump, on_count};
    struct supervisor_settings settings = {
        .child_name = "child", .early_exit_ms = 600000, .delay_max_ms = 400, .grace_ms = 10000};
    if (!supervisor_pass_children(*s))
        _exit(8);
    *s = supervisor_new(NULL, &settings, &next, s);
    supervisor_adopt_children(*s, SIGTERM);
    supervisor_add_group(*s, 0, SLOTS, 2);
    seen->reloads++;
    supervisor_run(*s);
    _exit(getenv("MILLRACE_CHILDREN") ? 7 : 0);
}

static pid_t start_replaced_master(void)
{
    static const struct supervisor_callbacks first = {run_child, is_failure,    on_replacement,
                                                      on_stop,   on_state_dump, on_count};
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr))
        _exit(9);
    struct supervisor *s;
    struct supervisor_settings settings = {
        .child_name = "child", .early_exit_ms = 600000, .delay_max_ms = 400, .grace_ms = 10000};
    s = supervisor_new(NULL, &settings, &first, &s);
    supervisor_add_group(s, 0, SLOTS, 2);
    supervisor_run(s);
    _exit(6);
}

Test(supervisor, children_of_the_program_before_end_when_new_ones_are_started)
{
    pid_t master = start_replaced_master();
    cr_assert(eventually_equal(&seen->started, 2));
    int first = seen->pids[0], second = seen->pids[1];
    kill(master, SIGHUP);
    cr_assert(eventually_equal(&seen->started, 4), "two new ones");
    cr_assert(eventually_gone(first) && eventually_gone(second));
    cr_assert(eventually_equal(&seen->running, 2));
    cr_assert_eq(seen->started, 4, "they are not replaced");
    kill(master, SIGTERM);
    cr_assert_eq(wait_for_master(master), 0);
}

Test(supervisor, children_of_the_program_before_are_awaited_at_a_stop)
{
    seen->deaf = true;
    pid_t master = start_replaced_master();
    cr_assert(eventually_equal(&seen->started, 2));
    int first = seen->pids[0], second = seen->pids[1];
    seen->deaf = false;
    kill(master, SIGHUP);
    cr_assert(eventually_equal(&seen->started, 4));
    kill(master, SIGTERM);
    cr_assert(eventually_equal(&seen->stops, 1));
    cr_assert_eq(kill(first, 0), 0, "it ignores SIGTERM, and gets the time of grace");
    kill(first, SIGKILL);
    kill(second, SIGKILL);
    cr_assert_eq(wait_for_master(master), 0);
}
