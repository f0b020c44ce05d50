/* A thread for work on values that tenants control: parsing, compiling, validating, and freeing large trees.
 * Such a unit of work takes up to 90 ms, for which the loop and the database thread would hold up everybody.
 *
 * The thread serves workspaces in rotation, one job each; the jobs of one workspace run in the order in which
 * they were submitted. A job cannot be interrupted, so a job waits for at most one job of each other
 * workspace and for the earlier ones of its own.
 *
 * A job is a separate talloc context whose struct begins with a struct compute_job. From compute_submit until
 * `done` or `returned` is called it belongs to the thread, with everything that `work` uses: a submitter that
 * no longer wants the result clears `arg` and touches nothing else. */
#pragma once

#include <event2/event.h>

#include "base/ids.h"
#include "base/memory_budget.h"
#include "service/thread_queue.h"

/* Bytes of JSON text that a loop works on by itself: at most 5 ms. What is larger is a job. */
enum { COMPUTE_INLINE_MAX = 16 * 1024 };

struct compute_thread;

struct compute_job {
    struct thread_job queued; /* first */
    /* in whose turn the job runs */
    id workspace_id;
    /* In the thread; NULL: nothing is to be done but `returned`. */
    void (*work)(struct compute_job *job);
    /* On the loop, after `work`; takes the job over. */
    void (*done)(struct compute_job *job);
    /* In the thread, in place of `done`: takes the job over, for another thread. */
    void (*returned)(struct compute_job *job);
    /* For the submitter on the loop; the thread does not touch it. */
    void *arg;
};

/* NULL (and errno): it cannot be started. */
struct compute_thread *compute_thread_start(void *ctx, struct event_base *base);
/* Any thread. */
void compute_submit(struct compute_thread *t, struct compute_job *job);
/* Frees a talloc context in the thread, and then returns the bytes that are counted for it; `memory` may be
 * NULL. No other thread may use anything in it any more, not even to count references of its JSON values. Any
 * thread. */
void compute_discard(struct compute_thread *t, const id *workspace_id, void *ctx,
                     struct memory_budget *memory, size_t bytes);
/* Jobs that wait or have not come back. Any thread. */
size_t compute_queued(struct compute_thread *t);
/* Ends the thread after its current job. What was submitted and what will be is kept until
 * compute_thread_free. */
void compute_thread_end(struct compute_thread *t);
/* After compute_thread_end: frees the thread and all jobs that have not come back. */
void compute_thread_free(struct compute_thread *t);
