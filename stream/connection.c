#include "stream/connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/event_json.h"
#include "stream/event_merge.h"
#include "stream/internal_request.h"
#include "stream/sse.h"

enum {
    OUT_MAX = 256 * 1024, /* a subscriber that lets more than this lie is cut off; it comes back by number */
    OUT_LOW = 16 * 1024,  /* history is read on below this */
    PING_MS = 15 * 1000,
    HEAD_S = 10,  /* to send the head of a request: nginx has it in hand */
    STUCK_S = 60, /* without a byte being taken */
    RETRY_LEAST_MS = 1000,
    RETRY_SPAN_MS = 2000, /* so that a thousand clients do not come back in the same instant */
};

struct client {
    struct watcher watcher; /* the first member: the hub's calls bring it */
    struct clients *all;
    struct client *next, **at;
    struct bufferevent *connection;
    enum { READING_HEAD, STREAMING, WAITING, LEAVING } phase;
    struct feed feed;
    struct read_job *job;   /* under way */
    struct event *deadline; /* WAITING */
    const char *query;      /* WAITING: goes back to nginx */
    const char *request_id;
    int64_t opened_ms, ping_ms; /* boot time */
};

struct clients {
    struct event_base *base;
    struct hub *hub;
    struct reader *reader;
    size_t max, count;
    struct client *first;
};

/* --- leaving --- */

static int client_destroy(struct client *c)
{
    if (c->watcher.watch)
        hub_unwatch(c->all->hub, &c->watcher);
    if (c->job)
        c->job->owner = NULL;
    if (c->deadline)
        event_free(c->deadline);
    bufferevent_free(c->connection);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    c->all->count--;
    return 0;
}

static void log_end(const struct client *c, const char *why)
{
    if (!c->watcher.watch)
        return;
    double seconds = (double)(clock_boot_ms() - c->opened_ms) / 1000;
    log_info(c->phase == WAITING ? "wait.ended" : "stream.ended",
             "execution=%s request=%s seconds=%.3f sent=%d why=%s", watch_execution(c->watcher.watch)->text,
             c->request_id, seconds, c->feed.sent, why);
}

static void client_drop(struct client *c, const char *why)
{
    log_end(c, why);
    talloc_free(c);
}

/* Nothing more will be written: it goes once what is there was sent. */
static void client_leave(struct client *c, const char *why)
{
    log_end(c, why);
    if (c->watcher.watch)
        hub_unwatch(c->all->hub, &c->watcher);
    if (c->deadline)
        event_del(c->deadline);
    c->phase = LEAVING;
}

/* --- writing --- */

static struct evbuffer *out(const struct client *c)
{
    return bufferevent_get_output(c->connection);
}

static void put_text(struct client *c, const char *text)
{
    evbuffer_add(out(c), text, strlen(text));
}

static void put_chunk(struct client *c, const char *bytes, size_t size)
{
    char head[CHUNK_HEAD_SIZE];
    if (size == 0)
        return;
    evbuffer_add(out(c), head, chunk_head(head, size));
    evbuffer_add(out(c), bytes, size);
    put_text(c, CHUNK_END);
}

static void put_retry(struct client *c)
{
    char *text = talloc_strdup(c, "");
    sse_append_retry(&text, RETRY_LEAST_MS + (int)randombytes_uniform(RETRY_SPAN_MS));
    put_chunk(c, text, strlen(text));
    talloc_free(text);
}

static void end_stream(struct client *c, const char *why)
{
    put_text(c, CHUNKS_END);
    client_leave(c, why);
}

static void end_wait(struct client *c, const char *why)
{
    evbuffer_add_printf(out(c),
                        "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /internal/waited?%s\r\n"
                        "Content-Length: 0\r\nConnection: close\r\n\r\n",
                        c->query);
    client_leave(c, why);
}

static void refuse(struct client *c, const char *status, const char *more)
{
    evbuffer_add_printf(out(c), "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n%s\r\n", status,
                        more);
    client_leave(c, "refused");
}

/* --- a stream --- */

static void on_events(struct read_job *job);

