#include "stream/connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>
#include <sys/queue.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "mcp/call.h"
#include "run/event_json.h"
#include "service/state_dump.h"
#include "store/quota.h"
#include "stream/event_merge.h"
#include "stream/feed_json.h"
#include "stream/internal_request.h"
#include "stream/log_text.h"
#include "stream/sse.h"
#include "stream/tool_call.h"
#include "stream/workspace_count.h"

enum {
    /* a subscriber with more unsent output is disconnected; it reconnects with Last-Event-ID and misses
     * nothing */
    OUTPUT_MAX = 256 * 1024,
    /* the next page of history is read only below this much unsent output */
    OUTPUT_LOW = 16 * 1024,
    PING_MS = 15 * 1000,
    /* time to receive the request's head; nginx already has it completely */
    HEAD_TIMEOUT_S = 10,
    /* time during which nginx accepts no byte, after which the connection is closed */
    STUCK_TIMEOUT_S = 60,
    /* time in which the last output of a connection must be taken, however many bytes are taken in between */
    CLOSING_MS = 60 * 1000,
    /* Bytes of responses to calls that wait to be taken, on all connections and for a workspace. Beyond it a
     * call is answered with the id of its run. A response of at most OUTPUT_LOW is not counted. */
    RESPONSES_MAX = 128 * 1024 * 1024,
    WORKSPACE_RESPONSES_MAX = 32 * 1024 * 1024,
    RETRY_MIN_MS = 1000,
    /* random part of the reconnect delay: a thousand clients do not reconnect at the same instant */
    RETRY_SPAN_MS = 2000,
};

struct stream_connection {
    /* first member: the subscriptions' callbacks pass it, and it is cast to this struct */
    struct run_subscriber subscriber;
    struct stream_connections *list;
    LIST_ENTRY(stream_connection) entry;
    struct bufferevent *bev;
    enum { READING_HEAD, STREAMING, FEED_BEGINNING, FEEDING, LOGGING, WAITING, CLOSING } phase;
    /* in phases FEED_BEGINNING, in which no head was written, and FEEDING */
    struct feed_subscriber feed;
    /* in phase LOGGING */
    struct log_subscriber log;
    struct event_merge merge;
    /* of a feed, or the executors' log, whose client accepts gzip */
    struct gzip_stream gzip;
    /* in phase STREAMING: the text of the log, instead of server-sent events */
    bool as_log;
    /* in phase STREAMING: the messages of this tools/call, instead of the run's events; NULL: none */
    struct mcp_call *call;
    /* the client of the call understands an event that only tells an id, and so can resume at any time */
    bool is_primed;
    /* the database job in flight, or NULL */
    struct stream_db_job *job;
    /* in phase WAITING, and of a call; otherwise NULL */
    struct event *deadline_timer;
    /* in phase WAITING: the query that is returned to nginx */
    const char *query;
    const char *request_id;
    /* counted for the workspace until the connection is freed */
    bool is_counted;
    id workspace;
    /* bytes of the response to the call, counted for the workspace until the connection is freed */
    size_t held;
    /* CLOCK_BOOTTIME milliseconds; closing_ms: in phase CLOSING, when the connection is dropped */
    int64_t opened_ms, ping_ms, closing_ms;
};

struct stream_connections {
    struct event_base *base;
    struct subscriptions *subscriptions;
    struct feeds *feeds;
    struct executor_log *executor_log;
    struct stream_db_thread *db_thread;
    size_t max, count;
    struct workspace_counts *by_workspace;
    LIST_HEAD(stream_connection_list, stream_connection) all;
};

/* --- closing --- */

static int connection_destroy(struct stream_connection *c)
{
    if (c->subscriber.run)
        subscriptions_remove(c->list->subscriptions, &c->subscriber);
    feeds_remove(&c->feed);
    executor_log_remove(&c->log);
    if (c->job)
        c->job->owner = NULL;
    if (c->deadline_timer)
        event_free(c->deadline_timer);
    if (c->held > 0)
        workspace_counts_release(c->list->by_workspace, &c->workspace, c->held);
    if (c->is_counted)
        workspace_counts_remove(c->list->by_workspace, &c->workspace);
    bufferevent_free(c->bev);
    LIST_REMOVE(c, entry);
    c->list->count--;
    return 0;
}

