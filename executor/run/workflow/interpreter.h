/* The interpreter of workflow programs: goes from step to step as far as no side effect is needed, collecting
 * rows and events in the flow's open commit, then lets that be written and waits for its acts. */
#pragma once

#include "executor/run/workflow/action.h"

extern const struct run_kind workflow_run_kind;

/* Begins, or goes on after what an earlier attempt has left. */
void workflow_begin(struct active_run *run);
/* Goes on as far as it can now. */
void workflow_resume(struct active_run *run);
/* A commit is written: acts that needed it may start. */
void workflow_on_written(struct active_run *run, const struct commit *c);
/* For a run that ends in the middle of a step: leaves a row that says how. */
void workflow_abort_step(struct active_run *run, const char *error);

/* An act has ended. */
void workflow_item_done(struct active_run *run, int item, int tries, json_object *result);
void workflow_item_failed(struct active_run *run, int item, int tries, const char *error,
                          enum failure_reason reason);
