#define _GNU_SOURCE /* memmem */
#include <criterion/criterion.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#include "redis/keys.h"

enum { PATIENCE_MS = 20000 };

static const char gap[] = "*3\r\n$7\r\nPUBLISH\r\n$13\r\nmillrace:gaps\r\n$0\r\n\r\n";

/* A server whose answers are the test's. */
struct server {
    char dir[32], path[64], sent[65536];
    int listener, fd;
    struct redis *client;
};

static void server_open(struct server *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *s = (struct server){.dir = "/tmp/millrace-redis-XXXXXX", .fd = -1};
    cr_assert(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/socket", s->dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(s->listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(s->listener, 1), 0);
    s->client = redis_new(NULL, s->path);
}

static void publish(struct server *s)
{
    const struct redis_arg args[] = {redis_text("PUBLISH"), redis_text("channel"), redis_text("lost")};
    redis_queue(s->client, args, 3);
    redis_flush(s->client);
}

/* Accepts the client's connection, which it opens by one of its commands, and reads what it sends until
 * `last` came. */
static void serve_after(struct server *s, const char *last, void (*act)(struct server *s))
{
    size_t size = 0;
    struct pollfd p = {.fd = s->listener, .events = POLLIN};
    while (poll(&p, 1, 10) == 0)
        act(s); /* the client does not connect at once after a failure */
    s->fd = accept(s->listener, NULL, NULL);
    cr_assert(s->fd >= 0);
    p.fd = s->fd;
    while (!memmem(s->sent, size, last, strlen(last))) {
        cr_assert_gt(poll(&p, 1, PATIENCE_MS), 0);
        ssize_t n = read(s->fd, s->sent + size, sizeof s->sent - 1 - size);
        cr_assert_gt(n, 0);
        size += (size_t)n;
    }
    s->sent[size] = '\0';
}

static void serve(struct server *s, const char *last)
{
    serve_after(s, last, publish);
}

static void repair(struct server *s)
{
    (void)redis_repair(s->client);
}

static void server_close(struct server *s)
{
    talloc_free(s->client);
    close(s->fd);
    close(s->listener);
    unlink(s->path);
    rmdir(s->dir);
}

Test(redis_client, tells_subscribers_that_messages_may_be_missing, .timeout = 60)
{
    struct server s;
    server_open(&s);
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    cr_expect_not(strstr(s.sent, gap), "nothing was dropped before the first connection");
    close(s.fd); /* without an answer: it is not known what was published */
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    cr_expect(strstr(s.sent, gap) && strstr(s.sent, gap) < strstr(s.sent, "\r\nlost\r\n"),
              "it is told first");
    server_close(&s);
}

Test(redis_client, tells_of_messages_that_were_dropped_without_a_server, .timeout = 60)
{
    struct server s;
    server_open(&s);
    char away[80];
    snprintf(away, sizeof away, "%s.away", s.path);
    cr_assert_eq(rename(s.path, away), 0);
    publish(&s);
    cr_assert_eq(rename(away, s.path), 0);
    serve(&s, "\r\nlost\r\n");
    cr_expect(strstr(s.sent, gap));
    server_close(&s);
}

Test(redis_client, tells_of_missing_messages_without_a_further_one, .timeout = 60)
{
    struct server s;
    server_open(&s);
    cr_expect_eq(redis_repair(s.client), -1, "nothing was sent");
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    close(s.fd);
    cr_expect_gt(redis_repair(s.client), 0);
    serve_after(&s, gap, repair);
    cr_expect_not(strstr(s.sent, "\r\nlost\r\n"));
    server_close(&s);
}

/* What a command of the operators does: it publishes and ends. */
Test(redis_client, tells_of_refused_messages_when_it_is_freed, .timeout = 60)
{
    static const char refused[] = "-READONLY You can't write against a read only replica.\r\n";
    struct server s;
    server_open(&s);
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    cr_assert_eq(write(s.fd, refused, sizeof refused - 1), (ssize_t)sizeof refused - 1);
    TALLOC_FREE(s.client);
    serve(&s, gap);
    cr_expect_not(strstr(s.sent, "\r\nlost\r\n"));
    server_close(&s);
}

Test(redis_client, is_freed_without_a_further_connection_once_the_answers_are_there, .timeout = 60)
{
    struct server s;
    char answers[5 * 100];
    for (size_t i = 0; i < sizeof answers; i += 5)
        memcpy(answers + i, "+OK\r\n", 5);
    server_open(&s);
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    cr_assert_eq(write(s.fd, answers, sizeof answers), (ssize_t)sizeof answers);
    TALLOC_FREE(s.client);
    struct pollfd p = {.fd = s.listener, .events = POLLIN};
    cr_expect_eq(poll(&p, 1, 0), 0);
    server_close(&s);
}

Test(redis_client, has_nothing_to_repair_once_the_answers_are_there, .timeout = 60)
{
    struct server s;
    char answers[5 * 100];
    size_t n = 0;
    server_open(&s);
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    for (const char *p = s.sent; (p = strstr(p, "\r\n*3\r\n")); p++)
        n++;
    cr_assert_lt(++n, 100U);
    for (size_t i = 0; i < n; i++)
        memcpy(answers + 5 * i, "+OK\r\n", 5);
    cr_assert_eq(write(s.fd, answers, 5 * n), (ssize_t)(5 * n));
    int left_ms;
    while ((left_ms = redis_repair(s.client)) >= 0)
        poll(NULL, 0, left_ms > 10 ? 10 : left_ms);
    struct pollfd p = {.fd = s.listener, .events = POLLIN};
    cr_expect_eq(poll(&p, 1, 0), 0, "it has not connected again");
    server_close(&s);
}

/* Redis would keep them in its memory: the copy of the executors' log only queues commands. */
Test(redis_client, reads_answers_although_nobody_calls, .timeout = 60)
{
    struct server s;
    char answers[5 * 1000];
    int unread = -1;
    const struct redis_arg args[] = {redis_text("PING")};
    for (size_t i = 0; i < sizeof answers; i += 5)
        memcpy(answers + i, "+OK\r\n", 5);
    server_open(&s);
    publish(&s);
    serve(&s, "\r\nlost\r\n");
    cr_assert_eq(write(s.fd, answers, sizeof answers), (ssize_t)sizeof answers);
    for (int i = 0; i < 600; i++)
        redis_queue(s.client, args, 1);
    redis_flush(s.client);
    cr_assert_eq(ioctl(s.fd, SIOCOUTQ, &unread), 0);
    cr_expect_eq(unread, 0, "%d bytes", unread);
    server_close(&s);
}
