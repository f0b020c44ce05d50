#include "stream/executor_log.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/state_dump.h"
#include "stream/sse.h"

enum {
    TICK_MS = 500,
    CHECK_MS = 15000,
    /* entries of up to 4 KiB that are read at once */
    PAGE_ENTRIES = 64,
    NEWS_ENTRIES = 4 * PAGE_ENTRIES,
    /* a subscriber with more unsent output gets nothing new, and the next page only below the second number
     */
    UNSENT_MAX = 256 * 1024,
    UNSENT_LOW = 16 * 1024,
};

struct executor_log {
    struct stream_db_thread *db_thread;
    struct event *timer;
    /* what is new, and the check of the sessions: the job in flight, or NULL */
    struct stream_db_job *job;
    /* all entries up to here were read; has_last: it was read where the stream ends */
    struct log_position last;
    bool has_last;
    int64_t checked_ms;
    LIST_HEAD(log_subscriber_list, log_subscriber) subscribers;
};

void executor_log_append_position(char **out, struct log_subscriber *s)
{
    if (!s->has_cursor || log_position_compare(s->cursor, s->told) <= 0)
        return;
    s->told = s->cursor;
    log_position_append(out, s->cursor);
}

/* Sends the entries after the cursor. */
static void send_entries(struct log_subscriber *s, const struct stream_db_job *job)
{
    struct log_position last = job->log_n > 0 ? job->log_entries[job->log_n - 1].at : s->cursor;
    const struct shared_text *whole = log_page_whole(job->log_page, s->request, s->cursor);
    if (whole) {
        s->callbacks->on_page(s, whole);
        s->told = log_page_last(job->log_page);
    } else {
        char *frames = talloc_strdup(NULL, "");
        log_page_append(&frames, job->log_page, s->request, s->cursor, &s->told);
        if (*frames)
            s->callbacks->on_frames(s, frames, strlen(frames));
        talloc_free(frames);
    }
    s->cursor = log_position_compare(last, s->cursor) > 0 ? last : s->cursor;
}

/* --- subscribers that are behind --- */

static void on_page(struct stream_db_job *job);

void executor_log_advance(struct log_subscriber *s)
{
    if (!s->log || s->is_live || s->job || s->callbacks->unsent(s) > UNSENT_LOW)
        return;
    s->job = stream_db_job_new(s->has_cursor ? STREAM_DB_LOG_PAGE : STREAM_DB_LOG_NEWEST, s, on_page);
    s->job->log_after = s->cursor;
    s->job->log_max = PAGE_ENTRIES;
    s->job->log_packs = s->is_packed;
    s->job->log_wants_oldest = s->must_check_gap;
    stream_db_thread_submit(s->log->db_thread, s->job);
}

static void tell_gap(struct log_subscriber *s)
{
    static const char frame[] = "event: log.gap\ndata: {\"type\":\"log.gap\"}\n\n";
    s->callbacks->on_frames(s, frame, sizeof frame - 1);
}

static void on_page(struct stream_db_job *job)
{
    struct log_subscriber *s = job->owner;
    if (!s)
        return;
    s->job = NULL;
    if (job->error != OK)
        return; /* the next tick tries again */
    if (!s->has_cursor) {
        s->cursor = s->told = job->log_after;
        s->has_cursor = true;
        executor_log_advance(s);
        return;
    }
    if (s->must_check_gap && log_position_compare(job->log_oldest, s->cursor) > 0)
        tell_gap(s);
    s->must_check_gap = false;
    send_entries(s, job);
    /* all was read that the shared reader has read: what comes next comes from it */
    if (job->log_n < PAGE_ENTRIES && s->log->has_last && log_position_compare(s->cursor, s->log->last) >= 0)
        s->is_live = true;
    else if (job->log_n > 0)
        executor_log_advance(s);
}

/* --- what is new --- */

static void read_news(struct executor_log *log);

static void on_news(struct stream_db_job *job)
{
    struct executor_log *log = job->owner;
    struct log_subscriber *s;
    if (!log)
        return;
    log->job = NULL;
    if (job->error != OK)
        return;
    if (!log->has_last) {
        log->last = job->log_end;
        log->has_last = true;
        return;
    }
    if (job->log_n == 0)
        return;
    LIST_FOREACH(s, &log->subscribers, entry)
    {
        /* one that receives slowly reads pages of its own when its output was sent */
        s->is_live = s->is_live && s->callbacks->unsent(s) <= UNSENT_MAX;
        if (s->is_live)
            send_entries(s, job);
    }
    log->last = job->log_entries[job->log_n - 1].at;
    /* there is more: without waiting, because Redis drops what is read too late; the sessions come first */
    if (job->log_n == NEWS_ENTRIES && clock_boot_ms() - log->checked_ms < CHECK_MS)
        read_news(log);
}

