#include "stream/feed.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/state_dump.h"
#include "stream/feed_json.h"
#include "stream/sse.h"
#include "json/json.h"

enum {
    /* how often a feed is looked at; with many feeds less often, so that the database thread has time for
       others */
    TICK_MS = 50,
    POLL_MS = 200,
    POLLS_A_TICK = 20,
    /* While runs end all the time, a feed with many streams is read less often: after as many milliseconds as
     * it has streams, up to this; if all of them are summaries, once for each summary. Each stream then gets
     * more at a time, and nginx has at most a thousand writes a second for them, whatever the rate of ends
     * is. */
    GATHER_MAX_MS = 1000,
    /* between two summaries: a screen that shows what is new is not drawn more often */
    SUMMARY_MS = 1000,
    /* how often keys are checked and the feed is kept wanted */
    CHECK_MS = 15000,
    /* a subscriber with more unsent output gets nothing new, and the next page only below the second number
     */
    UNSENT_MAX = 256 * 1024,
    UNSENT_LOW = 16 * 1024,
    /* pages of one workspace that are read at a time: the database thread serves all workspaces */
    PAGES_MAX = 2,
    /* What is new goes out in slices, this far apart and to so many subscribers at least: a thousand streams
     * that are written at once hold nginx' loop, and every request behind them, for as long as that takes. */
    SLICE_MS = 5,
    SLICE_SUBSCRIBERS = 16,
};

struct feed_watch {
    struct feeds *feeds;
    LIST_ENTRY(feed_watch) entry;
    id workspace;
    LIST_HEAD(feed_subscriber_list, feed_subscriber) subscribers;
    /* its subscribers, and of these the summaries and the compressed streams of all ends */
    size_t subscribers_n, summaries_n, packed_n;
    /* the highest id that was read; -1: nothing was read yet */
    int64_t last;
    /* pages that subscribers wait for, at most PAGES_MAX */
    size_t pages;
    /* the database job in flight, or NULL */
    struct stream_db_job *job;
    /* readings submitted so far */
    uint64_t readings;
    /* The job whose rows go out in slices, or NULL. The next subscriber that gets them, and how many get them
     * in a slice. */
    struct stream_db_job *news;
    struct feed_subscriber *next;
    size_t slice;
    /* there was more than one page */
    bool has_more;
    /* the last reading has found something */
    bool is_busy;
    /* CLOCK_BOOTTIME milliseconds */
    int64_t polled_ms, checked_ms;
};

struct feeds {
    struct stream_db_thread *db_thread;
    struct event *timer, *slice_timer;
    int64_t keep_ms;
    size_t count;
    LIST_HEAD(feed_watch_list, feed_watch) all;
};

const id *feed_watch_workspace(const struct feed_watch *watch)
{
    return &watch->workspace;
}

/* --- filters --- */

/* The tags of a row, parsed once for each job, however many subscribers filter by them. NULL: none. */
static json_object *tags_of(struct stream_db_job *job, size_t n)
{
    const char *text = job->feed_rows[n].tags, *why;
    if (!job->feed_tags)
        job->feed_tags = talloc_zero_array(job, json_object *, job->feed_n + 1);
    json_object **tags = &job->feed_tags[n];
    if (text && !*tags && json_parse_tolerant(job, text, strlen(text), JSON_DEPTH_MAX, tags, &why) != OK)
        *tags = NULL;
    return *tags;
}

static bool has_tag(json_object *list, const char *tag)
{
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
         i++) {
        struct span one = json_span(json_object_array_get_idx(list, i));
        if (one.at && span_is(one, tag))
            return true;
    }
    return false;
}

static bool feed_matches(const struct feed_subscriber *s, struct stream_db_job *job, size_t n)
{
    const struct feed_row *row = &job->feed_rows[n];
    bool is_listed = s->responders_n == 0;
    if (!(s->states & 1 << row->state))
        return false;
    for (size_t i = 0; i < s->responders_n && !is_listed; i++)
        is_listed = id_equal(&s->responders[i], &row->ids.responder);
    return is_listed && (!*s->tag || has_tag(tags_of(job, n), s->tag));
}

