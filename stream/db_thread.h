/* The database thread of the event daemon: it reads from MariaDB, and the executors' log from Redis, so that
 * the loop thread never blocks. The loop creates a job and submits it; the thread executes it; the loop then
 * calls on_done and frees the job, unless on_done takes it over by talloc_steal. While a job is submitted,
 * the loop may only access its `owner`, which the thread does not use. */
#pragma once

#include <event2/event.h>
#include <talloc.h>

#include "mariadb/db.h"
#include "mcp/call.h"
#include "redis/log_stream.h"
#include "service/thread_queue.h"
#include "store/event.h"
#include "store/execution.h"
#include "store/feed.h"
#include "stream/log_page.h"
#include "stream/shared_text.h"
#include "json/json.h"

struct stream_db_thread;

enum stream_db_job_kind {
    STREAM_DB_EVENTS = 1,
    STREAM_DB_PROGRESS,
    STREAM_DB_FEED_NEWS,
    STREAM_DB_FEED_PAGE,
    STREAM_DB_FEED_CHECK,
    STREAM_DB_OUTCOME,
    STREAM_DB_KEYS,
    STREAM_DB_LOG_NEWEST,
    STREAM_DB_LOG_PAGE,
    STREAM_DB_SHARES
};

struct stream_db_job {        /* a talloc root */
    struct thread_job queued; /* first member */
    enum stream_db_job_kind kind;
    /* set to NULL by the loop if the submitter was freed */
    void *owner;
    void (*on_done)(struct stream_db_job *job);
    enum err error;

    /* STREAM_DB_EVENTS: at most one page of the events after `after`, formatted as server-sent events, as the
     * text of the log, or (call.rpc_id is set; its texts belong to the job) as the messages of a tools/call,
     * whose progress is counted on; without a token for it no event is read, and all are taken as known.
     * STREAM_DB_OUTCOME: the response to that call */
    bool as_log;
    struct mcp_call call;
    id workspace, execution;
    int after;
    char *frames;
    /* number of the last event that was read, or is taken as known; 0: none after `after` */
    int last_read;
    /* of server-sent events: the event that follows is of a type that only a later version can name */
    bool ends_at_later;
    enum run_state state;
    int last_seq;

    /* STREAM_DB_SHARES: the answer to an operator's question (redis/share_question.h), and its id */
    const char *share_answer;
    id share_reply;

    /* STREAM_DB_PROGRESS: the progress of runs, and which API keys are still valid */
    id *executions, *keys;
    size_t executions_n, keys_n;
    struct run_progress *progress;
    id *live_keys;
    size_t progress_n, live_keys_n;

    /* STREAM_DB_FEED_NEWS: numbers what is new in the feed of `workspace`, and reads a page after
     * `feed_after`; below 0: reads nothing, sets feed_until to the highest id given, and feed_more if rows
     * without an id may be left. feed_begins: sets feed_begin to the highest id given, once no row that was
     * visible to the job is without one; -1 before. STREAM_DB_FEED_PAGE:
     * a page up to `feed_until`. With feed_formats each row's server-sent event is in `frames`, from
     * feed_ends[i] to feed_ends[i + 1]. A page ends early when its frames have reached their limit of bytes;
     * feed_more: rows may follow it. feed_page: all frames, for streams that want every row; compressed as
     * well if feed_packs is set. STREAM_DB_FEED_CHECK: keeps the feed wanted, and tells which of `keys` are
     * valid */
    int64_t feed_after, feed_until, feed_begin, feed_keep_ms;
    struct feed_row *feed_rows;
    size_t *feed_ends;
    size_t feed_n;
    bool feed_begins, feed_more, feed_formats, feed_packs;
    struct shared_text *feed_page;
    /* each row's tags, parsed when a filter first asks for them; only the loop uses it */
    json_object **feed_tags;

    /* STREAM_DB_KEYS: which of `keys` are valid. STREAM_DB_LOG_NEWEST: sets log_after to the position after
     * which the newest log_max entries of the executors' log follow, and log_end to its last one.
     * STREAM_DB_LOG_PAGE: reads at most log_max entries after log_after, and with log_wants_oldest the
     * position of the first one that is kept. log_page: their lines, compressed as well with
     * log_packs. */
    struct log_position log_after, log_end, log_oldest;
    struct log_entry *log_entries;
    size_t log_max, log_n;
    bool log_wants_oldest, log_packs;
    struct log_page *log_page;
};

/* Starts the thread. `idle_ms`: a session of the console that was not used for so long has ended. NULL on
 * failure (logged). talloc_free stops it. */
struct stream_db_thread *stream_db_thread_new(void *ctx, struct event_base *base,
                                              const struct db_settings *settings, const char *redis_socket,
                                              int64_t idle_ms);
struct stream_db_job *stream_db_job_new(enum stream_db_job_kind kind, void *owner,
                                        void (*on_done)(struct stream_db_job *job));
/* True if the done job has asked for the key, and it is not valid any more. */
static inline bool stream_db_job_has_ended_key(const struct stream_db_job *job, const id *key)
{
    return id_is_in(job->keys, job->keys_n, key) && !id_is_in(job->live_keys, job->live_keys_n, key);
}
void stream_db_thread_submit(struct stream_db_thread *thread, struct stream_db_job *job);
/* Calls on_done and frees the job, unless on_done has taken it over; then its owner may have freed it
 * already. */
static inline void stream_db_job_finish(struct stream_db_job *job)
{
    void *holder = talloc_new(NULL);
    job = talloc_steal(holder, job);
    job->on_done(job);
    talloc_free(holder);
}
/* A writer for state_dump_add, whose argument is the thread: logs `state.queues`. */
void stream_db_thread_log_state(void *thread);