static void log_connection_end(const struct stream_connection *c, const char *why)
{
    double seconds = (double)(clock_boot_ms() - c->opened_ms) / 1000;
    if (c->feed.watch)
        log_info("feed.ended", "workspace=%s request=%s seconds=%.3f sent=%lld why=%s",
                 feed_watch_workspace(c->feed.watch)->text, c->request_id, seconds, (long long)c->feed.told,
                 why);
    if (c->log.log)
        log_info("executor_log.ended", "operator=%s request=%s seconds=%.3f why=%s", c->workspace.text,
                 c->request_id, seconds, why);
    if (!c->subscriber.run)
        return;
    log_info(c->phase == WAITING ? "wait.ended" : "stream.ended",
             "execution=%s request=%s seconds=%.3f sent=%d why=%s",
             watched_run_execution(c->subscriber.run)->text, c->request_id, seconds, c->merge.sent, why);
}

static void connection_drop(struct stream_connection *c, const char *why)
{
    log_connection_end(c, why);
    talloc_free(c);
}

/* Ends the connection gracefully: it is closed after its pending output was sent, or at closing_ms. */
static void connection_finish(struct stream_connection *c, const char *why)
{
    log_connection_end(c, why);
    if (c->subscriber.run)
        subscriptions_remove(c->list->subscriptions, &c->subscriber);
    feeds_remove(&c->feed);
    executor_log_remove(&c->log);
    if (c->deadline_timer)
        event_del(c->deadline_timer);
    c->phase = CLOSING;
    c->closing_ms = clock_boot_ms() + CLOSING_MS;
}

/* --- writing --- */

static struct evbuffer *output_of(const struct stream_connection *c)
{
    return bufferevent_get_output(c->bev);
}

static void write_output(struct stream_connection *c, const char *text)
{
    evbuffer_add(output_of(c), text, strlen(text));
}

static void write_chunk(struct stream_connection *c, const char *bytes, size_t size)
{
    char head[CHUNK_HEAD_SIZE];
    if (size == 0)
        return;
    if (c->gzip.is_on) {
        gzip_stream_store(&c->gzip, output_of(c), bytes, size);
        return;
    }
    evbuffer_add(output_of(c), head, chunk_head(head, size));
    evbuffer_add(output_of(c), bytes, size);
    write_output(c, CHUNK_END);
}

static void write_retry(struct stream_connection *c)
{
    if (c->as_log)
        return;
    char *text = talloc_strdup(c, "");
    sse_append_retry(&text, RETRY_MIN_MS + (int)randombytes_uniform(RETRY_SPAN_MS));
    write_chunk(c, text, strlen(text));
    talloc_free(text);
}

static void end_stream(struct stream_connection *c, const char *why)
{
    if (c->gzip.is_on)
        gzip_stream_end(&c->gzip, output_of(c));
    write_output(c, CHUNKS_END);
    connection_finish(c, why);
}

static void end_wait(struct stream_connection *c, const char *why)
{
    evbuffer_add_printf(output_of(c),
                        "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /internal/waited?%s\r\n"
                        "Content-Length: 0\r\nConnection: close\r\n\r\n",
                        c->query);
    connection_finish(c, why);
}

/* Replies in the shape of the API's errors, because nginx passes the response of a stream to the client. */
static void reject_connection(struct stream_connection *c, const char *status, const char *code,
                              const char *detail, const char *headers)
{
    char *body = talloc_asprintf(
        c,
        "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%.3s,\"detail\":\"%s\",\"error\":\"%s\","
        "\"code\":\"%s\",\"request_id\":\"%s\"}",
        status + 4, status, detail, detail, code, c->request_id);
    evbuffer_add_printf(output_of(c),
                        "HTTP/1.1 %s\r\nContent-Type: application/problem+json\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n%s\r\n%s",
                        status, strlen(body), headers, body);
    connection_finish(c, "rejected");
}

/* --- streams --- */

static void stream_on_history(struct stream_db_job *job);

/* --- calls of tools --- */

/* A copy of the call whose texts belong to the job. */
static struct mcp_call call_of_job(const struct stream_connection *c, struct stream_db_job *job)
{
    struct mcp_call call = *c->call;
    call.rpc_id = talloc_strdup(job, call.rpc_id);
    call.token = call.token ? talloc_strdup(job, call.token) : NULL;
    return call;
}