static bool has_filter(const struct feed_subscriber *s)
{
    return s->states != (1 << STATE_SUCCEEDED | 1 << STATE_FAILED | 1 << STATE_STOPPED) ||
           s->responders_n > 0 || *s->tag;
}

/* Whole pages are sent, compressed. */
static bool packs_pages(const struct feed_subscriber *s)
{
    return s->is_packed && !s->is_summary && !has_filter(s);
}

/* True if all rows are wanted and none was sent: they go out as they are. */
static bool wants_page(const struct feed_subscriber *s, const struct stream_db_job *job, int64_t until)
{
    const struct feed_row *rows = job->feed_rows;
    return job->feed_n > 0 && !has_filter(s) && rows[0].id > s->cursor && rows[job->feed_n - 1].id <= until;
}

static bool has_counted(const struct feed_subscriber *s)
{
    return s->ended[STATE_SUCCEEDED] + s->ended[STATE_FAILED] + s->ended[STATE_STOPPED] > 0;
}

/* Counts the rows after the cursor up to `until` that match. */
static void count_rows(struct feed_subscriber *s, struct stream_db_job *job, int64_t until)
{
    const struct feed_row *rows = job->feed_rows;
    for (size_t i = 0; i < job->feed_n && rows[i].id <= until; i++) {
        if (rows[i].id <= s->cursor)
            continue;
        s->cursor = rows[i].id;
        if (feed_matches(s, job, i))
            s->ended[rows[i].state]++;
    }
}

/* Its id is the cursor, up to which all was counted: a client that resumes there is told of each end once. */
static void send_summary_when_due(struct feed_subscriber *s, int64_t now_ms)
{
    if (!has_counted(s) || now_ms - s->summed_ms < SUMMARY_MS)
        return;
    char *frame = talloc_strdup(NULL, "");
    feed_summary_append(&frame, s->cursor, s->ended);
    memset(s->ended, 0, sizeof s->ended);
    s->told = s->cursor;
    s->summed_ms = now_ms;
    s->callbacks->on_frames(s, frame, strlen(frame));
    talloc_free(frame);
}

void feeds_append_position(char **out, struct feed_subscriber *s)
{
    if (s->cursor <= s->told || has_counted(s)) /* what was counted would be lost behind a later id */
        return;
    s->told = s->cursor;
    sse_append_id(out, s->told);
}

/* Sends the rows after the cursor up to `until` that match. */
static void feed_send(struct feed_subscriber *s, struct stream_db_job *job, int64_t until)
{
    const struct feed_row *rows = job->feed_rows;
    if (s->is_summary) {
        count_rows(s, job, until);
        send_summary_when_due(s, clock_boot_ms());
        return;
    }
    if (wants_page(s, job, until)) {
        s->cursor = s->told = rows[job->feed_n - 1].id;
        s->callbacks->on_page(s, job->feed_page);
        return;
    }
    char *frames = talloc_strdup(job, "");
    for (size_t i = 0; i < job->feed_n && rows[i].id <= until; i++) {
        if (rows[i].id <= s->cursor)
            continue;
        s->cursor = rows[i].id;
        if (feed_matches(s, job, i)) {
            size_t begin = job->feed_ends[i], end = job->feed_ends[i + 1];
            frames = talloc_strndup_append_buffer(frames, job->frames + begin, end - begin);
            s->told = rows[i].id;
        }
    }
    size_t size = talloc_get_size(frames) - 1;
    if (size > 0)
        s->callbacks->on_frames(s, frames, size);
    talloc_free(frames);
}

/* --- subscribers that are behind --- */

static void feed_on_page(struct stream_db_job *job);

void feeds_advance(struct feed_subscriber *s)
{
    struct feed_watch *w = s->watch;
    if (!w || s->is_live || s->begins_at > 0 || s->job || w->last < 0 || s->callbacks->unsent(s) > UNSENT_LOW)
        return;
    if (s->cursor >= w->last) {
        s->is_live = true;
        return;
    }
    if (w->pages >= PAGES_MAX)
        return; /* the end of one of these pages continues it */
    w->pages++;
    s->job = stream_db_job_new(STREAM_DB_FEED_PAGE, s, feed_on_page);
    s->job->workspace = w->workspace;
    s->job->feed_after = s->cursor;
    s->job->feed_until = w->last;
    s->job->feed_formats = !s->is_summary;
    s->job->feed_packs = packs_pages(s);
    stream_db_thread_submit(w->feeds->db_thread, s->job);
}

