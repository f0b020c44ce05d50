/* Jobs that another thread than the loop submits to the compute thread, and which come back to that thread:
 * the database thread or the maintenance thread. A kind of such jobs has its own list (compile_jobs.h,
 * child_checks.h), which one thread uses, except where it says otherwise. */
#pragma once

#include "service/compute_thread.h"

struct compute_returns;

/* A job is a separate talloc context whose struct begins with this. */
struct compute_return {
    struct compute_job compute; /* first; the submitter sets workspace_id and work */
    struct compute_returns *all;
    STAILQ_ENTRY(compute_return) link;
};

/* `on_returned` is called on the compute thread when a job is finished. */
struct compute_returns *compute_returns_new(void *ctx, struct compute_thread *compute,
                                            void (*on_returned)(void *arg), void *arg);
/* After the end of the compute thread, which keeps the jobs that it has not finished. Any thread. */
void compute_returns_free(struct compute_returns *all);
/* Takes over the job. */
void compute_returns_submit(struct compute_returns *all, struct compute_return *job);
/* A finished job, which belongs to the caller; NULL: none. */
struct compute_return *compute_returns_take(struct compute_returns *all);