static void end_call(struct stream_connection *c, const char *why, bool is_gone);

/* Counts the response as output that waits to be taken. False: too much waits already. */
static bool hold_response(struct stream_connection *c, size_t size)
{
    if (size <= OUTPUT_LOW)
        return true;
    if (!workspace_counts_hold(c->list->by_workspace, &c->workspace, size, WORKSPACE_RESPONSES_MAX,
                               RESPONSES_MAX))
        return false;
    c->held = size;
    return true;
}

static void call_on_outcome(struct stream_db_job *job)
{
    struct stream_connection *c = job->owner;
    if (!c)
        return;
    c->job = NULL;
    if (c->phase != STREAMING || (job->error != OK && job->error != ERR_NOT_FOUND))
        return; /* connections_tick() retries */
    if (job->error == ERR_NOT_FOUND)
        tool_call_append_gone(&job->frames, c->call);
    size_t size = talloc_get_size(job->frames) - 1;
    if (!hold_response(c, size)) {
        end_call(c, "responses", false);
        return;
    }
    write_chunk(c, job->frames, size);
    end_stream(c, "complete");
}

/* The run has ended: reads and sends the response. */
static void call_advance(struct stream_connection *c)
{
    if (c->job)
        return;
    c->job = stream_db_job_new(STREAM_DB_OUTCOME, c, call_on_outcome);
    c->job->execution = *watched_run_execution(c->subscriber.run);
    c->job->workspace = *watched_run_workspace(c->subscriber.run);
    c->job->call = call_of_job(c, c->job);
    stream_db_thread_submit(c->list->db_thread, c->job);
}

/* Answers a call whose run has not ended, or is not known any more. */
static void end_call(struct stream_connection *c, const char *why, bool is_gone)
{
    char *frame = talloc_strdup(c, "");
    if (is_gone)
        tool_call_append_gone(&frame, c->call);
    else
        tool_call_append_running(&frame, c->call);
    write_chunk(c, frame, talloc_get_size(frame) - 1);
    talloc_free(frame);
    end_stream(c, why);
}

static void call_on_deadline(evutil_socket_t fd, short what, void *arg)
{
    end_call(arg, "timeout", false);
}

/* The run does not exist any more. */
static void end_gone(struct stream_connection *c)
{
    if (c->call)
        end_call(c, "gone", true);
    else
        end_stream(c, "gone");
}

/* Continues a stream after anything has changed: ends it after its last event, or reads the next page of
 * history if the merge needs one and the output is short enough. */
static void stream_advance(struct stream_connection *c)
{
    if (c->merge.ended) {
        if (c->call)
            call_advance(c);
        else
            end_stream(c, "complete");
        return;
    }
    if (!c->subscriber.is_started || !merge_needs_read(&c->merge) ||
        evbuffer_get_length(output_of(c)) > OUTPUT_LOW)
        return;
    merge_read_begin(&c->merge);
    c->job = stream_db_job_new(STREAM_DB_EVENTS, c, stream_on_history);
    c->job->execution = *watched_run_execution(c->subscriber.run);
    c->job->workspace = *watched_run_workspace(c->subscriber.run);
    c->job->after = c->merge.sent;
    c->job->as_log = c->as_log;
    if (c->call)
        c->job->call = call_of_job(c, c->job);
    stream_db_thread_submit(c->list->db_thread, c->job);
}

static void stream_on_history(struct stream_db_job *job)
{
    struct stream_connection *c = job->owner;
    if (!c)
        return;
    c->job = NULL;
    if (c->phase != STREAMING)
        return;
    if (job->error == ERR_NOT_FOUND) {
        end_gone(c);
    } else if (job->error != OK) {
        merge_read_failed(&c->merge); /* connections_tick() retries */
    } else {
        write_chunk(c, job->frames, talloc_get_size(job->frames) - 1);
        if (c->call) {
            c->call->after = job->call.after;
            c->call->progress = job->call.progress;
        }
        merge_read_done(&c->merge, job->last_read, job->last_seq, state_is_terminal(job->state));
        if (job->ends_at_later) { /* the client comes back, and finds a daemon that can name the event */
            write_retry(c);
            end_stream(c, "later_version");
            return;
        }
        stream_advance(c);
    }
}