/* Begins pages of those that wait, in turn: first of the ones after `s` in the list. */
static void advance_in_turn(struct feed_watch *w, struct feed_subscriber *s)
{
    struct feed_subscriber *each;
    for (each = LIST_NEXT(s, entry); each && w->pages < PAGES_MAX; each = LIST_NEXT(each, entry))
        feeds_advance(each);
    /* from the beginning, `s` included */
    LIST_FOREACH(each, &w->subscribers, entry)
    {
        if (w->pages >= PAGES_MAX)
            break;
        feeds_advance(each);
    }
}

static void feed_on_page(struct stream_db_job *job)
{
    struct feed_subscriber *s = job->owner;
    if (!s)
        return;
    s->job = NULL;
    s->watch->pages--;
    if (job->error != OK)
        return; /* the next tick tries again */
    feed_send(s, job, job->feed_until);
    if (!job->feed_more) /* nothing else is between the cursor and the end that was asked for */
        s->cursor = job->feed_until > s->cursor ? job->feed_until : s->cursor;
    advance_in_turn(s->watch, s);
}

/* --- what is new --- */

/* Sends what is new to the subscribers of one slice. True if more are left. */
static bool send_slice(struct feed_watch *w)
{
    for (size_t n = 0; w->next && n < w->slice; n++) {
        struct feed_subscriber *s = w->next;
        w->next = LIST_NEXT(s, entry);
        /* one that receives slowly falls behind, and reads pages of its own when its output was sent */
        s->is_live = s->is_live && s->callbacks->unsent(s) <= UNSENT_MAX;
        /* a reading for summaries only has no text: the others read pages of their own */
        s->is_live = s->is_live && (s->is_summary || w->news->feed_formats);
        if (s->is_live)
            feed_send(s, w->news, INT64_MAX);
    }
    if (w->next)
        return true;
    TALLOC_FREE(w->news);
    return false;
}

static void await_next_slice(struct feeds *feeds)
{
    static const struct timeval pause = {.tv_usec = SLICE_MS * 1000};
    if (!event_pending(feeds->slice_timer, EV_TIMEOUT, NULL))
        event_add(feeds->slice_timer, &pause);
}

static void feeds_on_slice(evutil_socket_t fd, short what, void *arg)
{
    struct feeds *feeds = arg;
    struct feed_watch *w;
    bool is_left = false;
    LIST_FOREACH(w, &feeds->all, entry)
    {
        if (w->news)
            is_left |= send_slice(w);
    }
    if (is_left)
        await_next_slice(feeds);
}

/* Milliseconds between two readings of the feed. */
static int64_t reading_pause_ms(const struct feed_watch *w)
{
    int64_t turn_ms = (int64_t)w->feeds->count * TICK_MS / POLLS_A_TICK;
    size_t streams = w->subscribers_n - w->summaries_n;
    int64_t gather_ms = !w->is_busy ? 0 : streams > 0 ? (int64_t)streams : SUMMARY_MS;
    gather_ms = gather_ms < GATHER_MAX_MS ? gather_ms : GATHER_MAX_MS;
    turn_ms = turn_ms > gather_ms ? turn_ms : gather_ms;
    return turn_ms > POLL_MS ? turn_ms : POLL_MS;
}

/* Subscribers of a slice. All slices take three quarters of the time until the next reading. If more rows are
 * there already, that is due at once, and they take as little as ever. */
static size_t slice_size(const struct feed_watch *w)
{
    int64_t pause_ms = w->has_more ? POLL_MS : reading_pause_ms(w);
    size_t size = w->subscribers_n / (size_t)(pause_ms * 3 / 4 / SLICE_MS) + 1;
    return size > SLICE_SUBSCRIBERS ? size : SLICE_SUBSCRIBERS;
}

/* Takes over the job, because its rows go out in slices. */
static void send_news(struct feed_watch *w, struct stream_db_job *job)
{
    w->news = talloc_steal(w, job);
    w->next = LIST_FIRST(&w->subscribers);
    w->slice = slice_size(w);
    if (send_slice(w)) /* the slices of other feeds come at their own time */
        await_next_slice(w->feeds);
}

