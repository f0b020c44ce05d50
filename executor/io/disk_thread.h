/* The disk thread of an executor process: copies and syncs files, which would block the loop. Jobs run one
 * after another and come back on the loop, like those of the database thread. */
#pragma once

#include <event2/event.h>

#include "executor/db_thread/job.h"

struct disk_thread;

/* NULL: it cannot be started (logged). */
struct disk_thread *disk_thread_start(void *ctx, struct event_base *base);
/* Ends the thread after its current job. Jobs that wait, and finished ones that did not come back, are freed.
 */
void disk_thread_stop(struct disk_thread *d);
/* job->work is called in the thread, with NULL for its context; job->done on the loop. */
void disk_thread_submit(struct disk_thread *d, struct job *job);
/* Jobs that wait. */
size_t disk_thread_queued(struct disk_thread *d);
