#include "service/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/state_dump.h"

enum { RESPAWN_DELAY_FIRST_MS = 100, FORK_RETRY_MS = 1000, KILL_REPEAT_MS = 1000, IDLE_TIMEOUT_MS = 60000 };

struct supervised_child {
    pid_t pid; /* 0: the slot is free */
    int group, generation;
    int64_t started_ms;
};

struct supervisor_group {
    int first_slot, end_slot, wanted;
    int64_t delay_ms;
    int64_t spawn_at_ms; /* no start before this time (boot time) */
};

struct supervisor {
    struct supervisor_settings settings;
    const struct supervisor_callbacks *callbacks;
    void *arg;
    sigset_t signals;
    struct supervised_child children[SUPERVISOR_SLOTS_MAX];
    struct supervisor_group groups[SUPERVISOR_GROUPS_MAX];
    int groups_n;
    int generation; /* incremented by each reload */
    bool stopping;
    int64_t kill_at_ms; /* while stopping: when the children get SIGKILL (boot time) */
    /* children of the program that this process had before; 0: none */
    pid_t adopted[SUPERVISOR_SLOTS_MAX];
    int adopted_signal;
};

struct supervisor *supervisor_new(void *ctx, const struct supervisor_settings *settings,
                                  const struct supervisor_callbacks *callbacks, void *arg)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    struct supervisor *s = talloc_zero(ctx, struct supervisor);
    s->settings = *settings;
    s->callbacks = callbacks;
    s->arg = arg;
    sigemptyset(&s->signals);
    for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
        sigaddset(&s->signals, handled[i]);
    sigprocmask(SIG_SETMASK, &s->signals, NULL);
    return s;
}

int supervisor_add_group(struct supervisor *s, int first_slot, int end_slot, int wanted)
{
    if (s->groups_n == SUPERVISOR_GROUPS_MAX || end_slot > SUPERVISOR_SLOTS_MAX)
        abort();
    s->groups[s->groups_n] =
        (struct supervisor_group){.first_slot = first_slot, .end_slot = end_slot, .wanted = wanted};
    return s->groups_n++;
}

void supervisor_set_wanted(struct supervisor *s, int group, int wanted)
{
    s->groups[group].wanted = wanted;
}

void supervisor_set_grace(struct supervisor *s, int64_t grace_ms)
{
    s->settings.grace_ms = grace_ms;
}

/* --- counting and signalling --- */

static int count_group(const struct supervisor *s, int group)
{
    int n = 0;
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        const struct supervised_child *c = &s->children[i];
        n += c->pid && c->group == group && c->generation == s->generation;
    }
    return n;
}

int supervisor_count(const struct supervisor *s)
{
    int n = 0;
    for (int group = 0; group < s->groups_n; group++)
        n += count_group(s, group);
    return n;
}

static int count_outdated(const struct supervisor *s, int group)
{
    int n = 0;
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        const struct supervised_child *c = &s->children[i];
        n += c->pid && c->group == group && c->generation != s->generation;
    }
    return n;
}

void supervisor_log_state(void *supervisor)
{
    const struct supervisor *s = supervisor;
    int64_t now_ms = clock_boot_ms();
    for (int group = 0; group < s->groups_n; group++) {
        const struct supervisor_group *g = &s->groups[group];
        int64_t delay_ms = g->spawn_at_ms > now_ms ? g->spawn_at_ms - now_ms : 0;
        state_log("state.children", "child=%s group=%d wanted=%d running=%d outdated=%d respawn_in_ms=%lld",
                  s->settings.child_name, group, g->wanted, count_group(s, group), count_outdated(s, group),
                  (long long)delay_ms);
    }
}

static bool any_child_left(const struct supervisor *s)
{
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        if (s->children[i].pid || s->adopted[i])
            return true;
    }
    return false;
}

/* Signals the children of all generations, or only those of older generations than the current one. */
static void signal_children(const struct supervisor *s, int number, bool only_older)
{
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        const struct supervised_child *c = &s->children[i];
        if (c->pid && (!only_older || c->generation != s->generation))
            kill(c->pid, number);
        if (s->adopted[i])
            kill(s->adopted[i], number);
    }
}

/* --- starting --- */

void supervisor_signal_children(const struct supervisor *s, int number)
{
    signal_children(s, number, false);
}