/* What a stream does next, after anything has happened to it. */
static void stream_go_on(struct client *c)
{
    if (c->feed.ended) {
        end_stream(c, "complete");
        return;
    }
    if (!c->watcher.told || !feed_wants_read(&c->feed) || evbuffer_get_length(out(c)) > OUT_LOW)
        return;
    feed_read(&c->feed);
    c->job = read_job_new(READ_EVENTS, c, on_events);
    c->job->execution = *watch_execution(c->watcher.watch);
    c->job->workspace = *watch_workspace(c->watcher.watch);
    c->job->after = c->feed.sent;
    reader_submit(c->all->reader, c->job);
}

static void on_events(struct read_job *job)
{
    struct client *c = job->owner;
    if (!c)
        return;
    c->job = NULL;
    if (c->phase != STREAMING)
        return;
    if (job->e == ERR_NOT_FOUND) {
        end_stream(c, "gone");
    } else if (job->e != OK) {
        feed_read_failed(&c->feed); /* the tick tries again */
    } else {
        put_chunk(c, job->frames, talloc_get_size(job->frames) - 1);
        feed_read_done(&c->feed, job->until, job->last_seq, state_is_terminal(job->state));
        stream_go_on(c);
    }
}

static void stream_hear(struct client *c, int seq, enum event_type type, const char *text, size_t size)
{
    if (feed_hear(&c->feed, seq, event_is_last(type))) {
        if (evbuffer_get_length(out(c)) + size > OUT_MAX) {
            client_drop(c, "slow");
            return;
        }
        char *frame = talloc_strdup(c, "");
        sse_append_event(&frame, seq, type, text, size);
        put_chunk(c, frame, talloc_get_size(frame) - 1);
        talloc_free(frame);
    }
    stream_go_on(c);
}

/* --- what the hub tells --- */

static void on_begin(struct watcher *w)
{
    struct client *c = (struct client *)w;
    if (c->phase == STREAMING)
        stream_go_on(c);
    else
        hub_look(c->all->hub, w);
}

static void on_hear(struct watcher *w, int seq, enum event_type type, const char *text, size_t size)
{
    struct client *c = (struct client *)w;
    if (c->phase == STREAMING)
        stream_hear(c, seq, type, text, size);
    else if (event_is_last(type))
        end_wait(c, "complete"); /* were Redis wrong, the API would find it and answer as after a timeout */
}

static void on_sight(struct watcher *w, const struct run_sight *sight)
{
    struct client *c = (struct client *)w;
    bool is_terminal = sight && state_is_terminal(sight->state);
    if (c->phase == WAITING) {
        if (!sight || is_terminal)
            end_wait(c, "complete");
    } else if (!sight) {
        end_stream(c, "gone");
    } else {
        feed_sight(&c->feed, sight->last_seq, is_terminal);
        stream_go_on(c);
    }
}

static void on_revoked(struct watcher *w)
{
    end_stream((struct client *)w, "revoked");
}

static const struct watcher_calls calls = {on_begin, on_hear, on_sight, on_revoked};

/* --- beginning --- */

