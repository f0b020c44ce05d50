/* The disk thread of an executor process: copies and syncs what would block the loop. Jobs are done one after
 * another and come back on the loop, as the writer's do. */
#pragma once

#include <event2/event.h>

#include "executor/db_thread/db_thread.h"

struct disk_thread;

/* NULL where it cannot be started. */
struct disk_thread *disk_thread_start(void *ctx, struct event_base *base);
/* Ends it after the job in hand; those that wait are forgotten (freed), as are those that came back. */
void disk_thread_stop(struct disk_thread *d);
/* job->work is called in the thread without hands, job->done on the loop. */
void disk_thread_submit(struct disk_thread *d, struct job *job);