static int free_slot(const struct supervisor *s, const struct supervisor_group *g)
{
    for (int slot = g->first_slot; slot < g->end_slot; slot++) {
        if (!s->children[slot].pid)
            return slot;
    }
    return -1;
}

static _Noreturn void child_main(struct supervisor *s, int group, int slot, pid_t master)
{
    int (*run_child)(void *arg, int group, int slot) = s->callbacks->run_child;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != master) /* the master died before prctl() */
        _exit(0);
    signal(SIGUSR2, SIG_IGN);
    exit(run_child(s->arg, group, slot));
}

/* Forks with all signals blocked: the master may send the child a signal before the child has set up how it
 * handles that one (a second reload sends SIGQUIT to the workers of the first). */
static pid_t fork_with_signals_blocked(void)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        return 0;
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

static bool spawn_child(struct supervisor *s, int group, int slot)
{
    pid_t master = getpid();
    pid_t pid = fork_with_signals_blocked();
    if (pid == 0)
        child_main(s, group, slot, master);
    if (pid < 0) {
        log_error("supervisor.fork_failed", "child=%s errno=%d", s->settings.child_name, errno);
        s->groups[group].spawn_at_ms = clock_boot_ms() + FORK_RETRY_MS;
        return false;
    }
    s->children[slot] = (struct supervised_child){
        .pid = pid, .group = group, .generation = s->generation, .started_ms = clock_boot_ms()};
    return true;
}

static void spawn_missing(struct supervisor *s)
{
    int64_t now_ms = clock_boot_ms();
    for (int group = 0; group < s->groups_n && !s->stopping; group++) {
        const struct supervisor_group *g = &s->groups[group];
        int slot;
        if (now_ms < g->spawn_at_ms)
            continue;
        for (int n = count_group(s, group); n < g->wanted && (slot = free_slot(s, g)) >= 0; n++) {
            if (!spawn_child(s, group, slot))
                break;
        }
    }
    if (s->callbacks->on_count)
        s->callbacks->on_count(s->arg, supervisor_count(s));
}

void supervisor_replace_children(struct supervisor *s, int number)
{
    s->generation++;
    for (int group = 0; group < s->groups_n; group++)
        s->groups[group].spawn_at_ms = s->groups[group].delay_ms = 0;
    spawn_missing(s);
    signal_children(s, number, true);
}

/* --- children of the program that this process had before --- */

enum { PIDS_TEXT = SUPERVISOR_SLOTS_MAX * 24 };

/* The process, and the ids of its children, separated by spaces. */
static const char children_variable[] = "MILLRACE_CHILDREN";

bool supervisor_pass_children(const struct supervisor *s)
{
    char text[PIDS_TEXT];
    int size = snprintf(text, sizeof text, "%d", (int)getpid());
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        if (s->children[i].pid)
            size += snprintf(text + size, sizeof text - (size_t)size, " %d", (int)s->children[i].pid);
        if (s->adopted[i])
            size += snprintf(text + size, sizeof text - (size_t)size, " %d", (int)s->adopted[i]);
    }
    return setenv(children_variable, text, 1) == 0;
}

void supervisor_adopt_children(struct supervisor *s, int number)
{
    const char *text = getenv(children_variable);
    char *end;
    if (!text)
        return;
    s->adopted_signal = number;
    long pid = strtol(text, &end, 10);
    for (int i = 0; pid == (long)getpid() && *end && i < SUPERVISOR_SLOTS_MAX; i++)
        s->adopted[i] = (pid_t)strtol(end, &end, 10);
    unsetenv(children_variable);
}

static void forget_adopted(struct supervisor *s, pid_t pid)
{
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        if (s->adopted[i] == pid)
            s->adopted[i] = 0;
    }
}

/* --- reaping --- */

static void update_delay(const struct supervisor *s, struct supervisor_group *g, bool failed, bool early)
{
    int64_t now_ms = clock_boot_ms();
    if (!early) {
        g->delay_ms = 0;
    } else if (failed && now_ms >= g->spawn_at_ms) {
        g->delay_ms = g->delay_ms == 0 ? RESPAWN_DELAY_FIRST_MS : g->delay_ms * 2;
        if (g->delay_ms > s->settings.delay_max_ms)
            g->delay_ms = s->settings.delay_max_ms;
        g->spawn_at_ms = now_ms + g->delay_ms;
    }
}

