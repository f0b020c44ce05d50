#include "stream/server.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/keys.h"
#include "redis/redis.h"
#include "service/reexec.h"
#include "service/state_dump.h"
#include "service/unix_listener.h"
#include "stream/connection.h"

enum {
    /* all subscribers reconnect at once after a restart; the kernel's own limit is net.core.somaxconn */
    BACKLOG = 4096,
    /* time for the last output at a stop */
    DRAIN_MS = 5000,
    DRAIN_POLL_MS = 20,
    /* the pings that are due in one interval are sent together and delay events: a short interval keeps that
       delay short */
    PING_CHECK_MS = 50,
    /* descriptors other than connections */
    FD_SPARE = 64,
    SOCKET_MODE = 0660,
};

static const int64_t HOUR_MS = 3600000, MINUTE_MS = 60000;

struct stream_server {
    const struct config *config;
    const char *config_path;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *tick, *ping, *term, *interrupt, *reload, *reopen, *dump;
    struct stream_db_thread *db_thread;
    struct subscriptions *subscriptions;
    struct feeds *feeds;
    struct executor_log *executor_log;
    struct stream_connections *connections;
    struct unix_listener socket;
    struct state_dump *state_dump;
    bool draining, drained;
    /* this process continues with the program that is at its path then */
    bool replaces_program;
    int64_t drain_until_ms;
};

/* --- connections --- */

static void server_on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                             int size, void *arg)
{
    struct stream_server *s = arg;
    connections_add(s->connections, fd);
}

/* Most likely there are no free descriptors. server_on_tick enables the listener again; until then clients
 * wait in the backlog. */
static void server_on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct stream_server *s = arg;
    log_warn("stream.accept_failed", "errno=%d open=%zu", errno, connections_count(s->connections));
    evconnlistener_disable(listener);
}

/* --- running and stopping --- */

static void server_on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct stream_server *s = arg;
    if (s->draining)
        return;
    connections_tick(s->connections, clock_boot_ms());
    subscriptions_tick(s->subscriptions);
    evconnlistener_enable(s->listener);
}

static void server_on_ping(evutil_socket_t fd, short what, void *arg)
{
    struct stream_server *s = arg;
    if (!s->draining)
        connections_ping(s->connections);
}

static void server_on_drain(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval soon = {.tv_usec = DRAIN_POLL_MS * 1000};
    struct stream_server *s = arg;
    connections_drain(s->connections); /* includes connections whose request arrived since the last call */
    s->drained = connections_count(s->connections) == 0 || clock_boot_ms() > s->drain_until_ms ||
                 event_base_once(s->base, -1, EV_TIMEOUT, server_on_drain, s, &soon) != 0;
    if (s->drained)
        event_base_loopbreak(s->base);
}

static void begin_stop(struct stream_server *s)
{
    static const struct timeval soon = {.tv_usec = DRAIN_POLL_MS * 1000};
    log_info("stream.stopping", "open=%zu", connections_count(s->connections));
    s->draining = true;
    s->drained = false;
    s->drain_until_ms = clock_boot_ms() + DRAIN_MS;
    connections_drain(s->connections);
    event_base_once(s->base, -1, EV_TIMEOUT, server_on_drain, s, &soon);
}

/* The connections in the backlog are still accepted; no new ones arrive, because the socket's name is
 * removed. They wait in the backlog for the next process if the socket is systemd's. A replacement that has
 * begun ends as a stop: those that wait for the next program are accepted, too. */
static void server_on_stop(evutil_socket_t fd, short what, void *arg)
{
    struct stream_server *s = arg;
    if (s->draining && !s->replaces_program)
        return;
    s->replaces_program = false;
    if (unix_listener_is_kept(&s->socket))
        evconnlistener_disable(s->listener);
    else
        evconnlistener_enable(s->listener);
    unix_listener_unlink(&s->socket);
    if (!s->draining || s->drained)
        begin_stop(s);
    s->drain_until_ms = clock_boot_ms() + DRAIN_MS;
}

/* As a stop, but new connections wait in the backlog until the next program of this process takes them. */
static void server_on_reload(evutil_socket_t fd, short what, void *arg)
{
    struct stream_server *s = arg;
    if (s->draining || !reexec_is_ready(s->config_path))
        return;
    s->replaces_program = true;
    evconnlistener_disable(s->listener);
    begin_stop(s);
}

static void server_on_reopen(evutil_socket_t fd, short what, void *arg)
{
    log_reopen();
}

static void server_on_state_dump(evutil_socket_t fd, short what, void *arg)
{
    const struct stream_server *s = arg;
    state_dump_write(s->state_dump);
}

static void raise_fd_limit(int64_t max_streams)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)max_streams + FD_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_warn("stream.fd_limit_low", "wanted=%lld limit=%lld", (long long)wanted,
                 (long long)limit.rlim_cur);
}

/* --- starting --- */