static void read_news(struct executor_log *log)
{
    const struct log_subscriber *s;
    log->job = stream_db_job_new(log->has_last ? STREAM_DB_LOG_PAGE : STREAM_DB_LOG_NEWEST, log, on_news);
    log->job->log_after = log->last;
    log->job->log_max = NEWS_ENTRIES;
    LIST_FOREACH(s, &log->subscribers, entry)
    {
        log->job->log_packs |= s->is_packed;
    }
    stream_db_thread_submit(log->db_thread, log->job);
}

/* --- sessions --- */

static void on_checked(struct stream_db_job *job)
{
    struct executor_log *log = job->owner;
    if (!log)
        return;
    log->job = NULL;
    if (job->error != OK)
        return;
    struct log_subscriber *next;
    for (struct log_subscriber *s = LIST_FIRST(&log->subscribers); s; s = next) {
        next = LIST_NEXT(s, entry);
        if (stream_db_job_has_ended_key(job, &s->request->key))
            s->callbacks->on_revoked(s);
    }
}

static void check_sessions(struct executor_log *log, int64_t now_ms)
{
    struct log_subscriber *s;
    size_t n = 0;
    log->checked_ms = now_ms;
    LIST_FOREACH(s, &log->subscribers, entry)
    {
        n++;
    }
    log->job = stream_db_job_new(STREAM_DB_KEYS, log, on_checked);
    log->job->keys = talloc_zero_array(log->job, id, n + 1);
    LIST_FOREACH(s, &log->subscribers, entry)
    {
        log->job->keys[log->job->keys_n++] = s->request->key;
    }
    log->job->keys_n = id_sort_distinct(log->job->keys, n);
    stream_db_thread_submit(log->db_thread, log->job);
}

/* --- subscribing --- */

static void log_on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct executor_log *log = arg;
    struct log_subscriber *s, *next;
    int64_t now_ms = clock_boot_ms();
    for (s = LIST_FIRST(&log->subscribers); s; s = next) {
        next = LIST_NEXT(s, entry);
        executor_log_advance(s);
    }
    if (LIST_EMPTY(&log->subscribers) || log->job)
        return;
    if (now_ms - log->checked_ms >= CHECK_MS)
        check_sessions(log, now_ms);
    else
        read_news(log);
}

static int executor_log_destroy(struct executor_log *log)
{
    if (log->timer)
        event_free(log->timer);
    return 0;
}

struct executor_log *executor_log_new(void *ctx, struct event_base *base, struct stream_db_thread *db_thread)
{
    static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
    struct executor_log *log = talloc_zero(ctx, struct executor_log);
    log->db_thread = db_thread;
    log->timer = event_new(base, -1, EV_PERSIST, log_on_tick, log);
    talloc_set_destructor(log, executor_log_destroy);
    if (!log->timer || event_add(log->timer, &tick) != 0)
        log_error("stream.start_failed", "what=\"timer of the executor log\"");
    return log;
}

void executor_log_add(struct executor_log *log, struct internal_request *request, struct log_subscriber *s)
{
    if (LIST_EMPTY(&log->subscribers)) {
        log->has_last = false; /* nothing was read meanwhile */
        log->checked_ms = clock_boot_ms();
    }
    s->log = log;
    s->request = request;
    s->cursor = s->told = request->log_after;
    s->is_packed = request->gzip && !log_request_filters(request);
    s->has_cursor = request->log_has_position || request->log_from_start;
    s->must_check_gap = request->log_has_position;
    LIST_INSERT_HEAD(&log->subscribers, s, entry);
    executor_log_advance(s);
}

void executor_log_remove(struct log_subscriber *s)
{
    if (!s->log)
        return;
    if (s->job)
        s->job->owner = NULL;
    s->job = NULL;
    LIST_REMOVE(s, entry);
    if (LIST_EMPTY(&s->log->subscribers) && s->log->job) {
        s->log->job->owner = NULL;
        s->log->job = NULL;
    }
    s->log = NULL;
}

void executor_log_log_state(void *arg)
{
    const struct executor_log *log = arg;
    const struct log_subscriber *s;
    size_t subscribers = 0, behind = 0;
    LIST_FOREACH(s, &log->subscribers, entry)
    {
        subscribers++;
        behind += !s->is_live;
    }
    state_log("state.executor_log", "subscribers=%zu behind=%zu", subscribers, behind);
}
