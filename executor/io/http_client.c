#include "executor/io/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/io/response_headers.h"
#include "json/json.h"

struct http_client {
    CURLM *multi;
    struct event_base *base;
    struct timers *timers;
    const struct egress_policy *egress_policy;
    struct timer timer;
    size_t in_flight;
};

struct http_call {
    struct http_client *client;
    http_done *done;
    /* NULL: the body is kept */
    bool (*on_body)(void *arg, const char *bytes, size_t size);
    void *arg;
    CURL *easy;
    struct curl_slist *headers;
    /* a copy */
    struct http_request request;
    const char *idempotency_key;
    int redirects;
    /* the egress policy rejected the address */
    bool address_denied;
    /* a sentence: a size limit was exceeded */
    const char *limit_exceeded;
    struct http_response response;
    struct response_headers headers_received;
    char *body;
    char error[CURL_ERROR_SIZE];
};

/* --- libcurl on libevent --- */

static void finish_done_calls(struct http_client *client);

static void run_socket_action(struct http_client *client, curl_socket_t s, int what)
{
    int running;
    curl_multi_socket_action(client->multi, s, what, &running);
    finish_done_calls(client);
}

static void on_curl_socket(evutil_socket_t fd, short what, void *arg)
{
    run_socket_action(arg, fd,
                      (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_curl_timer(void *arg)
{
    run_socket_action(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int curl_watch_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *watched)
{
    struct http_client *client = arg;
    if (watched)
        event_free(watched);
    struct event *event = NULL;
    if (what != CURL_POLL_REMOVE) {
        short wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
        event = event_new(client->base, s, (short)(wanted | EV_PERSIST), on_curl_socket, client);
        event_add(event, NULL);
    }
    curl_multi_assign(client->multi, s, event);
    return 0;
}

static int curl_watch_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *client = arg;
    if (timeout_ms < 0)
        timer_clear(client->timers, &client->timer);
    else
        timer_set(client->timers, &client->timer, clock_boot_ms() + timeout_ms);
    return 0;
}

static int http_client_destroy(struct http_client *client)
{
    timer_clear(client->timers, &client->timer);
    curl_multi_cleanup(client->multi);
    return 0;
}

struct http_client *http_client_new(void *ctx, struct event_base *base, struct timers *timers,
                                    const struct egress_policy *egress_policy)
{
    struct http_client *client = talloc_zero(ctx, struct http_client);
    *client = (struct http_client){.base = base, .timers = timers, .egress_policy = egress_policy};
    client->timer = (struct timer){.fire = on_curl_timer, .arg = client};
    client->multi = curl_multi_init();
    if (!client->multi) {
        talloc_free(client);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, curl_watch_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, curl_watch_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 256L);
    talloc_set_destructor(client, http_client_destroy);
    return client;
}

/* --- responses --- */

static curl_socket_t open_allowed_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call *call = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || !egress_policy_allows(call->client->egress_policy, &a->addr)) {
        call->address_denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

static bool is_success(const struct http_call *call)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t on_body_bytes(char *bytes, size_t one, size_t n, void *arg)
{
    struct http_call *call = arg;
    size_t had = call->response.body_size;
    if (call->on_body && is_success(call)) {
        if (call->on_body(call->arg, bytes, n))
            return n;
        call->limit_exceeded = "the response exceeds its size limit";
        return 0; /* libcurl aborts the transfer */
    }
    if (had + n > HTTP_BODY_MAX) {
        call->limit_exceeded = "the response body exceeds 256 KiB";
        return 0;
    }
    if (had + n + 1 > talloc_array_length(call->body))
        call->body = talloc_realloc(call, call->body, char, 2 * (had + n + 1));
    memcpy(call->body + had, bytes, n);
    call->response.body_size = had + n;
    call->body[had + n] = '\0';
    return n;
}

static size_t on_header_line(char *bytes, size_t one, size_t n, void *arg)
{
    struct http_call *call = arg;
    call->limit_exceeded = response_headers_add(call, &call->headers_received, bytes, n);
    return call->limit_exceeded ? 0 : n; /* 0: libcurl aborts the transfer */
}

/* --- requests --- */

static void add_header(struct http_call *call, const char *name, const char *value)
{
    char *line = *value ? talloc_asprintf(call, "%s: %s", name, value) : talloc_asprintf(call, "%s;", name);
    call->headers = curl_slist_append(call->headers, line);
    talloc_free(line);
}

static void set_headers(struct http_call *call)
{
    bool has_key = false;
    curl_slist_free_all(call->headers);
    call->headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < call->request.header_count; i++) {
        add_header(call, call->request.headers[i].name, call->request.headers[i].value);
        has_key = has_key || strcasecmp(call->request.headers[i].name, "Idempotency-Key") == 0;
    }
    if (call->idempotency_key && !has_key)
        add_header(call, "Idempotency-Key", call->idempotency_key);
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_method(struct http_call *call)
{
    const struct http_request *request = &call->request;
    curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L);
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    bool sends = request->body || strcmp(request->method, "POST") == 0 ||
                 strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0;
    if (sends) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
        if (!request->body)
            call->headers = curl_slist_append(call->headers, "Content-Type:");
    }
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_up_call(struct http_call *call)
{
    CURL *e = call->easy;
    call->response = (struct http_response){0};
    response_headers_clear(&call->headers_received);
    TALLOC_FREE(call->body);
    call->address_denied = false;
    call->limit_exceeded = NULL;
    call->error[0] = '\0';
    set_headers(call);
    set_method(call);
    curl_easy_setopt(e, CURLOPT_URL, call->request.url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* the end of a call does not wait for the thread that resolves its host name */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_S);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "Millrace");
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_allowed_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body_bytes);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header_line);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
}

