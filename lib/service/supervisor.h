/* Prefork supervisor: the master process of a daemon. It forks child processes, starts a new one for each
 * that exits, and handles the daemon's signals. It serves nothing itself.
 *
 * Children belong to groups. All children of a group run the same program and share one restart delay: a
 * child that fails within `early_exit_ms` of its start delays the group's next start by
 * RESPAWN_DELAY_FIRST_MS (100 ms), and by twice as much after each further early failure, up to
 * `delay_max_ms`. Children that fail while a start is already delayed do not lengthen that delay: they
 * usually died of the same cause. A child that exits later than `early_exit_ms` resets the delay.
 *
 * Signals to the master:
 *   SIGTERM, SIGINT  stop: SIGTERM to all children; after the grace period SIGKILL, repeated every second
 *   SIGHUP           on_reload
 *   SIGUSR1          reopen the log file; forwarded to all children
 *   SIGUSR2          on_state_dump; forwarded to all children
 *
 * The kernel sends SIGTERM to the children if the master dies (PR_SET_PDEATHSIG).
 *
 * Not thread-safe: the master has one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>

struct supervisor;

enum { SUPERVISOR_GROUPS_MAX = 64, SUPERVISOR_SLOTS_MAX = 256 };

struct supervisor_exit {
    pid_t pid;
    int group, slot;
    /* as waitpid() reports it */
    int status;
};

#define SUPERVISOR_EXIT_FORMAT "pid=%d slot=%d status=%d signal=%d respawn_in_ms=%lld"
#define SUPERVISOR_EXIT_ARGS(exit, respawn_ms)                                                               \
    (int)(exit)->pid, (exit)->slot, WIFEXITED((exit)->status) ? WEXITSTATUS((exit)->status) : -1,            \
        WIFSIGNALED((exit)->status) ? WTERMSIG((exit)->status) : 0, (long long)(respawn_ms)

struct supervisor_callbacks {
    /* Runs in the child, which has all signals blocked: the child sets its handlers and then its mask.
     * SIGUSR2 is also ignored until the child handles it. Returns the exit status. The child owns its copy of
     * the master's memory and may free `arg`. */
    int (*run_child)(void *arg, int group, int slot);
    /* True if the exit is a failure: failures are logged and delay the next start. */
    bool (*is_failure)(void *arg, const struct supervisor_exit *exit);
    /* SIGHUP, unless the master is stopping. */
    void (*on_reload)(void *arg);
    /* The stop begins: called once, before the children get SIGTERM. May be NULL. */
    void (*on_stop)(void *arg);
    /* SIGUSR2: log the master's state. May be NULL. */
    void (*on_state_dump)(void *arg);
    /* Called after children were started or reaped. `running` counts the current generation. May be NULL. */
    void (*on_count)(void *arg, int running);
    /* Logs `event`, the death of a child, with what the child was doing after the fields of
     * SUPERVISOR_EXIT_FORMAT. False if that is not known: the supervisor logs the line then. May be NULL. */
    bool (*log_death)(void *arg, const char *event, const struct supervisor_exit *exit, int64_t respawn_ms);
};

struct supervisor_settings {
    /* the noun of the log events: "worker" logs worker.died */
    const char *child_name;
    int64_t early_exit_ms, delay_max_ms;
    /* from SIGTERM to SIGKILL */
    int64_t grace_ms;
};

/* Blocks the master's signals, so that a signal sent from now on is handled by supervisor_run.
 * Always succeeds. `callbacks` and `arg` must outlive the supervisor. */
struct supervisor *supervisor_new(void *ctx, const struct supervisor_settings *settings,
                                  const struct supervisor_callbacks *callbacks, void *arg);

/* Adds a group of `wanted` children and returns its number, counted from 0. A child takes the first free slot
 * from `first_slot` on, below `end_slot` (at most SUPERVISOR_SLOTS_MAX). Ranges of groups may overlap; a slot
 * never has two live children. */
int supervisor_add_group(struct supervisor *s, int first_slot, int end_slot, int wanted);
/* Takes effect with the next start of children. Children in excess are not stopped. */
void supervisor_set_wanted(struct supervisor *s, int group, int wanted);
void supervisor_set_grace(struct supervisor *s, int64_t grace_ms);

/* Replaces all children (reload): starts a new generation at once, without the restart delay, and then sends
 * `number` to the children of the older generations. These still occupy their slots until they exit, but are
 * no longer counted and not replaced. */
void supervisor_replace_children(struct supervisor *s, int number);

/* The children survive if the process replaces its program (service/reexec.h): lets the next program's
 * supervisor know them. False if there is no memory. */
bool supervisor_pass_children(const struct supervisor *s);
/* Takes over the children of the previous program of this process, if there was one: supervisor_run sends
 * them `number` when its own have been started. They are neither counted nor replaced. */
void supervisor_adopt_children(struct supervisor *s, int number);

/* Sends a signal to the children of all generations. */
void supervisor_signal_children(const struct supervisor *s, int number);

/* Live children of the current generation. */
int supervisor_count(const struct supervisor *s);

/* A writer for state_dump_add, whose argument is the supervisor: logs `state.children` for each group. */
void supervisor_log_state(void *supervisor);

/* Runs until a stop is complete, that is, until all children have exited. */
void supervisor_run(struct supervisor *s);