static void stream_on_event(struct stream_connection *c, int seq, enum event_type type, const char *text,
                            size_t size)
{
    if (merge_on_event(&c->merge, seq, event_is_terminal(type))) {
        if (evbuffer_get_length(output_of(c)) + size > OUTPUT_MAX) {
            connection_drop(c, "slow");
            return;
        }
        char *frame = talloc_strdup(c, "");
        if (c->call)
            tool_call_append_event(&frame, c->call, seq, type, text, size);
        else if (c->as_log)
            log_text_append(&frame, type, text, size);
        else
            sse_append_event(&frame, seq, type, text, size);
        write_chunk(c, frame, talloc_get_size(frame) - 1);
        talloc_free(frame);
    }
    stream_advance(c);
}

/* --- callbacks of the subscriptions --- */

static void subscriber_on_ready(struct run_subscriber *subscriber)
{
    struct stream_connection *c = (struct stream_connection *)subscriber;
    if (c->phase == STREAMING)
        stream_advance(c);
    else
        subscriptions_poll_run(c->list->subscriptions, subscriber);
}

static void subscriber_on_event(struct run_subscriber *subscriber, int seq, enum event_type type,
                                const char *text, size_t size)
{
    struct stream_connection *c = (struct stream_connection *)subscriber;
    if (c->phase == STREAMING)
        stream_on_event(c, seq, type, text, size);
    else if (event_is_terminal(type))
        end_wait(c, "complete"); /* if the message was false, the API sees that the run has not ended and
                                    answers as after a timeout */
}

static void subscriber_on_progress(struct run_subscriber *subscriber, const struct run_progress *progress)
{
    struct stream_connection *c = (struct stream_connection *)subscriber;
    bool is_terminal = progress && state_is_terminal(progress->state);
    if (c->phase == WAITING) {
        if (!progress || is_terminal)
            end_wait(c, "complete");
    } else if (!progress) {
        end_gone(c);
    } else {
        merge_on_progress(&c->merge, progress->last_seq, is_terminal);
        stream_advance(c);
    }
}

static void subscriber_on_revoked(struct run_subscriber *subscriber)
{
    end_stream((struct stream_connection *)subscriber, "revoked");
}

static const struct run_subscriber_callbacks subscriber_callbacks = {
    subscriber_on_ready, subscriber_on_event, subscriber_on_progress, subscriber_on_revoked};

/* --- feeds --- */

static struct stream_connection *connection_of_feed(struct feed_subscriber *s)
{
    return (struct stream_connection *)((char *)s - offsetof(struct stream_connection, feed));
}

static void open_feed(struct stream_connection *c, bool missed);

static void feed_on_begin(struct feed_subscriber *s)
{
    open_feed(connection_of_feed(s), false);
}

static void feed_on_page(struct feed_subscriber *s, const struct shared_text *page)
{
    struct stream_connection *c = connection_of_feed(s);
    shared_text_send(page, output_of(c), &c->gzip);
}

static void feed_on_frames(struct feed_subscriber *s, const char *frames, size_t size)
{
    write_chunk(connection_of_feed(s), frames, size);
}

static size_t feed_unsent(struct feed_subscriber *s)
{
    return evbuffer_get_length(output_of(connection_of_feed(s)));
}

/* The stream has not begun by ping_ms, or the daemon ends: the client repeats its request. */
static void refuse_to_begin(struct stream_connection *c)
{
    reject_connection(c, "503 Service Unavailable", "unavailable",
                      "The stream could not begin yet. Send the request again.", "Retry-After: 1\r\n");
}

static void feed_on_revoked(struct feed_subscriber *s)
{
    struct stream_connection *c = connection_of_feed(s);
    if (c->phase == FEED_BEGINNING)
        refuse_to_begin(c); /* the API refuses the key then */
    else
        end_stream(c, "revoked");
}

static const struct feed_subscriber_callbacks feed_callbacks = {feed_on_begin, feed_on_page, feed_on_frames,
                                                                feed_unsent, feed_on_revoked};

/* --- the executors' log --- */

static struct stream_connection *connection_of_log(struct log_subscriber *s)
{
    return (struct stream_connection *)((char *)s - offsetof(struct stream_connection, log));
}