static void log_death(const struct supervisor *s, const struct supervisor_exit *exit, int64_t spawn_at_ms)
{
    char event[64];
    int64_t wait_ms = spawn_at_ms - clock_boot_ms();
    int64_t respawn_ms = wait_ms > 0 && !s->stopping ? wait_ms : 0;
    snprintf(event, sizeof event, "%s.died", s->settings.child_name);
    if (!s->callbacks->log_death || !s->callbacks->log_death(s->arg, event, exit, respawn_ms))
        log_error(event, SUPERVISOR_EXIT_FORMAT, SUPERVISOR_EXIT_ARGS(exit, respawn_ms));
}

static void on_child_exit(struct supervisor *s, pid_t pid, int status)
{
    int slot = 0;
    while (slot < SUPERVISOR_SLOTS_MAX && s->children[slot].pid != pid)
        slot++;
    if (slot == SUPERVISOR_SLOTS_MAX) {
        forget_adopted(s, pid);
        return;
    }
    struct supervised_child *c = &s->children[slot];
    struct supervisor_group *g = &s->groups[c->group];
    struct supervisor_exit exit = {.pid = pid, .group = c->group, .slot = slot, .status = status};
    bool failed = s->callbacks->is_failure(s->arg, &exit);
    update_delay(s, g, failed, clock_boot_ms() - c->started_ms < s->settings.early_exit_ms);
    if (failed)
        log_death(s, &exit, g->spawn_at_ms);
    c->pid = 0;
}

static void reap_children(struct supervisor *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        on_child_exit(s, pid, status);
}

/* --- signals --- */

static void begin_stop(struct supervisor *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->kill_at_ms = clock_boot_ms() + s->settings.grace_ms;
    log_info("supervisor.stopping", "child=%s running=%d", s->settings.child_name, supervisor_count(s));
    if (s->callbacks->on_stop)
        s->callbacks->on_stop(s->arg);
    signal_children(s, SIGTERM, false);
}

static void kill_after_grace(struct supervisor *s)
{
    if (!s->stopping || clock_boot_ms() < s->kill_at_ms)
        return;
    log_warn("supervisor.grace_exceeded", "child=%s grace_ms=%lld", s->settings.child_name,
             (long long)s->settings.grace_ms);
    signal_children(s, SIGKILL, false);
    s->kill_at_ms = clock_boot_ms() + KILL_REPEAT_MS;
}

static void handle_signal(struct supervisor *s, int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT:
        begin_stop(s);
        break;
    case SIGHUP:
        if (!s->stopping)
            s->callbacks->on_reload(s->arg);
        break;
    case SIGUSR1:
        log_reopen();
        signal_children(s, SIGUSR1, false);
        break;
    case SIGUSR2:
        if (s->callbacks->on_state_dump)
            s->callbacks->on_state_dump(s->arg);
        signal_children(s, SIGUSR2, false);
        break;
    default: /* SIGCHLD: supervisor_run reaps after every signal */
        break;
    }
}

/* When something must be done even if no signal arrives (boot time). */
static int64_t next_deadline_ms(const struct supervisor *s, int64_t now_ms)
{
    int64_t next_ms = now_ms + IDLE_TIMEOUT_MS;
    if (s->stopping)
        return s->kill_at_ms;
    for (int group = 0; group < s->groups_n; group++) {
        const struct supervisor_group *g = &s->groups[group];
        bool missing = count_group(s, group) < g->wanted && free_slot(s, g) >= 0;
        if (missing && g->spawn_at_ms < next_ms)
            next_ms = g->spawn_at_ms;
    }
    return next_ms;
}

static int wait_for_signal(const struct supervisor *s)
{
    int64_t now_ms = clock_boot_ms();
    int64_t left_ms = next_deadline_ms(s, now_ms) - now_ms;
    if (left_ms < 0)
        left_ms = 0;
    struct timespec timeout = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
    return sigtimedwait(&s->signals, NULL, &timeout);
}

void supervisor_run(struct supervisor *s)
{
    spawn_missing(s);
    for (int i = 0; i < SUPERVISOR_SLOTS_MAX; i++) {
        if (s->adopted[i])
            kill(s->adopted[i], s->adopted_signal);
    }
    while (!s->stopping || any_child_left(s)) {
        int number = wait_for_signal(s);
        if (number > 0)
            handle_signal(s, number);
        kill_after_grace(s);
        reap_children(s);
        spawn_missing(s);
    }
}
