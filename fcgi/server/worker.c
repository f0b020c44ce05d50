#define _GNU_SOURCE /* accept4 */
#include "fcgi/server/worker.h"

#include <errno.h>
#include <fcgiapp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "fcgi/server/routes.h"
#include "redis/keys.h"
#include "service/state_dump.h"

/* A connection without progress for so long is broken. nginx buffers the whole body before it connects; only
 * uploads are streamed, and nginx itself gives up a client that pauses for 30 s (client_body_timeout). A slow
 * upload ends earlier (request_read_chunk). */
enum { NGINX_TIMEOUT_S = 30 };

struct worker {
    int listen_fd, epoll_fd, signal_fd;
    bool draining, quitting, leaves_backlog;
    /* NULL: the backlog is not changed. */
    struct admission *admission;
    /* Backlog as this worker set it last; 0: not set yet, and a predecessor may have left it short. */
    int backlog;
    int short_backlog;
    struct state_dump *state_dump;
    const struct app *app;
    /* Requests since the start. */
    int64_t served;
};

static void log_worker_state(void *arg)
{
    const struct worker *w = arg;
    state_log("state.worker", "slot=%d served=%lld backlog=%d draining=%d round_trips=%" PRIu64,
              w->app ? w->app->slot : -1, (long long)w->served, w->backlog, w->draining,
              w->app ? db_round_trips(w->app->db) : 0);
}

static int worker_destroy(struct worker *w)
{
    close(w->epoll_fd);
    close(w->signal_fd);
    return 0;
}

static bool epoll_add(const struct worker *w, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

struct worker *worker_new(void *ctx, int listen_fd)
{
    struct worker *w = talloc_zero(ctx, struct worker);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGQUIT);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole process group; the master decides */
    signal(SIGHUP, SIG_IGN);
    w->listen_fd = listen_fd;
    w->state_dump = state_dump_new(w);
    state_dump_add(w->state_dump, log_worker_state, w);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    talloc_set_destructor(w, worker_destroy);
    /* exclusive: one connection wakes one worker, not all of them */
    if (!epoll_add(w, listen_fd, EPOLLIN | EPOLLEXCLUSIVE) || !epoll_add(w, w->signal_fd, EPOLLIN)) {
        log_error("worker.epoll_failed", "message=\"%s\"", strerror(errno));
        talloc_free(w);
        return NULL;
    }
    return w;
}

void worker_leave_backlog(struct worker *w)
{
    w->leaves_backlog = true;
}

static void read_signals(struct worker *w)
{
    struct signalfd_siginfo info;
    while (read(w->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1)
            log_reopen();
        if (info.ssi_signo == SIGUSR2)
            state_dump_write(w->state_dump);
        w->draining = w->draining || info.ssi_signo == SIGTERM;
        w->quitting =
            w->quitting || info.ssi_signo == SIGQUIT || (info.ssi_signo == SIGTERM && w->leaves_backlog);
    }
}

/* Sets the listener's backlog: short while the pool is overloaded. Every worker does this, so that the
 * backlog is right even if one of them is late. Returns the milliseconds until the overload ends, or -1 if
 * there is none. */
static int update_backlog(struct worker *w)
{
    int64_t left_ms = w->admission ? admission_overload_ms(w->admission, clock_boot_ms()) : 0;
    int backlog = left_ms > 0 ? w->short_backlog : WORKER_BACKLOG;
    if (backlog != w->backlog && listen(w->listen_fd, backlog) == 0)
        w->backlog = backlog;
    return left_ms > 0 ? (int)left_ms : -1;
}