static void log_on_frames(struct log_subscriber *s, const char *frames, size_t size)
{
    write_chunk(connection_of_log(s), frames, size);
}

static void log_on_page(struct log_subscriber *s, const struct shared_text *page)
{
    struct stream_connection *c = connection_of_log(s);
    shared_text_send(page, output_of(c), &c->gzip);
}

static size_t log_unsent(struct log_subscriber *s)
{
    return evbuffer_get_length(output_of(connection_of_log(s)));
}

static void log_on_revoked(struct log_subscriber *s)
{
    end_stream(connection_of_log(s), "revoked");
}

static const struct log_subscriber_callbacks log_callbacks = {log_on_page, log_on_frames, log_unsent,
                                                              log_on_revoked};

/* --- starting --- */

static void write_stream_head(struct stream_connection *c, bool is_packed)
{
    evbuffer_add_printf(output_of(c),
                        "HTTP/1.1 200 OK\r\nContent-Type: text/%s; charset=utf-8\r\n%s"
                        "X-Content-Type-Options: nosniff\r\nCache-Control: no-store, no-transform\r\n"
                        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
                        c->as_log ? "plain" : "event-stream", is_packed ? "Content-Encoding: gzip\r\n" : "");
    if (is_packed)
        gzip_stream_begin(&c->gzip, output_of(c));
    write_retry(c);
}

static void open_feed(struct stream_connection *c, bool missed)
{
    c->phase = FEEDING;
    write_stream_head(c, c->feed.is_packed);
    char *text = talloc_strdup(c, "");
    if (missed)
        feed_gap_append(&text, c->feed.cursor);
    else /* a client that is cut off before the first event continues from here */
        sse_append_id(&text, c->feed.cursor);
    write_chunk(c, text, strlen(text));
    talloc_free(text);
}

/* A client without an id gets no head before the cursor is known: what ends after the head is in the stream.
 */
static void start_feed(struct stream_connection *c, const struct internal_request *request)
{
    c->phase = FEED_BEGINNING;
    c->ping_ms = c->opened_ms + PING_MS;
    c->feed.callbacks = &feed_callbacks;
    c->feed.tag = talloc_strdup(c, request->tag);
    c->feed.is_packed = request->gzip;
    feeds_add(c->list->feeds, request, &c->feed);
    if (!request->begin)
        open_feed(c, request->missed);
}

static void start_executor_log(struct stream_connection *c, const struct internal_request *request)
{
    c->phase = LOGGING;
    c->ping_ms = c->opened_ms + PING_MS;
    c->log.callbacks = &log_callbacks;
    write_stream_head(c, request->gzip);
    executor_log_add(c->list->executor_log, talloc_memdup(c, request, sizeof *request), &c->log);
}

static void start_stream(struct stream_connection *c, const struct internal_request *request)
{
    c->phase = STREAMING;
    c->as_log = request->as_log;
    c->subscriber.key = request->key;
    c->ping_ms = c->opened_ms + PING_MS;
    merge_init(&c->merge, request->after);
    write_stream_head(c, false);
    subscriptions_add(c->list->subscriptions, &request->execution, &request->workspace, &c->subscriber);
}

/* The head of the stream of a call: where to resume, for clients that understand it. */
static void open_call(struct stream_connection *c, const struct internal_request *request)
{
    c->call = talloc_zero(c, struct mcp_call);
    c->call->execution = request->execution;
    c->call->after = request->after;
    c->call->progress = request->progress;
    c->call->rpc_id = talloc_strdup(c->call, request->rpc_id);
    c->call->token = *request->token ? talloc_strdup(c->call, request->token) : NULL;
    c->is_primed = request->prime;
    write_stream_head(c, false);
    if (!c->is_primed)
        return;
    char *frame = talloc_strdup(c, "");
    tool_call_append_prime(&frame, c->call);
    write_chunk(c, frame, talloc_get_size(frame) - 1);
    talloc_free(frame);
}

