#define _GNU_SOURCE /* memmem */
#include "fcgi/handlers/stream_gauges.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 1024, TIMEOUT_US = 250000 };

bool stream_gauges_parse(const char *answer, size_t size, struct stream_gauges *g_r)
{
    static const char ok[] = "HTTP/1.1 200 ";
    char body[ANSWER_MAX + 1];
    const char *end = memmem(answer, size, "\r\n\r\n", 4);
    if (!end || size < sizeof ok || memcmp(answer, ok, sizeof ok - 1) != 0)
        return false;
    end += 4;
    size_t n = size - (size_t)(end - answer);
    if (n > ANSWER_MAX)
        return false;
    memcpy(body, end, n);
    body[n] = '\0';
    return sscanf(body, "events %lld\ncalls %lld\nfeeds %lld\nwaits %lld\nmax %lld", &g_r->events,
                  &g_r->calls, &g_r->feeds, &g_r->waits, &g_r->max) == 5;
}

static int connect_to(const char *path)
{
    static const struct timeval timeout = {.tv_usec = TIMEOUT_US};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout); /* of connect(), too */
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

bool stream_gauges_read(const char *socket_path, struct stream_gauges *g_r)
{
    static const char request[] = "GET /internal/stream/gauges? HTTP/1.1\r\n\r\n";
    char answer[ANSWER_MAX];
    size_t size = 0;
    int fd = connect_to(socket_path);
    if (fd < 0)
        return false;
    ssize_t n = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    while (n > 0 && size < sizeof answer && (n = recv(fd, answer + size, sizeof answer - size, 0)) > 0)
        size += (size_t)n;
    close(fd);
    return stream_gauges_parse(answer, size, g_r);
}
