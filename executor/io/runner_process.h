/* Runs of commands: one millrace-runner each (docs/skills.md has its protocol), spoken to through pipes on
 * the loop. A runner lives as long as we hold its lifeline: when this process dies, all that it started dies.
 * Loop thread only. */
#pragma once

#include <json-c/json.h>

#include "executor/context/executor.h"

struct runner_process;

struct runner_process_events {
    void (*started)(void *arg); /* the command was executed */
    void (*progress)(void *arg, int percent, const char *message);
    void (*log)(void *arg, const char *text);
    /* Once, last: nothing of the run lives any more, and the runner itself has gone. `record` is its last
     * word (borrowed), NULL where it had none. */
    void (*ended)(void *arg, json_object *record);
};

/* `job` is borrowed; its uid is set here, where this process is root. NULL: it cannot be started (logged). */
struct runner_process *runner_process_start(struct executor *exec, json_object *job,
                                            const struct runner_process_events *events, void *arg);
/* Ends the run: TERM, the grace, KILL; or at once. */
void runner_process_stop(struct runner_process *r, bool now);
/* From now on it tells somebody else. */
void runner_process_set_events(struct runner_process *r, const struct runner_process_events *events,
                               void *arg);
/* It is ended at once, and nobody hears of it any more; then its folder is removed. */
void runner_process_abandon(struct runner_process *r, const char *run_dir);
/* Removes a run's folder, whatever was built in it; by a process of its own where that may take long. */
void run_dir_remove(struct executor *exec, const char *run_dir);

/* Where the runner's program is: beside ours. Called once, before anything is started. */
void runner_process_find_program(void);