/* Starts the streams that waited to begin when the reading was submitted. */
static void begin_subscribers(struct feed_watch *w, int64_t cursor)
{
    struct feed_subscriber *s;
    LIST_FOREACH(s, &w->subscribers, entry)
    {
        if (s->begins_at == 0 || s->begins_at > w->readings)
            continue;
        s->begins_at = 0;
        s->cursor = s->told = cursor;
        s->callbacks->on_begin(s);
    }
}

/* Subscribers that went live during a reading without rows have missed some: they read pages of their own. */
static void mark_behind(struct feed_watch *w)
{
    struct feed_subscriber *s;
    LIST_FOREACH(s, &w->subscribers, entry)
    {
        s->is_live = s->is_live && s->cursor >= w->last;
    }
}

static void feed_on_news(struct stream_db_job *job)
{
    struct feed_watch *w = job->owner;
    if (!w)
        return;
    w->job = NULL;
    if (job->error != OK)
        return;
    w->has_more = job->feed_more;
    w->is_busy = job->feed_n > 0;
    if (job->feed_begin >= 0)
        begin_subscribers(w, job->feed_begin);
    if (job->feed_after < 0) {
        w->last = job->feed_until;
        mark_behind(w);
    } else if (job->feed_n > 0) {
        w->last = job->feed_rows[job->feed_n - 1].id;
        send_news(w, job);
    }
}

/* Rows are read for those who get them at once. The others read pages of their own, up to w->last. */
static void poll_feed(struct feed_watch *w, int64_t now_ms)
{
    struct feed_subscriber *s;
    w->polled_ms = now_ms;
    w->readings++;
    w->job = stream_db_job_new(STREAM_DB_FEED_NEWS, w, feed_on_news);
    w->job->workspace = w->workspace;
    w->job->feed_after = -1;
    LIST_FOREACH(s, &w->subscribers, entry)
    {
        w->job->feed_begins |= s->begins_at > 0;
        if (s->is_live)
            w->job->feed_after = w->last;
    }
    w->job->feed_keep_ms = w->feeds->keep_ms;
    w->job->feed_formats = w->summaries_n < w->subscribers_n;
    w->job->feed_packs = w->packed_n > 0;
    stream_db_thread_submit(w->feeds->db_thread, w->job);
}

/* --- keys --- */

static void feed_on_checked(struct stream_db_job *job)
{
    struct feed_watch *w = job->owner;
    if (!w)
        return;
    w->job = NULL;
    if (job->error != OK)
        return;
    struct feed_subscriber *next;
    for (struct feed_subscriber *s = LIST_FIRST(&w->subscribers); s; s = next) {
        next = LIST_NEXT(s, entry);
        if (stream_db_job_has_ended_key(job, &s->key))
            s->callbacks->on_revoked(s);
    }
}

static void check_feed(struct feed_watch *w, int64_t now_ms)
{
    struct feed_subscriber *s;
    w->checked_ms = now_ms;
    w->job = stream_db_job_new(STREAM_DB_FEED_CHECK, w, feed_on_checked);
    w->job->workspace = w->workspace;
    w->job->feed_keep_ms = w->feeds->keep_ms;
    w->job->keys = talloc_zero_array(w->job, id, w->subscribers_n + 1);
    LIST_FOREACH(s, &w->subscribers, entry)
    {
        w->job->keys[w->job->keys_n++] = s->key;
    }
    w->job->keys_n = id_sort_distinct(w->job->keys, w->subscribers_n);
    stream_db_thread_submit(w->feeds->db_thread, w->job);
}

/* --- the timer --- */

