/* The subscribers to the executors' log. Redis keeps it (redis/log_stream.h). While there are subscribers,
 * the database thread reads what is new twice a second, once for all of them; a subscriber that is behind,
 * because it begins with old lines or receives slowly, reads pages of its own. Nothing is read without
 * subscribers. One that continues after a position that Redis does not keep any more is told so.
 *
 * Loop thread only. */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "stream/db_thread.h"
#include "stream/internal_request.h"

struct executor_log;
struct log_subscriber;

struct log_subscriber_callbacks {
    /* Server-sent events that others get, too. */
    void (*on_page)(struct log_subscriber *s, const struct shared_text *page);
    /* Server-sent events. */
    void (*on_frames)(struct log_subscriber *s, const char *frames, size_t size);
    /* Bytes that were not sent yet. */
    size_t (*unsent)(struct log_subscriber *s);
    /* The operator is revoked, or the session has ended. May free the subscriber. */
    void (*on_revoked)(struct log_subscriber *s);
};

/* A subscriber, embedded in the struct of its owner. */
struct log_subscriber {
    struct executor_log *log; /* NULL: not subscribed */
    LIST_ENTRY(log_subscriber) entry;
    const struct log_subscriber_callbacks *callbacks;
    struct internal_request *request;
    /* the last position that was looked at, and the last one that the client knows */
    struct log_position cursor, told;
    bool has_cursor, is_live, must_check_gap;
    /* the stream is compressed, and may send whole pages */
    bool is_packed;
    /* the page in flight, or NULL */
    struct stream_db_job *job;
};

struct executor_log *executor_log_new(void *ctx, struct event_base *base, struct stream_db_thread *db_thread);
/* `request` must stay valid until the subscriber is removed. */
void executor_log_add(struct executor_log *log, struct internal_request *request, struct log_subscriber *s);
/* Call it before the subscriber is freed. Does nothing if it is not subscribed. */
void executor_log_remove(struct log_subscriber *s);
/* Continues a subscriber whose output was sent. */
void executor_log_advance(struct log_subscriber *s);
/* Appends an event that tells the client how far the log was read, if it does not know. */
void executor_log_append_position(char **out, struct log_subscriber *s);
/* A writer for state_dump_add, whose argument is the struct executor_log: logs `state.executor_log`. */
void executor_log_log_state(void *log);
