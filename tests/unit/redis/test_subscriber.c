#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#include "redis/subscriber.h"

/* A server of one connection, whose answers the test writes, and what the callbacks have reported. */
struct peer {
    char dir[32], path[64];
    struct event_base *base;
    struct redis_subscriber *s;
    int listener, fd;
    char heard[256];
};

static void hear(struct peer *p, const char *what, const char *text, size_t size)
{
    size_t used = strlen(p->heard);
    snprintf(p->heard + used, sizeof p->heard - used, "%s %.*s;", what, (int)size, text);
}

static void on_subscribed(void *arg, struct redis_arg channel)
{
    hear(arg, "subscribed", channel.bytes, channel.size);
}

static void on_message(void *arg, struct redis_arg channel, struct redis_arg message)
{
    struct peer *p = arg;
    hear(p, "message", message.bytes, message.size);
    if (message.size == 3 && memcmp(message.bytes, "end", 3) == 0)
        TALLOC_FREE(p->s);
}

static void on_lost(void *arg)
{
    hear(arg, "lost", "", 0);
}

static const struct redis_subscriber_callbacks callbacks = {on_subscribed, on_message, on_lost};

static void peer_open(struct peer *p)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *p = (struct peer){.dir = "/tmp/millrace-redis-XXXXXX", .fd = -1};
    cr_assert(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/socket", p->dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", p->path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(p->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(p->listener, 1), 0);
    p->base = event_base_new();
    p->s = redis_subscriber_new(NULL, p->base, p->path, &callbacks, p);
}

static void peer_connect(struct peer *p)
{
    cr_assert_eq(redis_subscriber_connect(p->s), OK);
    p->fd = accept(p->listener, NULL, NULL);
    cr_assert(p->fd >= 0);
}

static void run_loop(struct peer *p)
{
    for (int i = 0; i < 20; i++)
        event_base_loop(p->base, EVLOOP_NONBLOCK);
}

static void peer_send(struct peer *p, const char *text)
{
    cr_assert_eq(write(p->fd, text, strlen(text)), (ssize_t)strlen(text));
    run_loop(p);
}

static void expect_heard(struct peer *p, const char *expected)
{
    cr_expect_str_eq(p->heard, expected);
    p->heard[0] = '\0';
}

static void peer_close(struct peer *p)
{
    talloc_free(p->s);
    event_base_free(p->base);
    close(p->listener);
    if (p->fd >= 0)
        close(p->fd);
    unlink(p->path);
    rmdir(p->dir);
}

Test(redis_subscriber, reports_subscriptions_and_messages)
{
    struct peer p;
    char sent[128] = "";
    peer_open(&p);
    peer_connect(&p);
    redis_subscriber_add(p.s, redis_text("a"));
    run_loop(&p);
    cr_assert(read(p.fd, sent, sizeof sent - 1) > 0);
    cr_expect_str_eq(sent, "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n");
    peer_send(&p, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
    expect_heard(&p, "subscribed a;message hi;");
    redis_subscriber_remove(p.s, redis_text("a"));
    peer_send(&p, "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
    expect_heard(&p, "");
    cr_expect(redis_subscriber_is_connected(p.s));
    peer_close(&p);
}

Test(redis_subscriber, reports_a_lost_connection_once_and_can_connect_again)
{
    struct peer p;
    peer_open(&p);
    peer_connect(&p);
    redis_subscriber_add(p.s, redis_text("a"));
    redis_subscriber_add(p.s, redis_text("b"));
    run_loop(&p);
    close(p.fd);
    run_loop(&p);
    expect_heard(&p, "lost ;");
    cr_expect(!redis_subscriber_is_connected(p.s));
    redis_subscriber_add(p.s, redis_text("c")); /* does nothing */
    peer_connect(&p);
    redis_subscriber_add(p.s, redis_text("a"));
    run_loop(&p);
    peer_send(&p, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    expect_heard(&p, "subscribed a;");
    peer_close(&p);
}

Test(redis_subscriber, may_be_freed_by_its_callback)
{
    struct peer p;
    peer_open(&p);
    peer_connect(&p);
    redis_subscriber_add(p.s, redis_text("a"));
    peer_send(&p, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nend\r\n"
                  "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\nmore\r\n");
    expect_heard(&p, "subscribed a;message end;");
    peer_close(&p);
}

Test(redis_subscriber, an_error_of_the_server_ends_the_connection)
{
    struct peer p;
    peer_open(&p);
    peer_connect(&p);
    redis_subscriber_add(p.s, redis_text("a"));
    peer_send(&p, "-ERR max number of clients reached\r\n");
    expect_heard(&p, "lost ;");
    peer_close(&p);
}

Test(redis_subscriber, an_unreachable_server_is_unavailable)
{
    struct peer p;
    peer_open(&p);
    close(p.listener);
    unlink(p.path);
    cr_expect_eq(redis_subscriber_connect(p.s), ERR_UNAVAILABLE);
    expect_heard(&p, "");
    cr_expect(!redis_subscriber_is_connected(p.s));
    peer_close(&p);
}
