/* Connections over a socket pair, whose request is rejected: without MariaDB and Redis. */
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "stream/connection.h"

static const char request[] = "no request\r\n\r\n";

struct pair {
    void *ctx;
    struct event_base *base;
    struct stream_connections *list;
    int client;
};

/* `is_stuck`: the client's side has no room for a byte. */
static struct pair pair_new(bool is_stuck)
{
    int fds[2];
    static const char filler[4096];
    struct pair p = {.ctx = talloc_new(NULL), .base = event_base_new()};
    p.list = connections_new(p.ctx, p.base, NULL, NULL, NULL, NULL, 10);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    while (is_stuck && write(fds[0], filler, sizeof filler) > 0)
        ;
    cr_assert(!is_stuck || errno == EAGAIN);
    p.client = fds[1];
    connections_add(p.list, fds[0]);
    cr_assert_eq(write(p.client, request, sizeof request - 1), sizeof request - 1);
    return p;
}

static void pair_run(const struct pair *p)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(p->base, EVLOOP_NONBLOCK);
}

static void pair_free(struct pair *p)
{
    connections_drop(p->list);
    talloc_free(p->ctx);
    event_base_free(p->base);
    close(p->client);
}

Test(connections, closing_one_ends_when_its_output_is_taken)
{
    struct pair p = pair_new(false);
    pair_run(&p);
    cr_assert_eq(connections_count(p.list), 0);
    pair_free(&p);
}

/* The client takes bytes now and then, so that the connection is never idle for long. */
Test(connections, closing_one_is_dropped_in_time)
{
    char taken[16];
    struct pair p = pair_new(true);
    pair_run(&p);
    int64_t now_ms = clock_boot_ms();
    connections_tick(p.list, now_ms + 30 * 1000);
    cr_assert_eq(connections_count(p.list), 1);
    cr_assert_eq(read(p.client, taken, sizeof taken), sizeof taken);
    pair_run(&p);
    connections_tick(p.list, now_ms + 61 * 1000);
    cr_assert_eq(connections_count(p.list), 0);
    pair_free(&p);
}