static void start_call(struct stream_connection *c, const struct internal_request *request)
{
    struct timeval after = {.tv_sec = request->seconds};
    c->phase = STREAMING;
    c->subscriber.key = request->key;
    c->ping_ms = c->opened_ms + PING_MS;
    merge_init(&c->merge, request->after);
    open_call(c, request);
    c->deadline_timer = evtimer_new(c->list->base, call_on_deadline, c);
    evtimer_add(c->deadline_timer, &after);
    subscriptions_add(c->list->subscriptions, &request->execution, &request->workspace, &c->subscriber);
}

static void wait_on_deadline(evutil_socket_t fd, short what, void *arg)
{
    end_wait(arg, "timeout");
}

static void start_wait(struct stream_connection *c, const struct internal_request *request)
{
    struct timeval after = {.tv_sec = request->seconds};
    c->phase = WAITING;
    c->query = talloc_strdup(c, request->query);
    c->subscriber.is_waiter = true;
    c->deadline_timer = evtimer_new(c->list->base, wait_on_deadline, c);
    evtimer_add(c->deadline_timer, &after);
    subscriptions_add(c->list->subscriptions, &request->execution, &request->workspace, &c->subscriber);
}

/* A wait for which there is no room. Its request has been served already, for instance its run was accepted:
 * it is answered without waiting. */
static void skip_wait(struct stream_connection *c, const struct internal_request *request, const char *why)
{
    c->query = talloc_strdup(c, request->query);
    end_wait(c, why);
}

/* A call for whose stream there is no room: its run was accepted already. */
static void skip_call(struct stream_connection *c, const struct internal_request *request, const char *why)
{
    open_call(c, request);
    end_call(c, why, false);
}

static void start_over_quota(struct stream_connection *c, const struct internal_request *request)
{
    if (request->kind == INTERNAL_REQUEST_WAIT) {
        skip_wait(c, request, "quota");
        return;
    }
    if (request->kind == INTERNAL_REQUEST_CALL) {
        skip_call(c, request, "quota");
        return;
    }
    char *detail =
        request->kind == INTERNAL_REQUEST_EXECUTOR_LOG
            ? talloc_asprintf(c, "An operator may have %d of these streams open.", request->streams)
            : talloc_asprintf(c, "The workspace has reached its quota \\\"streams\\\": %d.",
                              request->streams);
    reject_connection(c, "403 Forbidden", "quota_exceeded", detail, "");
}

static void start_when_full(struct stream_connection *c, const struct internal_request *request)
{
    if (request->kind == INTERNAL_REQUEST_WAIT)
        skip_wait(c, request, "full");
    else if (request->kind == INTERNAL_REQUEST_CALL)
        skip_call(c, request, "full");
    else
        reject_connection(c, "503 Service Unavailable", "unavailable",
                          "The host has as many open streams as it may have. Try again.",
                          "Retry-After: 5\r\n");
}

/* The kinds of connections that are open, one a line, and their limit. */
static void answer_gauges(struct stream_connection *c)
{
    const struct stream_connection *other;
    size_t phases[CLOSING + 1] = {0}, calls = 0;
    LIST_FOREACH(other, &c->list->all, entry)
    {
        phases[other->phase]++;
        calls += other->phase == STREAMING && other->call;
    }
    char *body = talloc_asprintf(c, "events %zu\ncalls %zu\nfeeds %zu\nwaits %zu\nmax %zu\n",
                                 phases[STREAMING] - calls, calls, phases[FEED_BEGINNING] + phases[FEEDING],
                                 phases[WAITING], c->list->max);
    evbuffer_add_printf(
        output_of(c),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
        strlen(body), body);
    connection_finish(c, "gauges");
}

/* nginx sends what the API has written into X-Accel-Redirect: anything else is a fault of ours. */
static void reject_malformed(struct stream_connection *c)
{
    log_error("stream.request_malformed",
              "nginx sent a head that the API does not write: is its configuration "
              "of the same version?");
    reject_connection(c, "500 Internal Server Error", "internal", "Internal error.", "");
}

