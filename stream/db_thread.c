#include "stream/db_thread.h"

#include <errno.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/share_question.h"
#include "run/event_json.h"
#include "service/state_dump.h"
#include "session/session.h"
#include "store/ticket.h"
#include "stream/feed_json.h"
#include "stream/log_text.h"
#include "stream/sse.h"
#include "stream/tool_call.h"

enum {
    /* A page is cut when its frames exceed this many bytes: they stay in memory until the subscriber has
     * received them. */
    FRAMES_MAX = 128 * 1024,
    TICKET_TIDY_MS = 60 * 1000
};

struct stream_db_thread {
    struct thread_queue *queue;
    /* used only by the thread */
    struct db *db;
    struct redis *redis;
    /* console.idle_minutes */
    int64_t idle_ms;
};

/* A call without a progress token is told nothing but the end: it needs no event of the history. */
static void skip_run_events(struct stream_db_thread *thread, struct stream_db_job *job)
{
    struct run_progress run;
    job->frames = talloc_strdup(job, "");
    job->error = execution_progress(thread->db, job, &job->workspace, &job->execution, &run);
    if (job->error != OK)
        return;
    job->state = run.state;
    job->last_seq = run.last_seq;
    if (run.last_seq > job->after)
        job->last_read = job->call.after = run.last_seq;
}

static void read_run_events(struct stream_db_thread *thread, struct stream_db_job *job)
{
    struct event_page page;
    job->error = events_read(thread->db, job, &job->workspace, &job->execution, job->after, &page);
    job->frames = talloc_strdup(job, "");
    for (size_t i = 0; job->error == OK && i < page.count && talloc_get_size(job->frames) < FRAMES_MAX; i++) {
        const struct event_row *row = &page.rows[i];
        job->ends_at_later = !job->call.rpc_id && !job->as_log && !event_is_known(row->type);
        if (job->ends_at_later)
            break;
        char *text = event_json_make(job, &job->execution, row->seq, row->type, row->at_ms, row->data);
        if (job->call.rpc_id)
            tool_call_append_event(&job->frames, &job->call, row->seq, row->type, text,
                                   talloc_get_size(text) - 1);
        else if (job->as_log)
            log_text_append(&job->frames, row->type, text, talloc_get_size(text) - 1);
        else
            sse_append_event(&job->frames, row->seq, row->type, text, talloc_get_size(text) - 1);
        talloc_free(text);
        job->last_read = row->seq;
    }
    job->state = page.state;
    job->last_seq = page.last_seq;
}

static void read_run_outcome(struct stream_db_thread *thread, struct stream_db_job *job)
{
    struct execution outcome;
    id key;
    job->error = execution_outcome(thread->db, job, &job->workspace, &job->execution, &outcome, &key);
    job->frames = talloc_strdup(job, "");
    if (job->error == OK)
        tool_call_append_outcome(&job->frames, &job->call, &outcome);
}

static void read_run_progress(struct stream_db_thread *thread, struct stream_db_job *job)
{
    job->error = execution_progress_list(thread->db, job, job->executions, job->executions_n, &job->progress,
                                         &job->progress_n);
    if (job->error == OK)
        job->error = session_filter_credentials(thread->db, job, job->keys, job->keys_n, thread->idle_ms,
                                                &job->live_keys, &job->live_keys_n);
}

/* --- feeds --- */

static void read_feed_page(struct stream_db_thread *thread, struct stream_db_job *job, int64_t until)
{
    job->error =
        feed_read(thread->db, job, &job->workspace, job->feed_after, until, &job->feed_rows, &job->feed_n);
    job->feed_more = job->feed_n == FEED_PAGE_MAX;
    if (!job->feed_formats)
        return;
    job->frames = talloc_strdup(job, "");
    job->feed_ends = talloc_zero_array(job, size_t, job->feed_n + 1);
    size_t n = feed_page_append(&job->frames, job->feed_ends, job->feed_rows, job->feed_n, FRAMES_MAX);
    job->feed_more |= n < job->feed_n;
    job->feed_n = n;
    job->feed_page = shared_text_new(job, job->frames, talloc_get_size(job->frames) - 1, job->feed_packs);
}

static void read_feed_news(struct stream_db_thread *thread, struct stream_db_job *job)
{
    struct feed_state state = {0};
    bool more;
    job->feed_begin = -1;
    job->error = feed_number(thread->db, job, &job->workspace, &more);
    if (job->error == OK && (job->feed_after < 0 || job->feed_begins))
        job->error = feed_open(thread->db, job, &job->workspace, job->feed_keep_ms, &state);
    if (job->error != OK)
        return;
    if (job->feed_begins && !more)
        job->feed_begin = state.last_id;
    if (job->feed_after >= 0) {
        read_feed_page(thread, job, INT64_MAX);
    } else {
        job->feed_until = state.last_id;
        job->feed_more = more;
    }
}

static void check_feed_keys(struct stream_db_thread *thread, struct stream_db_job *job)
{
    struct feed_state state;
    job->error = feed_open(thread->db, job, &job->workspace, job->feed_keep_ms, &state);
    if (job->error == OK)
        job->error = session_filter_credentials(thread->db, job, job->keys, job->keys_n, thread->idle_ms,
                                                &job->live_keys, &job->live_keys_n);
}

