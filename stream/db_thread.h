/* The database thread: reads for the loop, which never waits. A job is made by the loop, handed over, read,
 * and handed back with its results; `done` is called in the loop, and the job freed after it. While a job is
 * away nobody in the loop touches anything of it but `owner`, which only the loop knows. */
#pragma once

#include <event2/event.h>

#include "mariadb/db.h"
#include "store/event.h"

struct reader;

enum read_kind { READ_EVENTS = 1, READ_SIGHTS };

struct read_job { /* a talloc root of its own */
    enum read_kind kind;
    void *owner; /* NULL: whoever asked is gone */
    void (*done)(struct read_job *job);
    struct read_job *next;
    enum err e;

    /* READ_EVENTS: what follows `after`, as bytes of the stream */
    id workspace, execution;
    int after;
    char *frames;
    int until; /* number of the last of them, 0: there is none */
    enum state state;
    int last_seq;

    /* READ_SIGHTS: how far runs have come, and which keys are still good */
    id *executions, *keys;
    size_t executions_n, keys_n;
    struct run_sight *sights;
    id *live_keys;
    size_t sights_n, live_keys_n;
};

/* Starts the thread. NULL where that fails (logged). talloc_free ends it. */
struct reader *reader_new(void *ctx, struct event_base *base, const struct db_settings *settings);
struct read_job *read_job_new(enum read_kind kind, void *owner, void (*done)(struct read_job *job));
void reader_submit(struct reader *reader, struct read_job *job);