/* Of two times to wait, of which -1 is for ever. */
static int earlier(int a_ms, int b_ms)
{
    return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* A connection wakes one worker. One that was woken and then quits without it would leave it in the backlog,
 * where nobody looks until the next connection comes: it takes it, and quits before it waits again. */
int worker_accept(struct worker *w)
{
    while (!w->quitting) {
        struct epoll_event events[2];
        bool has_connection = false;
        int timeout_ms = earlier(update_backlog(w), w->app ? redis_repair(w->app->redis) : -1);
        int n = epoll_wait(w->epoll_fd, events, 2, w->draining ? 0 : timeout_ms);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == w->signal_fd)
                read_signals(w);
            else
                has_connection = true;
        }
        if (w->quitting && !has_connection)
            break;
        int fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno == EAGAIN && w->draining)
            return -1;
        /* the listener stays readable: do not spin */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
    }
    return -1;
}

/* For the executors. A hint: what does not reach Redis is dropped. */
static void publish_latency(const struct app *app, int64_t median_us)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg publish[] = {redis_text("PUBLISH"), redis_channel_accept_latency(scratch),
                                  redis_number(scratch, median_us)};
    redis_queue(app->redis, publish, 3);
    redis_flush(app->redis);
    talloc_free(scratch);
}

static void count_latency(const struct request *r, int64_t us)
{
    int64_t median_us;
    if (accept_latency_add(&r->app->shared->accept_latency, r->waited_ms * 1000 + us, clock_boot_ms(),
                           &median_us))
        publish_latency(r->app, median_us);
}

static void count_accept(const struct request *r, int64_t us)
{
    int status = r->reply.status;
    enum accept_outcome outcome = status >= 500   ? ACCEPT_UNAVAILABLE
                                  : status >= 400 ? ACCEPT_REJECTED
                                  : r->is_replay  ? ACCEPT_REPLAYED
                                                  : ACCEPT_ACCEPTED;
    bool has_run = outcome == ACCEPT_ACCEPTED && id_is_set(&r->execution_id);
    char trace_id[TRACE_ID_TEXT];
    if (outcome == ACCEPT_ACCEPTED && !r->took_turn)
        count_latency(r, us);
    if (has_run) {
        struct trace_context trace = trace_is_set(&r->trace) ? r->trace : trace_of_root(&r->execution_id);
        trace_id_text(&trace, trace_id);
    }
    metrics_time(&r->app->shared->metrics.accepts[outcome], metrics_second_bounds, us,
                 has_run ? r->execution_id.text : NULL, has_run ? trace_id : NULL, clock_wall_ms());
}

static void log_request(const struct request *r)
{
    int64_t us = clock_boot_us() - r->began_us;
    struct metrics *m = &r->app->shared->metrics;
    struct db_counters t = db_take_counters(r->app->db);
    metrics_count(m, route_index(r), r->reply.status, us);
    if (route_starts_run(r))
        count_accept(r, us);
    atomic_fetch_add_explicit(&m->redis_fallbacks, redis_take_failures(r->app->redis), memory_order_relaxed);
    atomic_fetch_add_explicit(&m->db_lost, t.lost, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->db_settled, t.settled, memory_order_relaxed);
    if (r->reply.status == 500 && log_error_count() == r->errors_logged)
        log_error("request.cause_missing", "request=%s method=%s path=%s detail=\"%.*s\"", r->id, r->method,
                  r->log_path, r->reply.size < 1000 ? (int)r->reply.size : 1000, r->reply.body);
    log_info("request",
             "request=%s method=%s path=%s status=%d us=%" PRId64 " workspace=%s execution=%s db=%" PRIu64
             " batch=%d",
             r->id, r->method, r->log_path, r->reply.status, us, r->access.workspace_id.text,
             r->execution_id.text, db_round_trips(r->app->db) - r->round_trips, r->batch);
}

/* True if a request without CONTENT_LENGTH may have a body: an upload, which nginx passes on while it comes,
 * in chunks or by HTTP/2. */