size_t http_calls_in_flight(const struct http_client *client)
{
    return client->in_flight;
}

static int http_call_destroy(struct http_call *call)
{
    if (call->easy) {
        call->client->in_flight--;
        curl_multi_remove_handle(call->client->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    return 0;
}

static void copy_request(struct http_call *call, const struct http_request *request)
{
    call->request = *request;
    call->request.method = talloc_strdup(call, request->method);
    call->request.url = talloc_strdup(call, request->url);
    call->request.body = request->body ? talloc_memdup(call, request->body, request->body_size) : NULL;
    call->request.headers = talloc_array(call, struct http_header, request->header_count);
    for (size_t i = 0; i < request->header_count; i++) {
        call->request.headers[i].name = talloc_strdup(call, request->headers[i].name);
        call->request.headers[i].value = talloc_strdup(call, request->headers[i].value);
    }
}

struct http_call *http_send(struct http_client *client, const struct http_request *request,
                            const char *idempotency_key, http_done *done, void *arg)
{
    struct http_call *call = talloc_zero(client, struct http_call);
    call->client = client;
    call->done = done;
    call->arg = arg;
    call->easy = curl_easy_init();
    talloc_set_destructor(call, http_call_destroy);
    copy_request(call, request);
    call->idempotency_key = talloc_strdup(call, idempotency_key);
    set_up_call(call);
    client->in_flight++;
    curl_multi_add_handle(client->multi, call->easy); /* starts by curl_watch_timer, from the loop */
    return call;
}

struct http_call *http_send_streamed(struct http_client *client, const struct http_request *request,
                                     bool (*on_body)(void *arg, const char *bytes, size_t size),
                                     http_done *done, void *arg)
{
    struct http_call *call = http_send(client, request, NULL, done, arg);
    call->on_body = on_body; /* nothing was sent yet */
    return call;
}

void http_cancel(struct http_call *call)
{
    talloc_free(call);
}

/* --- redirects --- */

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = NULL;
    char *y = NULL;
    bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;
    curl_free(x);
    curl_free(y);
    return same;
}

/* Same scheme, host and port: headers and body that were meant for `from` may be sent to `to`. */
static bool same_origin(const char *from, const char *to)
{
    CURLU *a = curl_url();
    CURLU *b = curl_url();
    bool same = curl_url_set(a, CURLUPART_URL, from, 0) == CURLUE_OK &&
                curl_url_set(b, CURLUPART_URL, to, 0) == CURLUE_OK && same_part(a, b, CURLUPART_SCHEME) &&
                same_part(a, b, CURLUPART_HOST) && same_part(a, b, CURLUPART_PORT);
    curl_url_cleanup(a);
    curl_url_cleanup(b);
    return same;
}

/* Repeats the request at the target of a redirect. False: the response is not to be followed, and is the
 * result. */
static bool follow_redirect(struct http_call *call)
{
    struct http_request *request = &call->request;
    char *to = NULL;
    long status = call->response.status;
    bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &to);
    if (!redirect || !to || call->redirects == HTTP_REDIRECTS)
        return false;
    bool downgrade = strncasecmp(request->url, "https:", 6) == 0 && strncasecmp(to, "https:", 6) != 0;
    bool elsewhere = !same_origin(request->url, to);
    bool as_get = status == 303 || ((status == 301 || status == 302) && strcmp(request->method, "POST") == 0);
    if (downgrade || (elsewhere && request->body && !as_get))
        return false; /* a body is never sent to another origin */
    call->redirects++;
    if (as_get && strcmp(request->method, "HEAD") != 0)
        request->method = "GET";
    if (as_get || elsewhere)
        request->body = NULL;
    if (elsewhere)
        request->header_count = 0;
    request->url = talloc_strdup(call, to);
    request->body_size = request->body ? request->body_size : 0;
    curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_reset(call->easy);
    set_up_call(call);
    curl_multi_add_handle(call->client->multi, call->easy);
    return true;
}