static void begin_stream(struct client *c, const struct ask *ask)
{
    c->phase = STREAMING;
    c->watcher.key = ask->key;
    c->ping_ms = c->opened_ms + PING_MS;
    feed_begin(&c->feed, ask->after);
    put_text(c,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n"
             "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    put_retry(c);
    hub_watch(c->all->hub, &ask->execution, &ask->workspace, &c->watcher);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    end_wait(arg, "timeout");
}

static void begin_wait(struct client *c, const struct ask *ask)
{
    struct timeval after = {.tv_sec = ask->seconds};
    c->phase = WAITING;
    c->query = talloc_strdup(c, ask->query);
    c->watcher.is_waiter = true;
    c->deadline = evtimer_new(c->all->base, on_deadline, c);
    evtimer_add(c->deadline, &after);
    hub_watch(c->all->hub, &ask->execution, &ask->workspace, &c->watcher);
}

static void begin(struct client *c, const char *head, size_t size)
{
    static const struct timeval stuck = {.tv_sec = STUCK_S};
    struct ask ask;
    bufferevent_set_timeouts(c->connection, NULL, &stuck);
    if (!ask_read(head, size, &ask)) {
        refuse(c, "404 Not Found", "");
        return;
    }
    c->request_id = talloc_strdup(c, ask.request_id);
    if (c->all->count > c->all->max)
        refuse(c, "503 Service Unavailable", "Retry-After: 5\r\n");
    else if (ask.what == ASK_EVENTS)
        begin_stream(c, &ask);
    else
        begin_wait(c, &ask);
}

static void on_read(struct bufferevent *connection, void *arg)
{
    struct client *c = arg;
    struct evbuffer *in = bufferevent_get_input(connection);
    if (c->phase == READING_HEAD) {
        struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
        if (end.pos >= 0) {
            size_t size = (size_t)end.pos + 4;
            begin(c, (const char *)evbuffer_pullup(in, (ev_ssize_t)size), size);
        } else if (evbuffer_get_length(in) < ASK_HEAD_MAX) {
            return;
        } else {
            refuse(c, "431 Request Header Fields Too Large", "");
        }
    }
    evbuffer_drain(in, evbuffer_get_length(in)); /* nothing is expected behind the head */
}

static void on_written(struct bufferevent *connection, void *arg)
{
    struct client *c = arg;
    if (c->phase == LEAVING)
        talloc_free(c);
    else if (c->phase == STREAMING)
        stream_go_on(c);
}

static void on_event(struct bufferevent *connection, short what, void *arg)
{
    client_drop(arg, what & BEV_EVENT_TIMEOUT ? "slow" : "left");
}

/* --- all of them --- */

struct clients *clients_new(void *ctx, struct event_base *base, struct hub *hub, struct reader *reader,
                            size_t max)
{
    struct clients *all = talloc_zero(ctx, struct clients);
    all->base = base;
    all->hub = hub;
    all->reader = reader;
    all->max = max;
    return all;
}

void clients_add(struct clients *all, int fd)
{
    static const struct timeval head = {.tv_sec = HEAD_S};
    struct client *c = talloc_zero(all, struct client);
    c->all = all;
    c->watcher.calls = &calls;
    c->request_id = "";
    c->opened_ms = clock_boot_ms();
    c->next = all->first;
    c->at = &all->first;
    if (c->next)
        c->next->at = &c->next;
    all->first = c;
    all->count++;
    c->connection = bufferevent_socket_new(all->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    talloc_set_destructor(c, client_destroy);
    bufferevent_setcb(c->connection, on_read, on_written, on_event, c);
    bufferevent_set_timeouts(c->connection, &head, &head);
    bufferevent_enable(c->connection, EV_READ | EV_WRITE);
}

size_t clients_count(const struct clients *all)
{
    return all->count;
}

void clients_tick(struct clients *all)
{
    struct client *next;
    for (struct client *c = all->first; c; c = next) {
        next = c->next;
        if (c->phase == STREAMING)
            stream_go_on(c);
    }
}

static void ping(struct client *c, int64_t now_ms)
{
    c->ping_ms = now_ms + PING_MS;
    c->watcher.check_key = true;
    put_chunk(c, SSE_PING, sizeof SSE_PING - 1);
    hub_look(c->all->hub, &c->watcher);
}

void clients_ping(struct clients *all)
{
    int64_t now_ms = clock_boot_ms();
    struct client *next;
    for (struct client *c = all->first; c; c = next) {
        next = c->next;
        if (c->phase == STREAMING && now_ms >= c->ping_ms)
            ping(c, now_ms);
    }
}

void clients_drain(struct clients *all)
{
    struct client *next;
    for (struct client *c = all->first; c; c = next) {
        next = c->next;
        if (c->phase == STREAMING) {
            put_retry(c);
            end_stream(c, "drained");
        } else if (c->phase == WAITING) {
            end_wait(c, "drained");
        }
    }
}

void clients_drop(struct clients *all)
{
    while (all->first)
        client_drop(all->first, "dropped");
}
