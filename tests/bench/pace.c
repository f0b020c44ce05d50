/* bench-pace PORT RATE SECONDS CONNECTIONS <REQUEST
 *
 * Sends one HTTP request repeatedly at a fixed rate over kept-alive connections, independent of the responses
 * (wrk sends only as fast as it gets responses). If all connections are waiting, it falls behind: `sent` is
 * then less than RATE * SECONDS. Prints one line of JSON. */
#define _GNU_SOURCE /* strcasestr */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, REQUEST_MAX = 16384, ANSWER_MAX = 65536, LAST_ANSWERS_MS = 10000 };

struct connection {
    bool busy;
    size_t size;
    char answer[ANSWER_MAX];
};

static struct connection connections[CONNECTIONS_MAX];
static struct pollfd fds[CONNECTIONS_MAX];
static char request[REQUEST_MAX];
static size_t request_size;
static long sent, accepted, others;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        give_up("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* True if the response is complete. */
static bool is_whole(const struct connection *c)
{
    const char *body = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "\r\nContent-Length:");
    if (!body || !length || length > body)
        return false;
    return c->size >= (size_t)(body + 4 - c->answer) + strtoul(length + 17, NULL, 10);
}

static void take_answer(int i)
{
    struct connection *c = &connections[i];
    ssize_t n = read(fds[i].fd, c->answer + c->size, sizeof c->answer - 1 - c->size);
    if (n <= 0)
        give_up("answer");
    c->size += (size_t)n;
    c->answer[c->size] = '\0';
    if (!is_whole(c))
        return;
    if (strncmp(c->answer, "HTTP/1.1 202", 12) == 0)
        accepted++;
    else
        others++;
    c->busy = false;
    c->size = 0;
}

/* Sends the requests that are due on the free connections, in rotation. */
static void send_due(int n, long due)
{
    static int next;
    for (int tried = 0; sent < due && tried < n; tried++, next = (next + 1) % n) {
        if (connections[next].busy)
            continue;
        if (write(fds[next].fd, request, request_size) != (ssize_t)request_size)
            give_up("request");
        connections[next].busy = true;
        sent++;
    }
}

static void take_answers(int n, int wait_ms)
{
    if (poll(fds, (nfds_t)n, wait_ms) <= 0)
        return;
    for (int i = 0; i < n; i++) {
        if (fds[i].revents)
            take_answer(i);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    double rate = atof(argv[2]);
    double seconds = atof(argv[3]);
    int n = atoi(argv[4]);
    request_size = fread(request, 1, sizeof request, stdin);
    if (n < 1 || n > CONNECTIONS_MAX || request_size == 0)
        return 2;
    for (int i = 0; i < n; i++)
        fds[i] = (struct pollfd){.fd = connect_to(atoi(argv[1])), .events = POLLIN};
    int64_t begin = now_ns();
    double past = 0;
    while ((past = (double)(now_ns() - begin) / 1e9) < seconds) {
        send_due(n, (long)(past * rate));
        take_answers(n, 1);
    }
    while (accepted + others < sent &&
           now_ns() < begin + (int64_t)(seconds * 1e9) + LAST_ANSWERS_MS * INT64_C(1000000))
        take_answers(n, 10);
    printf("{\"sent\": %ld, \"accepted\": %ld, \"others\": %ld, \"seconds\": %.3f}\n", sent, accepted, others,
           past);
    return 0;
}
