/* bench-flood PORT RATE SECONDS CONNECTIONS FILE
 *
 * Sends FILE (one complete HTTP/1.1 request) to 127.0.0.1 RATE times per second, independent of the
 * responses: an open loop, like many independent clients. At most CONNECTIONS requests are in flight; others
 * wait here until a connection is free. Prints one JSON object: for each status (0: no response) the number
 * of requests and the microseconds to the response, from the time the request was due and from the time it
 * was sent. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STATUSES = 600, ANSWER_MAX = 8192, LINGER_US = 10000000 };

struct connection {
    /* -1: not open */
    int fd;
    int64_t due_us, sent_us;
    /* bytes received; length of the response, 0 until its header is complete */
    size_t got, wanted;
    char answer[ANSWER_MAX + 1];
};

struct times {
    int64_t *us;
    size_t n, room;
};

struct answers {
    struct times since_due, since_sent;
};

static struct {
    struct sockaddr_in address;
    char *request;
    size_t request_size;
    struct connection *all, **idle;
    size_t idle_n, connections;
    int epoll_fd;
    struct answers of[STATUSES];
} flood;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void note(struct times *t, int64_t us)
{
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->us = realloc(t->us, t->room * sizeof *t->us);
    }
    t->us[t->n++] = us;
}

static void answered(struct connection *c, int status)
{
    int64_t at_us = now_us();
    note(&flood.of[status].since_due, at_us - c->due_us);
    note(&flood.of[status].since_sent, at_us - c->sent_us);
    if (status == 0) {
        close(c->fd);
        c->fd = -1;
    }
    flood.idle[flood.idle_n++] = c;
}

static bool open_connection(struct connection *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&flood.address, sizeof flood.address) != 0)
        return false;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    return epoll_ctl(flood.epoll_fd, EPOLL_CTL_ADD, c->fd, &e) == 0;
}

static void ask(struct connection *c, int64_t due_us)
{
    c->due_us = due_us;
    c->sent_us = now_us();
    c->got = c->wanted = 0;
    if (c->fd < 0 && !open_connection(c))
        answered(c, 0);
    else if (send(c->fd, flood.request, flood.request_size, MSG_NOSIGNAL) != (ssize_t)flood.request_size)
        answered(c, 0);
}

/* Sets the length of the response once its header is complete. */
static size_t answer_size(struct connection *c)
{
    c->answer[c->got] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "\r\nContent-Length:");
    if (!end)
        return 0;
    size_t head = (size_t)(end - c->answer) + 4;
    return head + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void read_answer(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - c->got, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        answered(c, 0);
        return;
    }
    c->got += (size_t)n;
    if (c->wanted == 0)
        c->wanted = answer_size(c);
    if (c->wanted > 0 && c->got >= c->wanted) {
        int status = atoi(c->answer + strlen("HTTP/1.1 "));
        answered(c, status > 0 && status < STATUSES ? status : 0);
    }
}

/* Returns how many requests were due but found no free connection until the end. */
static int64_t run(double rate, int64_t seconds)
{
    struct epoll_event events[256];
    int64_t begun_us = now_us();
    int64_t end_us = begun_us + seconds * 1000000;
    int64_t total = (int64_t)(rate * (double)seconds);
    int64_t sent = 0;
    for (int64_t at_us = begun_us;
         at_us < end_us || (flood.idle_n < flood.connections && at_us < end_us + LINGER_US);
         at_us = now_us()) {
        for (; at_us < end_us && sent < total && flood.idle_n > 0; sent++) {
            int64_t due_us = begun_us + (int64_t)((double)sent * 1e6 / rate);
            if (due_us > at_us)
                break;
            ask(flood.idle[--flood.idle_n], due_us);
        }
        /* waits for 1 ms instead of spinning, which would take a core from the pool */
        int n = epoll_wait(flood.epoll_fd, events, 256, 1);
        for (int i = 0; i < n; i++)
            read_answer(events[i].data.ptr);
    }
    for (size_t i = flood.connections - flood.idle_n; i > 0; i--) {
        note(&flood.of[0].since_due, LINGER_US);
        note(&flood.of[0].since_sent, LINGER_US);
    }
    return total - sent;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void tell(const char *name, struct times *t)
{
    qsort(t->us, t->n, sizeof *t->us, by_size);
    printf(", \"%s\": {\"p50\": %lld, \"p99\": %lld, \"max\": %lld}", name, (long long)t->us[t->n / 2],
           (long long)t->us[t->n * 99 / 100], (long long)t->us[t->n - 1]);
}

static void report(int64_t unsent)
{
    printf("{\"unsent\": %lld, \"statuses\": {", (long long)unsent);
    const char *comma = "";
    for (int s = 0; s < STATUSES; s++) {
        struct answers *a = &flood.of[s];
        if (a->since_due.n == 0)
            continue;
        printf("%s\"%d\": {\"n\": %zu", comma, s, a->since_due.n);
        tell("us_since_due", &a->since_due);
        tell("us_since_sent", &a->since_sent);
        printf("}");
        comma = ", ";
    }
    printf("}}\n");
}

static void read_request(const char *path)
{
    FILE *f = fopen(path, "rb");
    flood.request = malloc(65536);
    flood.request_size = f ? fread(flood.request, 1, 65536, f) : 0;
    if (f)
        fclose(f);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench-flood PORT RATE SECONDS CONNECTIONS FILE\n");
        return 2;
    }
    flood.address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)atoi(argv[1])),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    flood.connections = (size_t)atoi(argv[4]);
    flood.all = calloc(flood.connections, sizeof *flood.all);
    flood.idle = calloc(flood.connections + 1, sizeof *flood.idle);
    flood.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    read_request(argv[5]);
    for (size_t i = 0; i < flood.connections; i++) {
        flood.all[i].fd = -1;
        flood.idle[flood.idle_n++] = &flood.all[i];
    }
    report(run(atof(argv[2]), atoi(argv[3])));
    return 0;
}
