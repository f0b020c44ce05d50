/* Work of one run for the compute thread (service/compute_thread.h). Loop thread only. */
#pragma once

#include "executor/run/active_run.h"

/* Calls `work` with the run's state in the compute thread, and then `on_ready` on the loop. What the result
 * needs is of ctx, which becomes a child of the state. One job of a run is out at a time (run->job); until it
 * is back nothing may change or free what `work` uses. on_ready is not called once the run is ending; if the
 * run leaves memory, the job frees the state. */
void run_compute(struct active_run *run, void (*work)(void *state, void *ctx),
                 void (*on_ready)(struct active_run *run));
/* The `leave` of a kind that calls run_compute: the state goes with the job that is out, or nothing happens.
 */
void run_leave_state_to_job(struct active_run *run);