/* --- the end --- */

static void set_call_error(struct http_call *call, CURLcode code)
{
    struct http_response *a = &call->response;
    *a = (struct http_response){.retry = true};
    if (call->limit_exceeded) {
        a->error = call->limit_exceeded;
        a->retry = false;
    } else if (call->address_denied) {
        a->error = "the address is not public";
        a->retry = false;
    } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        a->error = "the URL is not a valid http or https URL";
        a->retry = false;
    } else {
        a->error =
            talloc_asprintf(call, "no response: %s", *call->error ? call->error : curl_easy_strerror(code));
    }
}

static void finish_call(struct http_call *call, CURLcode code)
{
    struct http_response *a = &call->response;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    a->status = (int)status;
    if (code == CURLE_OK && follow_redirect(call))
        return;
    if (code != CURLE_OK) {
        set_call_error(call, code);
    } else {
        a->headers = response_headers_json(call, &call->headers_received);
        a->body = call->body ? call->body : "";
        const char *type = a->headers ? json_get_text(a->headers, "content-type") : NULL;
        a->content_type = type ? type : "";
    }
    call->done(call->arg, a);
    talloc_free(call);
}

static void finish_done_calls(struct http_client *client)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(client->multi, &left));) {
        struct http_call *call = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
        finish_call(call, code);
    }
}

int64_t http_retry_after_ms(const struct http_response *a)
{
    const char *text = a->headers ? json_get_text(a->headers, "retry-after") : NULL;
    if (!text)
        return 0;
    char *end;
    long long seconds = strtoll(text, &end, 10);
    if (end != text && *end == '\0')
        return seconds > 0 && seconds < 86400 ? seconds * 1000 : 0;
    time_t at = curl_getdate(text, NULL);
    int64_t left_ms = at > 0 ? (int64_t)at * 1000 - clock_wall_ms() : 0;
    return left_ms > 0 ? left_ms : 0;
}
