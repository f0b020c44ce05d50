/* A millrace-runner process: one for each run of a command, or for many runs of a warm one. The executor
 * writes the job to the runner's stdin, as one line of JSON, and reads its reports, one line of JSON each,
 * from its stdout (docs/skills.md describes the protocol).
 *
 * The runner's stdin is also its lifeline: when it closes, the runner kills the command and everything below
 * it. So nothing survives the death of the executor process. Loop thread only. */
#pragma once

#include <json-c/json.h>

#include "executor/context/executor.h"

struct runner_process;

struct runner_process_events {
    /* All optional. The command was executed: */
    void (*started)(void *arg);
    void (*progress)(void *arg, int percent, const char *message);
    /* `omitted_bytes` of the output that followed the text are not reported */
    void (*log)(void *arg, const char *text, int64_t omitted_bytes);
    /* Called once, last: the command and everything below it have exited, unless the runner was killed, and
     * then they are being killed; the runner has exited or is exiting. `record` is the
     * runner's final report (borrowed); NULL: it died without one. If the job has a warm_dir and `record` is
     * not NULL, the runner still lives, unless it dies meanwhile (runner_process_set_handle), and nothing is
     * called any more until runner_process_next or runner_process_set_events; the caller ends it with
     * runner_process_abandon. */
    void (*ended)(void *arg, json_object *record);
};

/* What the names of the folders warm_dir in executor.run_dir begin with. */
#define WARM_DIR_PREFIX "warm."

/* The number of uids that one executor process needs as root: a warm runner keeps its uid while it is idle
 * and while it is being ended. */
int runner_process_uids(const struct config *config);

/* The command gets the workspace's share of the processors. `job` is borrowed; if this process is root, its
 * "uid" is set here, so that each run has a separate uid. NULL: the runner could not be started (logged). */
struct runner_process *runner_process_start(struct executor *exec, const id *workspace, json_object *job,
                                            const struct runner_process_events *events, void *arg);
/* Gives a further job to a warm runner, whose last record said that it is reusable. The same `uid` is set. */
void runner_process_next(struct runner_process *r, json_object *job,
                         const struct runner_process_events *events, void *arg);
/* Ends the command: SIGTERM, the grace time, SIGKILL; with `now`, SIGKILL at once. */
void runner_process_stop(struct runner_process *r, bool now);
/* *handle, which points to r, becomes NULL when r is freed. `handle` NULL: not any more. */
void runner_process_set_handle(struct runner_process *r, struct runner_process **handle);
/* Replaces the callbacks and their argument. */
void runner_process_set_events(struct runner_process *r, const struct runner_process_events *events,
                               void *arg);
/* Ends the command at once and calls nothing any more; then the run's directory is removed (NULL: none). */
void runner_process_abandon(struct runner_process *r, const char *run_dir);
/* Removes a run's directory and everything in it. If it holds more than an empty run leaves, that is done by
 * a separate process, as it may take long and the tree is untrusted. */
void run_dir_remove(struct executor *exec, const char *run_dir);

/* Finds the runner's program, which is in the directory of this one. Called once, before any runner is
 * started. */
void runner_process_find_program(void);
/* Its path. */
const char *runner_process_program(void);
/* Starts it with these arguments, NULL after the last, and these descriptors (service/spawn.h): by the
 * process that listens at executor.runner_socket (millrace-runner --listen), in the
 * workspace's control group there (NULL: in the one for no workspace); if none listens, as a child.
 * Returns the pid of the child; 0: it is no child, and its end can be seen from its output only; -1: it was
 * not started (logged). */
pid_t runner_process_spawn(const struct config *config, const id *workspace, const char *const args[], int in,
                           int out);
/* As a child in any case. -1: it was not started (logged). */
pid_t runner_process_spawn_child(const char *const args[], int in, int out);