static void feeds_on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct feeds *feeds = arg;
    int64_t now_ms = clock_boot_ms();
    struct feed_watch *w;
    LIST_FOREACH(w, &feeds->all, entry)
    {
        bool begins = false;
        struct feed_subscriber *next;
        for (struct feed_subscriber *s = LIST_FIRST(&w->subscribers); s; s = next) {
            next = LIST_NEXT(s, entry);
            feeds_advance(s);
            send_summary_when_due(s, now_ms);
            begins |= s->begins_at > 0;
        }
        if (w->job)
            continue;
        /* A stream that waits to begin has the feed read after POLL_MS and not at once: who opens one after
         * the other must not have the feed's other streams written all the time. */
        int64_t pause_ms = begins ? POLL_MS : reading_pause_ms(w);
        bool is_due = w->has_more || now_ms - w->polled_ms >= pause_ms;
        if (now_ms - w->checked_ms >= CHECK_MS)
            check_feed(w, now_ms);
        else if (!w->news && is_due)
            poll_feed(w, now_ms);
    }
}

/* --- subscribing --- */

static int feeds_destroy(struct feeds *feeds)
{
    if (feeds->timer)
        event_free(feeds->timer);
    if (feeds->slice_timer)
        event_free(feeds->slice_timer);
    return 0;
}

struct feeds *feeds_new(void *ctx, struct event_base *base, struct stream_db_thread *db_thread,
                        int64_t keep_ms)
{
    static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
    struct feeds *feeds = talloc_zero(ctx, struct feeds);
    feeds->db_thread = db_thread;
    feeds->keep_ms = keep_ms;
    feeds->timer = event_new(base, -1, EV_PERSIST, feeds_on_tick, feeds);
    talloc_set_destructor(feeds, feeds_destroy);
    feeds->slice_timer = evtimer_new(base, feeds_on_slice, feeds);
    if (!feeds->timer || !feeds->slice_timer || event_add(feeds->timer, &tick) != 0)
        log_error("stream.start_failed", "what=\"timer of feeds\"");
    return feeds;
}

static struct feed_watch *find_watch(struct feeds *feeds, const id *workspace)
{
    struct feed_watch *w;
    LIST_FOREACH(w, &feeds->all, entry)
    {
        if (id_equal(&w->workspace, workspace))
            return w;
    }
    w = talloc_zero(feeds, struct feed_watch);
    w->feeds = feeds;
    w->workspace = *workspace;
    w->last = -1;
    w->checked_ms = clock_boot_ms();
    LIST_INSERT_HEAD(&feeds->all, w, entry);
    feeds->count++;
    return w;
}

void feeds_add(struct feeds *feeds, const struct internal_request *request, struct feed_subscriber *s)
{
    s->watch = find_watch(feeds, &request->workspace);
    s->key = request->key;
    s->cursor = s->told = request->feed_after;
    s->begins_at = request->begin ? s->watch->readings + 1 : 0;
    s->states = request->states;
    memcpy(s->responders, request->responders, sizeof s->responders);
    s->responders_n = request->responders_n;
    s->is_summary = request->summary;
    LIST_INSERT_HEAD(&s->watch->subscribers, s, entry);
    s->watch->subscribers_n++;
    s->watch->summaries_n += s->is_summary;
    s->watch->packed_n += packs_pages(s);
}

void feeds_remove(struct feed_subscriber *s)
{
    struct feed_watch *w = s->watch;
    if (!w)
        return;
    if (s->job) {
        s->job->owner = NULL;
        w->pages--;
    }
    s->job = NULL;
    s->watch = NULL;
    w->next = w->next == s ? LIST_NEXT(s, entry) : w->next;
    LIST_REMOVE(s, entry);
    w->subscribers_n--;
    w->summaries_n -= s->is_summary;
    w->packed_n -= packs_pages(s);
    if (!LIST_EMPTY(&w->subscribers))
        return;
    if (w->job)
        w->job->owner = NULL;
    LIST_REMOVE(w, entry);
    w->feeds->count--;
    talloc_free(w);
}

void feeds_log_state(void *arg)
{
    const struct feeds *feeds = arg;
    const struct feed_watch *w;
    const struct feed_subscriber *s;
    size_t subscribers = 0, behind = 0, summaries = 0;
    LIST_FOREACH(w, &feeds->all, entry)
    {
        LIST_FOREACH(s, &w->subscribers, entry)
        {
            subscribers++;
            behind += !s->is_live;
            summaries += s->is_summary;
        }
    }
    state_log("state.feeds", "workspaces=%zu subscribers=%zu behind=%zu summaries=%zu", feeds->count,
              subscribers, behind, summaries);
}
