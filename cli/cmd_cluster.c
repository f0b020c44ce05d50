/* The writer of a Galera cluster: the daemon that tells HAProxy which node it is, and the operators' view. */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cluster/writer.h"

enum {
    LOOK_MS = 250,
    /* A statement of the daemon; a node that takes longer is of no use as a writer. */
    STATEMENT_S = 2,
    /* An answer holds for so long after the look that it rests on. */
    FRESH_MS = 2000,
    CLIENTS_MAX = 64,
    CLIENT_MS = 1000,
    REQUEST_MAX = 1024,
};

enum role { ROLE_NONE, ROLE_READER, ROLE_WRITER };

struct dbcheck {
    struct db_settings settings;
    _Atomic bool is_ending;
    /* the last look: what the node is, and when it was seen (clock_boot_ms) */
    _Atomic int role;
    _Atomic int64_t looked_ms;
    /* what the writing thread is to do, and with which look; protected by the mutex */
    pthread_mutex_t mutex;
    enum writer_action action;
    struct writer_look order;
};

static void pause_ms(int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

/* --- the thread that looks --- */

static enum role role_of(const struct writer_look *look)
{
    if (writer_is_self(look))
        return ROLE_WRITER;
    return writer_can_read(look) ? ROLE_READER : ROLE_NONE;
}

static void set_role(struct dbcheck *d, enum role role, const char *writer)
{
    static const char *const names[] = {"none", "reader", "writer"};
    if (atomic_exchange(&d->role, role) != (int)role)
        log_info("dbcheck.role", "role=%s writer=%s", names[role], writer);
}

static void *run_looks(void *arg)
{
    struct dbcheck *d = arg;
    struct db *db = db_new(NULL, &d->settings);
    struct writer_watch watch = {0};
    while (!atomic_load(&d->is_ending)) {
        struct writer_look look;
        void *scratch = talloc_new(NULL);
        int64_t begun_ms = clock_boot_ms();
        bool is_seen = writer_look(db, scratch, &look) == OK;
        set_role(d, is_seen ? role_of(&look) : ROLE_NONE, is_seen ? look.writer : "");
        atomic_store(&d->looked_ms, begun_ms);
        pthread_mutex_lock(&d->mutex);
        d->action = is_seen ? writer_decide(&watch, &look, begun_ms) : WRITER_WAIT;
        d->order = look;
        d->order.members = NULL; /* of the scratch memory */
        pthread_mutex_unlock(&d->mutex);
        talloc_free(scratch);
        pause_ms(LOOK_MS);
    }
    talloc_free(db);
    return NULL;
}

/* --- the thread that writes: a write waits while the nodes agree on a view, and a look must not --- */

static void *run_writes(void *arg)
{
    struct dbcheck *d = arg;
    struct db *db = db_new(NULL, &d->settings);
    int64_t beat_ms = 0;
    while (!atomic_load(&d->is_ending)) {
        pthread_mutex_lock(&d->mutex);
        enum writer_action action = d->action;
        struct writer_look order = d->order;
        pthread_mutex_unlock(&d->mutex);
        int64_t now_ms = clock_boot_ms();
        if (action == WRITER_TAKE) {
            enum err e = writer_take(db, &order);
            log_warn("dbcheck.take", "node=%s from=%s result=%s", order.self, order.writer, err_name(e));
        } else if (action == WRITER_BEAT && now_ms - beat_ms >= WRITER_BEAT_MS) {
            beat_ms = now_ms;
            if (writer_beat(db, order.self) != OK)
                log_warn("dbcheck.beat_failed", "node=%s", order.self);
        }
        pause_ms(LOOK_MS);
    }
    talloc_free(db);
    return NULL;
}

/* --- HTTP: a request is one line, a response closes the connection --- */

struct client {
    int fd;
    int64_t until_ms;
    size_t size;
    char request[REQUEST_MAX];
};

static bool starts_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

static void respond(const struct dbcheck *d, struct client *c)
{
    c->request[c->size] = '\0';
    bool is_fresh = clock_boot_ms() - atomic_load(&d->looked_ms) <= FRESH_MS;
    int role = is_fresh ? atomic_load(&d->role) : ROLE_NONE;
    const char *body = !is_fresh             ? "the node does not answer\n"
                       : role == ROLE_WRITER ? "writer\n"
                       : role == ROLE_READER ? "reader\n"
                                             : "neither writer nor reader\n";
    const char *status = "404 Not Found";
    if (starts_with(c->request, "GET /writer "))
        status = role == ROLE_WRITER ? "200 OK" : "503 Service Unavailable";
    else if (starts_with(c->request, "GET /reader "))
        status = role != ROLE_NONE ? "200 OK" : "503 Service Unavailable";
    else
        body = "GET /writer or GET /reader\n";
    char text[256];
    int size = snprintf(text, sizeof text,
                        "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", status,
                        strlen(body), body);
    if (send(c->fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size)
        log_debug("dbcheck.client_gone", "errno=%d", errno);
}

static void drop_client(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

static void read_client(const struct dbcheck *d, struct client *c)
{
    ssize_t n = recv(c->fd, c->request + c->size, sizeof c->request - 1 - c->size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->size += n > 0 ? (size_t)n : 0;
    c->request[c->size] = '\0';
    bool is_whole = strstr(c->request, "\r\n\r\n") || strstr(c->request, "\n\n");
    if (n > 0 && !is_whole && c->size < sizeof c->request - 1)
        return;
    if (is_whole)
        respond(d, c);
    drop_client(c);
}

static void accept_client(int listener, struct client *clients)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *c = clients;
    while (c < clients + CLIENTS_MAX && c->fd >= 0)
        c++;
    if (fd < 0)
        return;
    if (c == clients + CLIENTS_MAX) {
        /* silent ones must not keep HAProxy out: the oldest makes room */
        c = clients;
        for (struct client *o = clients; o < clients + CLIENTS_MAX; o++)
            c = o->until_ms < c->until_ms ? o : c;
        drop_client(c);
    }
    *c = (struct client){.fd = fd, .until_ms = clock_boot_ms() + CLIENT_MS};
}

/* Serves until SIGTERM or SIGINT. */
static void serve(const struct dbcheck *d, int listener, int signals)
{
    struct client clients[CLIENTS_MAX];
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i].fd = -1;
    for (;;) {
        struct pollfd polls[CLIENTS_MAX + 2] = {{.fd = listener, .events = POLLIN},
                                                {.fd = signals, .events = POLLIN}};
        for (int i = 0; i < CLIENTS_MAX; i++)
            polls[i + 2] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
        if (poll(polls, CLIENTS_MAX + 2, CLIENT_MS) < 0 && errno != EINTR)
            return;
        if (polls[1].revents)
            return;
        for (int i = 0; i < CLIENTS_MAX; i++) {
            if (clients[i].fd >= 0 && polls[i + 2].revents)
                read_client(d, &clients[i]);
            if (clients[i].fd >= 0 && clock_boot_ms() > clients[i].until_ms)
                drop_client(&clients[i]);
        }
        if (polls[0].revents)
            accept_client(listener, clients);
    }
}

/* "ADDRESS:PORT" with an IPv4 address. -1 after an error message. */
static int open_listener(struct cli *cli, const char *where)
{
    const char *colon = strrchr(where, ':');
    char host[INET_ADDRSTRLEN] = "";
    struct sockaddr_in address = {.sin_family = AF_INET};
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    if (colon && colon - where < (long)sizeof host)
        memcpy(host, where, (size_t)(colon - where));
    address.sin_port = htons((uint16_t)port);
    if (port < 1 || port > UINT16_MAX || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        cli_fail(cli, "[dbcheck] listen = %s is not ADDRESS:PORT with an IPv4 address", where);
        return -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, CLIENTS_MAX) == 0)
        return fd;
    cli_fail(cli, "cannot listen at %s: %s", where, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static int run_dbcheck(struct cli *cli, struct dbcheck *d, int listener)
{
    pthread_t looks, writes;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int signals = signalfd(-1, &ends, SFD_CLOEXEC);
    pthread_mutex_init(&d->mutex, NULL);
    if (signals < 0 || pthread_create(&looks, NULL, run_looks, d) != 0)
        return cli_fail(cli, "cannot start: %s", strerror(errno));
    if (pthread_create(&writes, NULL, run_writes, d) != 0) {
        atomic_store(&d->is_ending, true);
        pthread_join(looks, NULL);
        return cli_fail(cli, "cannot start a second thread");
    }
    serve(d, listener, signals);
    atomic_store(&d->is_ending, true);
    pthread_join(looks, NULL);
    pthread_join(writes, NULL);
    close(signals);
    return CLI_DONE;
}

int cmd_dbcheck(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_configure(cli))
        return CLI_FAILED;
    const struct config *c = cli->config;
    const char *password = config_password(cli->ctx, c->dbcheck.db_password_file);
    if (!password)
        return cli_fail(cli, "cannot read the password file %s", c->dbcheck.db_password_file);
    if (log_open("dbcheck", c->dbcheck.log_file, log_level_of(c->log.level)) != OK)
        return cli_fail(cli, "cannot open the log file %s", c->dbcheck.log_file);
    struct dbcheck *d = talloc_zero(cli->ctx, struct dbcheck);
    d->settings = (struct db_settings){.socket = c->database.socket,
                                       .name = c->database.name,
                                       .user = c->dbcheck.db_user,
                                       .password = password,
                                       .timeout_s = STATEMENT_S};
    d->looked_ms = INT64_MIN / 2;
    int listener = open_listener(cli, c->dbcheck.listen);
    if (listener < 0)
        return CLI_FAILED;
    int code = run_dbcheck(cli, d, listener);
    close(listener);
    return code;
}

/* --- cluster show, cluster switch --- */

static int look(struct cli *cli, struct writer_look *look_r)
{
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = writer_look(cli->db, cli->ctx, look_r);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the cluster's state");
    return look_r->is_clustered ? CLI_DONE : cli_fail(cli, "this MariaDB is not a node of a Galera cluster");
}

int cmd_cluster_show(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    struct writer_look seen;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    int code = look(cli, &seen);
    if (code != CLI_DONE)
        return code;
    json_object *o = json_object_new_object();
    cli_add_text(o, "node", seen.self);
    json_object_object_add(o, "ready", json_object_new_boolean(seen.is_ready));
    cli_add_text(o, "writer", *seen.writer ? seen.writer : NULL);
    json_object_object_add(o, "writer_is_member", json_object_new_boolean(seen.writer_is_member));
    cli_add_time(o, "since", seen.since_ms, *seen.writer != '\0');
    cli_add_text(o, "members", seen.members);
    return cli_print(cli, o);
}

int cmd_cluster_switch(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    const char *node;
    struct writer_look seen;
    if (!cli_parse(cli, argc, argv, options, &node, 1))
        return CLI_USAGE;
    int code = look(cli, &seen);
    if (code != CLI_DONE)
        return code;
    enum err e = writer_switch(cli->db, &seen, node);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "%s is not one of the members: %s", node, seen.members);
    if (e != OK)
        return cli_fail_err(cli, e, "changing the writer");
    json_object *o = json_object_new_object();
    cli_add_text(o, "writer", node);
    return cli_print_line(cli, o, node);
}
