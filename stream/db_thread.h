/* The database thread: reads for the loop, which never waits. A job is made by the loop, handed over, read,
 * and handed back with its results; `done` is called in the loop, and the job freed after it. While a job is
 * away nobody in the loop touches anything of it but `owner`, which only the loop knows. */
#pragma once

#include <event2/event.h>

#include "mariadb/db.h"
#include "store/event.h"

struct stream_db_thread;

enum stream_db_job_kind { STREAM_DB_EVENTS = 1, STREAM_DB_PROGRESS };

struct stream_db_job { /* a talloc root of its own */
    enum stream_db_job_kind kind;
    void *owner; /* NULL: whoever asked is gone */
    void (*on_done)(struct stream_db_job *job);
    struct stream_db_job *next;
    enum err error;

    /* STREAM_DB_EVENTS: what follows `after`, as bytes of the stream */
    id workspace, execution;
    int after;
    char *frames;
    int last_read; /* number of the last of them, 0: there is none */
    enum run_state state;
    int last_seq;

    /* STREAM_DB_PROGRESS: how far runs have come, and which keys are still good */
    id *executions, *keys;
    size_t executions_n, keys_n;
    struct run_progress *progress;
    id *live_keys;
    size_t progress_n, live_keys_n;
};

/* Starts the thread. NULL where that fails (logged). talloc_free ends it. */
struct stream_db_thread *stream_db_thread_new(void *ctx, struct event_base *base,
                                              const struct db_settings *settings);
struct stream_db_job *stream_db_job_new(enum stream_db_job_kind kind, void *owner,
                                        void (*on_done)(struct stream_db_job *job));
void stream_db_thread_submit(struct stream_db_thread *reader, struct stream_db_job *job);