static bool may_be_streamed(const FCGX_Request *fcgi)
{
    const char *method = FCGX_GetParam("REQUEST_METHOD", fcgi->envp);
    const char *protocol = FCGX_GetParam("SERVER_PROTOCOL", fcgi->envp);
    if (!method || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return false;
    return FCGX_GetParam("HTTP_TRANSFER_ENCODING", fcgi->envp) ||
           (protocol && strncmp(protocol, "HTTP/1.", strlen("HTTP/1.")) != 0);
}

/* True if the request has been read completely. */
static bool request_is_read(const FCGX_Request *fcgi)
{
    const char *length = FCGX_GetParam("CONTENT_LENGTH", fcgi->envp);
    bool has_body = length && *length ? strcmp(length, "0") != 0 : may_be_streamed(fcgi);
    return !has_body || FCGX_HasSeenEOF(fcgi->in) != 0;
}

/* libfcgi ends a connection by half-closing it and waiting until nginx has closed its side, which costs the
 * worker a round trip to nginx. This is needed only if nginx may still be sending: closing with unread bytes
 * would reset the connection and lose the reply. */
static void finish_connection(FCGX_Request *fcgi)
{
    int fd = fcgi->ipcFd;
    fcgi->keepConnection = request_is_read(fcgi);
    FCGX_Finish_r(fcgi);
    if (fcgi->ipcFd == fd)
        close(fd);
    fcgi->ipcFd = -1;
}

/* Copies what fits. */
static void note_text(char *out, size_t room, const char *text)
{
    size_t n = text ? strnlen(text, room - 1) : 0;
    memcpy(out, text ? text : "", n);
    out[n] = '\0';
}

static void note_request(const struct request *r)
{
    struct current_request *current = &r->app->shared->current[r->app->slot];
    note_text(current->id, sizeof current->id, r->id);
    note_text(current->method, sizeof current->method, r->method);
    note_text(current->path, sizeof current->path, r->log_path);
    atomic_store(&current->set, true);
}

/* glibc merges small blocks that were freed when somebody asks for a large one. After the values of a
 * megabyte that takes 80 to 300 ms, which otherwise the next request spends, before it has read a byte. */
static void merge_freed(void)
{
    void *volatile large = malloc(16 * 1024);
    free(large);
}

static void answer_request(struct app *app, FCGX_Request *fcgi)
{
    bool ok;
    struct request *r = request_new(app, app, fcgi->envp, &ok);
    note_request(r);
    r->round_trips = db_round_trips(app->db);
    r->errors_logged = log_error_count();
    r->fd = fcgi->ipcFd;
    if (ok)
        route_request(r, fcgi->in);
    else
        reply_rejected(r);
    if (r->reply.status == 0)
        reply_err(r, ERR_INTERNAL);
    reply_send(r, fcgi->out);
    finish_connection(
        fcgi); /* before the log and the key's last use, so that the client need not wait for them */
    log_request(r);
    auth_record_use(r);
    if (r->after_reply)
        r->after_reply(r);
    bool was_slow = r->took_turn;
    talloc_free(r);
    if (was_slow)
        merge_freed();
    slow_end(app); /* not before: freeing the values of a megabyte takes as long as parsing them */
    atomic_store(&app->shared->current[app->slot].set, false);
}

static void serve_connection(struct app *app, int fd)
{
    struct timeval timeout = {.tv_sec = NGINX_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    FCGX_Request fcgi;
    FCGX_InitRequest(&fcgi, -1, 0); /* no listener: libfcgi must not accept connections itself */
    fcgi.ipcFd = fd;
    fcgi.keepConnection = 1; /* otherwise FCGX_Accept_r begins by closing the connection */
    if (FCGX_Accept_r(&fcgi) == 0)
        answer_request(app, &fcgi);
    else
        log_warn("worker.protocol_error", "fd=%d", fd);
    FCGX_Free(&fcgi, 1);
}

void worker_run(struct worker *w, struct app *app, int64_t recycle)
{
    int fd;
    w->app = app;
    w->admission = app->admission;
    w->short_backlog = ADMISSION_BACKLOG * (int)app->config->api.workers;
    FCGX_Init();
    for (; recycle == 0 || w->served < recycle; w->served++) {
        if ((fd = worker_accept(w)) < 0)
            break;
        if (w->admission)
            admission_count_start(w->admission, clock_boot_ms());
        serve_connection(app, fd);
    }
}
