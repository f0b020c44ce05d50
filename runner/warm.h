/* A sandbox that takes one job after another (docs/skills.md, "Warm skills"). The functions are called by
 * supervise.c in this order: warm_prepare for each job; while it runs, warm_send_request, warm_take_output
 * and warm_on_stopped; after its end warm_await_job, warm_take_job and warm_resume; at last warm_leave. */
#pragma once

#include "base/err.h"
#include "runner/supervised_run.h"

/* Makes the exchange of r->job. ERR_INTERNAL: *why_r is the reason. */
enum err warm_prepare(struct supervised_run *r, const char **why_r) WARN_UNUSED;
/* The command's stdin accepts bytes, or is closed. */
void warm_send_request(struct supervised_run *r);
/* Bytes that the command has written to stdout. */
void warm_take_output(struct supervised_run *r, const char *data, size_t size);
/* All processes are stopped: sets r->paused if the sandbox is as a next job needs it, otherwise kills it. */
void warm_on_stopped(struct supervised_run *r);
/* Waits for the next job with everything stopped. False: the owner wants no further one, or the sandbox died.
 */
bool warm_await_job(struct supervised_run *r);
/* Replaces r->job by the job that came, and the folder's content by what it finds. Otherwise *why_r is the
 * reason. */
enum err warm_take_job(struct supervised_run *r, const char **why_r) WARN_UNUSED;
/* Reports the start and lets the processes continue. */
void warm_resume(struct supervised_run *r);
/* Ends what is left of the sandbox. If the folder is not the run's (warm_dir), waits until the owner has
 * closed its end, because it may still read what the last job left, and removes the folder. */
void warm_leave(struct supervised_run *r);
