#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

#include "executor/io/http_client.h"

enum { BODY_BYTES = 32 * 1024 * 1024, SERVER_BUFFER = 64 * 1024, ITERATIONS = 1000 };

static bool may_send = true;
static int responses;

static bool ask_may_send(void *arg)
{
    return may_send;
}

static void on_response(void *arg, const struct http_response *response)
{
    responses++;
}

/* A server of one connection, whose small buffer makes a large request wait. */
static int listen_on_loopback(char *url, size_t size)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int buffer = SERVER_BUFFER;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    cr_assert_eq(bind(s, (struct sockaddr *)&at, n), 0);
    cr_assert_eq(listen(s, 1), 0);
    getsockname(s, (struct sockaddr *)&at, &n);
    snprintf(url, size, "http://127.0.0.1:%d/", ntohs(at.sin_port));
    return s;
}

static size_t receive_all(int s)
{
    static char bytes[1024 * 1024];
    size_t received = 0;
    for (ssize_t n; (n = recv(s, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
        received += (size_t)n;
    return received;
}

/* The process was stopped for longer than its lease, in the middle of a request: the run may be elsewhere. */
Test(http_client, nothing_is_sent_or_received_once_the_lease_is_over)
{
    void *ctx = talloc_new(NULL);
    struct event_base *base = event_base_new();
    struct timers *timers = timers_new(ctx, base);
    const char *why = NULL;
    char url[64];
    id workspace = {.text = "0190a5b0-0000-7000-8000-000000000001"};
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int listener = listen_on_loopback(url, sizeof url);
    struct http_client_settings settings = {.steps_policy = egress_policy_new(ctx, "test", "127.0.0.1", &why),
                                            .dns_servers = "127.0.0.1",
                                            .max_in_flight = 4,
                                            .may_send = ask_may_send};
    settings.models_policy = settings.steps_policy;
    struct http_client *client = http_client_new(ctx, base, timers, &settings, &why);
    cr_assert(client, "%s", why);
    struct http_request request = {.method = "POST", .url = url, .body_size = BODY_BYTES};
    request.body = talloc_zero_array(ctx, char, BODY_BYTES);
    struct http_call *call = http_send(client, &workspace, &request, NULL, on_response, NULL);

    int connection = -1;
    size_t received = 0;
    while (received == 0) {
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (connection < 0)
            connection = accept(listener, NULL, NULL);
        if (connection >= 0)
            received = receive_all(connection);
    }
    may_send = false;
    for (int i = 0; i < ITERATIONS; i++) {
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        received += receive_all(connection);
    }
    cr_expect_lt(received, (size_t)BODY_BYTES);
    cr_assert_gt(send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38, 0), 0);
    for (int i = 0; i < ITERATIONS; i++)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    cr_expect_eq(responses, 0);
    http_cancel(call);
    close(connection);
    close(listener);
    talloc_free(client);
    talloc_free(timers);
    event_base_free(base);
    talloc_free(ctx);
}