static bool open_backends(struct stream_server *s)
{
    const struct config *c = s->config;
    const char *password = config_password(s, c->stream.db_password_file);
    if (!password)
        return false;
    struct db_settings settings = {.socket = c->database.socket,
                                   .name = c->database.name,
                                   .user = c->stream.db_user,
                                   .password = password,
                                   .timeout_s = (unsigned)c->database.timeout_s,
                                   .settle_s = (unsigned)c->database.settle_s};
    redis_keys_set_prefix(c->redis.prefix);
    s->db_thread =
        stream_db_thread_new(s, s->base, &settings, c->redis.socket, c->console.idle_minutes * MINUTE_MS);
    if (!s->db_thread)
        return false;
    s->subscriptions = subscriptions_new(s, s->base, c->redis.socket, s->db_thread);
    s->feeds = feeds_new(s, s->base, s->db_thread, c->stream.feed_hours * HOUR_MS);
    s->executor_log = executor_log_new(s, s->base, s->db_thread);
    s->connections = connections_new(s, s->base, s->subscriptions, s->feeds, s->executor_log, s->db_thread,
                                     (size_t)c->stream.max_streams);
    subscriptions_on_share_question(s->subscriptions, connections_answer_share_question, s->connections);
    s->state_dump = state_dump_new(s);
    state_dump_add(s->state_dump, connections_log_state, s->connections);
    state_dump_add(s->state_dump, subscriptions_log_state, s->subscriptions);
    state_dump_add(s->state_dump, feeds_log_state, s->feeds);
    state_dump_add(s->state_dump, executor_log_log_state, s->executor_log);
    state_dump_add(s->state_dump, stream_db_thread_log_state, s->db_thread);
    return true;
}

static bool open_events(struct stream_server *s)
{
    static const struct timeval second = {.tv_sec = 1}, often = {.tv_usec = PING_CHECK_MS * 1000};
    if (!unix_listener_open(&s->socket, s->config->stream.socket, SOCKET_MODE, BACKLOG))
        return false;
    s->listener = evconnlistener_new(s->base, server_on_accept, s,
                                     LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, s->socket.fd);
    s->tick = event_new(s->base, -1, EV_PERSIST, server_on_tick, s);
    s->ping = event_new(s->base, -1, EV_PERSIST, server_on_ping, s);
    s->term = evsignal_new(s->base, SIGTERM, server_on_stop, s);
    s->interrupt = evsignal_new(s->base, SIGINT, server_on_stop, s);
    s->reload = evsignal_new(s->base, SIGHUP, server_on_reload, s);
    s->reopen = evsignal_new(s->base, SIGUSR1, server_on_reopen, s);
    s->dump = evsignal_new(s->base, SIGUSR2, server_on_state_dump, s);
    if (!s->listener || !s->tick || !s->ping || !s->term || !s->interrupt || !s->reload || !s->reopen ||
        !s->dump)
        return false;
    evconnlistener_set_error_cb(s->listener, server_on_accept_error);
    return event_add(s->tick, &second) == 0 && event_add(s->ping, &often) == 0 &&
           event_add(s->term, NULL) == 0 && event_add(s->interrupt, NULL) == 0 &&
           event_add(s->reload, NULL) == 0 && event_add(s->reopen, NULL) == 0 &&
           event_add(s->dump, NULL) == 0;
}

static void close_all(struct stream_server *s)
{
    struct event *events[] = {s->tick, s->ping, s->term, s->interrupt, s->reload, s->reopen, s->dump};
    if (s->connections)
        connections_drop(s->connections);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i])
            event_free(events[i]);
    }
    if (s->listener)
        evconnlistener_free(s->listener);
    talloc_free(s->db_thread);
    talloc_free(s->subscriptions);
    talloc_free(s->feeds);
    talloc_free(s->executor_log);
    event_base_free(s->base);
}

/* From the end of this program's handlers until the next one has its own, a signal would end the process. It
 * waits meanwhile: the mask survives the exec. */
static void block_signals(int how)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
        sigaddset(&set, handled[i]);
    sigprocmask(how, &set, NULL);
}

/* Handles events until the server is drained. A signal that came after that, and before it was blocked, was
 * caught but not handled: a stop is not lost in the next program. */
static bool run_events(struct stream_server *s)
{
    bool ok = event_base_dispatch(s->base) == 0;
    if (!ok || !s->replaces_program)
        return ok;
    block_signals(SIG_BLOCK);
    ok = event_base_loop(s->base, EVLOOP_NONBLOCK) >= 0;
    return ok && !s->replaces_program && !s->drained ? event_base_dispatch(s->base) == 0 : ok;
}

int server_run(void *ctx, const char *config_path, const struct config *config)
{
    struct stream_server *s = talloc_zero(ctx, struct stream_server);
    s->config = config;
    s->config_path = config_path;
    raise_fd_limit(config->stream.max_streams);
    s->base = event_base_new();
    bool ok = s->base && open_backends(s) && open_events(s);
    block_signals(SIG_UNBLOCK);
    if (ok) {
        log_info("stream.started", "socket=%s", config->stream.socket);
        ok = run_events(s);
        log_info("stream.stopped", "open=%zu", connections_count(s->connections));
    }
    bool passed = ok && s->replaces_program && unix_listener_pass(&s->socket, 1);
    if (s->base)
        close_all(s);
    if (passed)
        reexec_run(config_path);
    return ok && !s->replaces_program ? EXIT_SUCCESS : EXIT_FAILURE;
}