static void start_request(struct stream_connection *c, const char *head, size_t size)
{
    static const struct timeval stuck = {.tv_sec = STUCK_TIMEOUT_S};
    struct internal_request request;
    bufferevent_set_timeouts(c->bev, NULL, &stuck);
    if (!internal_request_parse(head, size, &request)) {
        reject_malformed(c);
        return;
    }
    c->request_id = talloc_strdup(c, request.request_id);
    if (request.kind == INTERNAL_REQUEST_GAUGES) {
        answer_gauges(c);
        return;
    }
    c->workspace = request.workspace;
    c->is_counted = workspace_counts_add(c->list->by_workspace, &request.workspace, request.streams);
    if (!c->is_counted)
        start_over_quota(c, &request);
    else if (c->list->count > c->list->max)
        start_when_full(c, &request);
    else if (request.kind == INTERNAL_REQUEST_EVENTS)
        start_stream(c, &request);
    else if (request.kind == INTERNAL_REQUEST_FEED)
        start_feed(c, &request);
    else if (request.kind == INTERNAL_REQUEST_EXECUTOR_LOG)
        start_executor_log(c, &request);
    else if (request.kind == INTERNAL_REQUEST_CALL)
        start_call(c, &request);
    else
        start_wait(c, &request);
}

static void connection_on_read(struct bufferevent *bev, void *arg)
{
    struct stream_connection *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (c->phase == READING_HEAD) {
        struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
        if (end.pos >= 0) {
            size_t size = (size_t)end.pos + 4;
            start_request(c, (const char *)evbuffer_pullup(in, (ev_ssize_t)size), size);
        } else if (evbuffer_get_length(in) < INTERNAL_REQUEST_HEAD_MAX) {
            return;
        } else {
            reject_malformed(c);
        }
    }
    evbuffer_drain(in, evbuffer_get_length(in)); /* nothing may follow the head */
}

static void connection_on_written(struct bufferevent *bev, void *arg)
{
    struct stream_connection *c = arg;
    bool is_written = evbuffer_get_length(output_of(c)) == 0;
    /* libevent also calls this once when the connection is new; a request may have been rejected by then */
    if (c->phase == CLOSING && is_written)
        talloc_free(c);
    else if (c->phase == STREAMING)
        stream_advance(c);
    else if (c->phase == FEEDING)
        feeds_advance(&c->feed);
    else if (c->phase == LOGGING)
        executor_log_advance(&c->log);
}

static void connection_on_end(struct bufferevent *bev, short what, void *arg)
{
    connection_drop(arg, what & BEV_EVENT_TIMEOUT ? "slow" : "disconnected");
}

/* --- all connections --- */

struct stream_connections *connections_new(void *ctx, struct event_base *base,
                                           struct subscriptions *subscriptions, struct feeds *feeds,
                                           struct executor_log *executor_log,
                                           struct stream_db_thread *db_thread, size_t max)
{
    struct stream_connections *list = talloc_zero(ctx, struct stream_connections);
    list->base = base;
    list->subscriptions = subscriptions;
    list->feeds = feeds;
    list->executor_log = executor_log;
    list->db_thread = db_thread;
    list->max = max;
    list->by_workspace = workspace_counts_new(list);
    return list;
}

static void on_share_answered(struct stream_db_job *job)
{
    (void)job;
}

void connections_answer_share_question(void *list, const struct share_question *question)
{
    const struct stream_connections *connections = list;
    struct stream_db_job *job = stream_db_job_new(STREAM_DB_SHARES, NULL, on_share_answered);
    job->share_reply = question->reply;
    job->share_answer =
        talloc_asprintf(job, "%s=%d", quota_name(QUOTA_STREAMS),
                        workspace_counts_get(connections->by_workspace, &question->workspace));
    stream_db_thread_submit(connections->db_thread, job);
}