static void check_keys(struct stream_db_thread *thread, struct stream_db_job *job)
{
    job->error = session_filter_credentials(thread->db, job, job->keys, job->keys_n, thread->idle_ms,
                                            &job->live_keys, &job->live_keys_n);
}

/* --- the executors' log --- */

static void read_log_newest(struct stream_db_thread *thread, struct stream_db_job *job)
{
    job->error = log_stream_newest(thread->redis, job, job->log_max, &job->log_after, &job->log_end);
}

static void read_log_page(struct stream_db_thread *thread, struct stream_db_job *job)
{
    job->error =
        log_stream_read(thread->redis, job, job->log_after, job->log_max, &job->log_entries, &job->log_n);
    job->log_page = log_page_new(job, job->log_entries, job->log_n, job->log_packs);
    if (job->error == OK && job->log_wants_oldest)
        job->error = log_stream_oldest(thread->redis, job, &job->log_oldest);
}

static void execute_job(struct stream_db_thread *thread, struct stream_db_job *job)
{
    switch (job->kind) {
    case STREAM_DB_EVENTS:
        if (job->call.rpc_id && !job->call.token)
            skip_run_events(thread, job);
        else
            read_run_events(thread, job);
        break;
    case STREAM_DB_PROGRESS:
        read_run_progress(thread, job);
        break;
    case STREAM_DB_FEED_NEWS:
        read_feed_news(thread, job);
        break;
    case STREAM_DB_FEED_PAGE:
        read_feed_page(thread, job, job->feed_until);
        break;
    case STREAM_DB_FEED_CHECK:
        check_feed_keys(thread, job);
        break;
    case STREAM_DB_OUTCOME:
        read_run_outcome(thread, job);
        break;
    case STREAM_DB_KEYS:
        check_keys(thread, job);
        break;
    case STREAM_DB_LOG_NEWEST:
        read_log_newest(thread, job);
        break;
    case STREAM_DB_LOG_PAGE:
        read_log_page(thread, job);
        break;
    case STREAM_DB_SHARES:
        share_question_answer(thread->redis, job, &job->share_reply, job->share_answer);
        break;
    }
}

static void delete_tickets_when_due(struct stream_db_thread *thread, int64_t *done_ms)
{
    if (clock_boot_ms() - *done_ms < TICKET_TIDY_MS)
        return;
    /* one batch, then the subscribers' jobs; again at once while more are due */
    if (!ticket_delete_expired(thread->db))
        *done_ms = clock_boot_ms();
}

static long ms_until_tidy(int64_t done_ms)
{
    int64_t left_ms = done_ms + TICKET_TIDY_MS - clock_boot_ms();
    return left_ms > 0 ? (long)left_ms : 0;
}

static void run_db_thread(struct thread_queue *queue, void *arg)
{
    struct stream_db_thread *thread = arg;
    int64_t tidied_ms = clock_boot_ms();
    while (!thread_queue_is_ending(queue)) {
        struct thread_job *job = thread_queue_next(queue, ms_until_tidy(tidied_ms));
        if (job) {
            execute_job(thread, (struct stream_db_job *)job);
            thread_queue_return(queue, job);
        }
        delete_tickets_when_due(thread, &tidied_ms);
    }
}

/* --- loop thread --- */

static void on_job_finished(struct thread_job *finished, void *arg)
{
    stream_db_job_finish((struct stream_db_job *)finished);
}

static int stream_db_thread_destroy(struct stream_db_thread *thread)
{
    thread_queue_stop(thread->queue);
    return 0;
}

struct stream_db_thread *stream_db_thread_new(void *ctx, struct event_base *base,
                                              const struct db_settings *settings, const char *redis_socket,
                                              int64_t idle_ms)
{
    struct stream_db_thread *thread = talloc_zero(ctx, struct stream_db_thread);
    thread->idle_ms = idle_ms;
    struct thread_queue_settings queue = {
        .run = run_db_thread, .on_finished = on_job_finished, .arg = thread};
    thread->db = db_new(thread, settings);
    thread->redis = redis_new(thread, redis_socket);
    thread->queue = thread_queue_new(thread, base, &queue);
    if (!thread->queue || !thread_queue_start(thread->queue)) {
        log_error("stream.start_failed", "what=\"database thread\" errno=%d", errno);
        return NULL;
    }
    talloc_set_destructor(thread, stream_db_thread_destroy);
    return thread;
}

struct stream_db_job *stream_db_job_new(enum stream_db_job_kind kind, void *owner,
                                        void (*on_done)(struct stream_db_job *job))
{
    struct stream_db_job *job = talloc_zero(NULL, struct stream_db_job);
    job->kind = kind;
    job->owner = owner;
    job->on_done = on_done;
    return job;
}

void stream_db_thread_submit(struct stream_db_thread *thread, struct stream_db_job *job)
{
    thread_queue_submit(thread->queue, &job->queued);
}

void stream_db_thread_log_state(void *arg)
{
    struct stream_db_thread *thread = arg;
    state_log("state.queues", "db_thread_jobs=%zu", thread_queue_length(thread->queue));
}