void connections_add(struct stream_connections *list, int fd)
{
    static const struct timeval head = {.tv_sec = HEAD_TIMEOUT_S};
    struct stream_connection *c = talloc_zero(list, struct stream_connection);
    c->list = list;
    c->subscriber.callbacks = &subscriber_callbacks;
    c->request_id = "";
    c->opened_ms = clock_boot_ms();
    LIST_INSERT_HEAD(&list->all, c, entry);
    list->count++;
    c->bev = bufferevent_socket_new(list->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    talloc_set_destructor(c, connection_destroy);
    bufferevent_setcb(c->bev, connection_on_read, connection_on_written, connection_on_end, c);
    bufferevent_set_timeouts(c->bev, &head, &head);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

size_t connections_count(const struct stream_connections *list)
{
    return list->count;
}

void connections_tick(struct stream_connections *list, int64_t now_ms)
{
    struct stream_connection *next;
    for (struct stream_connection *c = LIST_FIRST(&list->all); c; c = next) {
        next = LIST_NEXT(c, entry);
        if (c->phase == STREAMING)
            stream_advance(c);
        else if (c->phase == CLOSING && now_ms >= c->closing_ms)
            connection_drop(c, "slow");
    }
}

static void ping_connection(struct stream_connection *c, int64_t now_ms)
{
    c->ping_ms = now_ms + PING_MS;
    c->subscriber.check_key = true;
    if (!c->as_log)
        write_chunk(c, SSE_PING, sizeof SSE_PING - 1);
    if (c->call && !c->job) { /* a job in flight counts progress itself */
        char *frame = talloc_strdup(c, "");
        tool_call_append_beat(&frame, c->call);
        write_chunk(c, frame, talloc_get_size(frame) - 1);
        talloc_free(frame);
    }
    subscriptions_poll_run(c->list->subscriptions, &c->subscriber);
}

/* Tells the client how far the feed was read, so that it does not come back to what its filters have dropped.
 */
static void ping_feed(struct stream_connection *c, int64_t now_ms)
{
    c->ping_ms = now_ms + PING_MS;
    char *text = talloc_strdup(c, SSE_PING);
    feeds_append_position(&text, &c->feed);
    write_chunk(c, text, strlen(text));
    talloc_free(text);
}

/* Tells the client how far the log was read, so that it does not come back to what its filters have dropped.
 */
static void ping_executor_log(struct stream_connection *c, int64_t now_ms)
{
    c->ping_ms = now_ms + PING_MS;
    char *text = talloc_strdup(c, SSE_PING);
    executor_log_append_position(&text, &c->log);
    write_chunk(c, text, strlen(text));
    talloc_free(text);
}

void connections_ping(struct stream_connections *list)
{
    int64_t now_ms = clock_boot_ms();
    struct stream_connection *next;
    for (struct stream_connection *c = LIST_FIRST(&list->all); c; c = next) {
        next = LIST_NEXT(c, entry);
        if (c->phase == STREAMING && now_ms >= c->ping_ms)
            ping_connection(c, now_ms);
        else if (c->phase == FEED_BEGINNING && now_ms >= c->ping_ms)
            refuse_to_begin(c);
        else if (c->phase == FEEDING && now_ms >= c->ping_ms)
            ping_feed(c, now_ms);
        else if (c->phase == LOGGING && now_ms >= c->ping_ms)
            ping_executor_log(c, now_ms);
    }
}

void connections_drain(struct stream_connections *list)
{
    struct stream_connection *next;
    for (struct stream_connection *c = LIST_FIRST(&list->all); c; c = next) {
        next = LIST_NEXT(c, entry);
        if (c->phase == STREAMING && c->call && !c->is_primed) {
            end_call(c, "drained", false);
        } else if (c->phase == STREAMING || c->phase == FEEDING || c->phase == LOGGING) {
            write_retry(c);
            end_stream(c, "drained");
        } else if (c->phase == FEED_BEGINNING) {
            refuse_to_begin(c);
        } else if (c->phase == WAITING) {
            end_wait(c, "drained");
        }
    }
}

void connections_drop(struct stream_connections *list)
{
    while (!LIST_EMPTY(&list->all))
        connection_drop(LIST_FIRST(&list->all), "dropped");
}

void connections_log_state(void *arg)
{
    const struct stream_connections *list = arg;
    const struct stream_connection *c;
    size_t phases[CLOSING + 1] = {0}, reading = 0, calls = 0;
    LIST_FOREACH(c, &list->all, entry)
    {
        phases[c->phase]++;
        calls += c->phase == STREAMING && c->call;
        reading += c->job != NULL;
    }
    state_log("state.connections",
              "open=%zu open_max=%zu streams=%zu calls=%zu feeds=%zu executor_logs=%zu waiters=%zu "
              "reading_head=%zu closing=%zu "
              "reading_history=%zu response_bytes=%zu",
              list->count, list->max, phases[STREAMING] - calls, calls,
              phases[FEED_BEGINNING] + phases[FEEDING], phases[LOGGING], phases[WAITING],
              phases[READING_HEAD], phases[CLOSING], reading, workspace_counts_held(list->by_workspace));
}
