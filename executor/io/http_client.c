#include "executor/io/http_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/io/http_queue.h"
#include "executor/io/resolver.h"
#include "executor/io/response_headers.h"
#include "executor/io/retry_after.h"
#include "executor/io/transport_error.h"
#include "json/json.h"

/* Calls under one egress policy. They do not share connections with calls under another: a connection that
 * one policy allowed may be denied by the other. */
struct transfers {
    struct http_client *client;
    CURLM *multi;
    struct timer timer;
    const struct egress_policy *egress_policy;
};

struct http_client {
    struct event_base *base;
    struct timers *timers;
    struct transfers steps, models;
    bool (*may_send)(void *arg);
    void *arg;
    struct resolver *resolver;
    struct http_queue *queue;
    struct timer serve_timer;
    /* context of all calls */
    void *calls;
};

struct http_call {
    struct http_client *client;
    http_done *done;
    /* NULL: nobody wants to know */
    void (*on_sent)(void *arg);
    bool sent;
    /* NULL: the body is kept */
    bool (*on_body)(void *arg, const char *bytes, size_t size);
    void *arg;
    struct transfers *transfers;
    struct http_place *place;
    /* NULL: nothing is being resolved */
    struct resolver_lookup *lookup;
    CURL *easy;
    struct curl_slist *headers;
    /* "+HOST:PORT:ADDRESS,ADDRESS" for CURLOPT_RESOLVE; NULL: the host is an address */
    struct curl_slist *resolved;
    const char *host;
    /* a copy */
    struct http_request request;
    const char *idempotency_key;
    int redirects;
    bool no_redirects;
    /* bytes of the body that are kept */
    size_t keep_max;
    /* a sentence: the egress policy denied an address; NULL: it denied none */
    const char *denial;
    /* it allowed an address, and a connection was tried */
    bool address_allowed;
    /* the URL of this request cannot be parsed, or is neither http nor https */
    bool url_invalid;
    /* a sentence: a size limit was exceeded */
    const char *limit_exceeded;
    /* the body of this response: its size so far */
    size_t body_size;
    int status;
    struct response_headers headers_received;
    char *body;
    char error[CURL_ERROR_SIZE];
};

/* --- libcurl on libevent --- */

static void finish_done_calls(struct transfers *transfers);

static void run_socket_action(struct transfers *transfers, curl_socket_t s, int what)
{
    int running;
    if (!transfers->client->may_send(transfers->client->arg))
        return; /* all calls are about to be cancelled */
    curl_multi_socket_action(transfers->multi, s, what, &running);
    finish_done_calls(transfers);
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
    struct transfers *transfers = arg;
    if (watched)
        event_free(watched);
    struct event *event = NULL;
    if (what != CURL_POLL_REMOVE) {
        short wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
        event =
            event_new(transfers->client->base, s, (short)(wanted | EV_PERSIST), on_curl_socket, transfers);
        event_add(event, NULL);
    }
    curl_multi_assign(transfers->multi, s, event);
    return 0;
}

static int curl_watch_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct transfers *transfers = arg;
    if (timeout_ms < 0)
        timer_clear(transfers->client->timers, &transfers->timer);
    else
        timer_set(transfers->client->timers, &transfers->timer, clock_boot_ms() + timeout_ms);
    return 0;
}

static bool transfers_set_up(struct transfers *transfers, struct http_client *client,
                             const struct egress_policy *policy)
{
    *transfers = (struct transfers){.client = client, .egress_policy = policy, .multi = curl_multi_init()};
    transfers->timer = (struct timer){.fire = on_curl_timer, .arg = transfers};
    if (!transfers->multi)
        return false;
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, curl_watch_socket);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, curl_watch_timer);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, 256L);
    return true;
}

static void transfers_tear_down(struct transfers *transfers)
{
    timer_clear(transfers->client->timers, &transfers->timer);
    curl_multi_cleanup(transfers->multi);
}

static int http_client_destroy(struct http_client *client)
{
    TALLOC_FREE(client->calls);
    TALLOC_FREE(client->resolver); /* its queries may hold places */
    transfers_tear_down(&client->steps);
    transfers_tear_down(&client->models);
    timer_clear(client->timers, &client->serve_timer);
    return 0;
}

static void on_place_free(void *arg)
{
    struct http_client *client = arg;
    timer_set(client->timers, &client->serve_timer, clock_boot_ms());
}

static void serve_queue(void *arg)
{
    struct http_client *client = arg;
    http_queue_serve(client->queue);
}

struct http_client *http_client_new(void *ctx, struct event_base *base, struct timers *timers,
                                    const struct http_client_settings *settings, const char **why_r)
{
    struct http_client *client = talloc_zero(ctx, struct http_client);
    size_t half = settings->max_in_flight / 2;
    struct http_queue_limits limits = {.total = settings->max_in_flight,
                                       .per_host = half > 0 ? half : 1,
                                       .workspace_min = HTTP_WORKSPACE_MIN,
                                       .workspace_max = settings->workspace_max,
                                       .workspace_guaranteed = settings->workspace_guaranteed};
    *client = (struct http_client){.base = base,
                                   .timers = timers,
                                   .may_send = settings->may_send,
                                   .arg = settings->arg,
                                   .calls = talloc_new(client)};
    client->serve_timer = (struct timer){.fire = serve_queue, .arg = client};
    client->queue = http_queue_new(client, &limits, on_place_free, client);
    client->resolver = resolver_new(client, base, timers, settings->dns_servers, why_r);
    if (!client->resolver) {
        talloc_free(client);
        return NULL;
    }
    if (!transfers_set_up(&client->steps, client, settings->steps_policy) ||
        !transfers_set_up(&client->models, client, settings->models_policy)) {
        *why_r = "libcurl cannot be initialized";
        talloc_free(client);
        return NULL;
    }
    talloc_set_destructor(client, http_client_destroy);
    return client;
}

/* --- responses --- */

static curl_socket_t open_allowed_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_call *call = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || !egress_policy_allows(call->transfers->egress_policy, &a->addr)) {
        call->denial = egress_denial(call, call->transfers->egress_policy, &a->addr);
        return CURL_SOCKET_BAD;
    }
    call->address_allowed = true;
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
    size_t had = call->body_size;
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
    call->body_size = had + n;
    if (had >= call->keep_max)
        return n;
    size_t kept = n < call->keep_max - had ? n : call->keep_max - had;
    if (had + kept + 1 > talloc_array_length(call->body)) {
        size_t room = 2 * (had + kept) < HTTP_BODY_MAX ? 2 * (had + kept) : HTTP_BODY_MAX;
        call->body = talloc_realloc(call, call->body, char, room + 1);
    }
    memcpy(call->body + had, bytes, kept);
    call->body[had + kept] = '\0';
    return n;
}

static size_t on_header_line(char *bytes, size_t one, size_t n, void *arg)
{
    struct http_call *call = arg;
    call->limit_exceeded = response_headers_add(call, &call->headers_received, bytes, n);
    if (!call->on_body &&
        n <= 2) { /* the empty line after the headers: from here on the body may not stall */
        curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_S);
    }
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
    call->body_size = 0;
    response_headers_clear(&call->headers_received);
    TALLOC_FREE(call->body);
    call->denial = NULL;
    call->address_allowed = false;
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
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, (long)HTTP_CONNECT_S);
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
    return http_queue_granted(client->queue);
}

size_t http_calls_of(const struct http_client *client, const id *workspace)
{
    return http_queue_granted_to(client->queue, workspace);
}

size_t http_calls_waiting(const struct http_client *client)
{
    return http_queue_waiting(client->queue);
}

static int http_call_destroy(struct http_call *call)
{
    if (call->lookup) /* the query of the name may outlive the call, and keeps its place until then */
        resolver_cancel(call->lookup, call->place);
    curl_multi_remove_handle(call->transfers->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->resolved);
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

/* --- sending --- */

static void fail_call(struct http_call *call, const char *error, bool retry)
{
    struct http_response *response = talloc_zero(call, struct http_response);
    response->error = talloc_strdup(response, error);
    response->retry = retry;
    call->done(call->arg, response);
    talloc_free(call);
}

/* Starts by curl_watch_timer, from the loop. */
static void transfer(struct http_call *call)
{
    if (!call->client->may_send(call->client->arg))
        return; /* the call is about to be cancelled */
    curl_multi_add_handle(call->transfers->multi, call->easy);
}

/* "+HOST:PORT:ADDRESS,ADDRESS" of the addresses that the policy allows, of call. NULL: it allows none. */
static char *allowed_addresses(struct http_call *call, const struct resolver_answer *answer)
{
    char text[INET6_ADDRSTRLEN];
    char *entry = NULL;
    for (size_t i = 0; i < answer->n; i++) {
        const union resolver_address *a = &answer->addresses[i];
        bool v6 = a->any.sa_family == AF_INET6;
        if (!egress_policy_allows(call->transfers->egress_policy, &a->any))
            continue;
        inet_ntop(a->any.sa_family, v6 ? (const void *)&a->v6.sin6_addr : (const void *)&a->v4.sin_addr, text,
                  sizeof text);
        if (!entry)
            entry = talloc_asprintf(call, "+%s:", call->host);
        else
            entry = talloc_strdup_append_buffer(entry, ",");
        entry = talloc_asprintf_append_buffer(entry, v6 ? "[%s]" : "%s", text);
    }
    return entry;
}

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
    struct http_call *call = arg;
    call->lookup = NULL;
    if (answer->error) {
        fail_call(call, talloc_asprintf(call, "no response: %s", answer->error), true);
        return;
    }
    char *entry = allowed_addresses(call, answer);
    if (!entry) {
        fail_call(call, egress_denial(call, call->transfers->egress_policy, &answer->addresses[0].any),
                  false);
        return;
    }
    curl_slist_free_all(call->resolved);
    call->resolved = curl_slist_append(NULL, entry);
    talloc_free(entry);
    curl_easy_setopt(call->easy, CURLOPT_RESOLVE, call->resolved);
    transfer(call);
}

/* The name that libcurl would resolve, and ":PORT" after it, of ctx. NULL: the URL is not usable, or its host
 * is an address; then libcurl has nothing to resolve. */
static char *host_and_port(void *ctx, const char *url, char **name_r, bool *usable_r)
{
    CURLU *parts = curl_url();
    char *scheme = NULL;
    char *host = NULL;
    char *port = NULL;
    char *text = NULL;
    struct in_addr v4;
    *usable_r = curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                curl_url_get(parts, CURLUPART_HOST, &host, CURLU_PUNYCODE) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (*usable_r && *host != '[' && inet_pton(AF_INET, host, &v4) != 1) {
        text = talloc_asprintf(ctx, "%s:%s", host, port);
        *name_r = talloc_strdup(ctx, host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return text;
}

static void resolve_and_transfer(struct http_call *call)
{
    char *name = NULL;
    bool usable;
    call->host = host_and_port(call, call->request.url, &name, &usable);
    call->url_invalid = !usable; /* libcurl reports it, later */
    if (call->host)
        call->lookup = resolver_look_up(call->client->resolver, name, on_resolved, call);
    else
        transfer(call);
    talloc_free(name);
}

static void on_place_granted(void *arg)
{
    struct http_call *call = arg;
    call->sent = true;
    resolve_and_transfer(call);
    if (call->on_sent)
        call->on_sent(call->arg);
}

static struct http_call *call_new(struct http_client *client, const struct http_request *request,
                                  struct transfers *transfers, http_done *done, void *arg)
{
    struct http_call *call = talloc_zero(client->calls, struct http_call);
    call->client = client;
    call->transfers = transfers;
    call->done = done;
    call->arg = arg;
    call->keep_max = HTTP_BODY_MAX;
    call->easy = curl_easy_init();
    talloc_set_destructor(call, http_call_destroy);
    copy_request(call, request);
    return call;
}

/* The authority of the URL: what the limit per destination host counts by. */
static const char *destination(const char *url, char *buffer, size_t size)
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    size_t n = strcspn(start, "/?#");
    snprintf(buffer, size, "%.*s", n < size ? (int)n : (int)size - 1, start);
    for (char *p = buffer; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return buffer;
}

static void queue_call(struct http_call *call, const id *workspace)
{
    char host[256];
    struct http_client *client = call->client;
    set_up_call(call);
    call->place = http_place_new(call, client->queue, workspace,
                                 destination(call->request.url, host, sizeof host), on_place_granted, call);
    http_queue_serve(client->queue);
}

struct http_call *http_send(struct http_client *client, const id *workspace,
                            const struct http_request *request, const char *idempotency_key, http_done *done,
                            void *arg)
{
    struct http_call *call = call_new(client, request, &client->steps, done, arg);
    call->idempotency_key = talloc_strdup(call, idempotency_key);
    queue_call(call, workspace);
    return call;
}

struct http_call *http_send_once(struct http_client *client, const id *workspace,
                                 const struct http_request *request, size_t keep_max, http_done *done,
                                 void *arg)
{
    struct http_call *call = call_new(client, request, &client->steps, done, arg);
    call->no_redirects = true;
    call->keep_max = keep_max;
    queue_call(call, workspace);
    return call;
}

struct http_call *http_send_streamed(struct http_client *client, const id *workspace,
                                     const struct http_request *request,
                                     bool (*on_body)(void *arg, const char *bytes, size_t size),
                                     http_done *done, void *arg)
{
    struct http_call *call = call_new(client, request, &client->models, done, arg);
    call->on_body = on_body;
    queue_call(call, workspace);
    return call;
}

bool http_notify_sent(struct http_call *call, void (*on_sent)(void *arg))
{
    call->on_sent = call->sent ? NULL : on_sent;
    return !call->sent;
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
    long status = call->status;
    bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &to);
    if (!redirect || !to || call->no_redirects || call->redirects == HTTP_REDIRECTS)
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
    if (elsewhere) {
        request->header_count = 0;
        call->idempotency_key = NULL;
    }
    request->url = talloc_strdup(call, to);
    request->body_size = request->body ? request->body_size : 0;
    curl_multi_remove_handle(call->transfers->multi, call->easy);
    curl_easy_reset(call->easy);
    set_up_call(call);
    resolve_and_transfer(call);
    return true;
}

/* --- the end --- */

static void set_call_error(struct http_call *call, struct http_response *a, CURLcode code)
{
    struct transport_facts facts = {.url_invalid = call->url_invalid,
                                    .redirected = call->redirects > 0,
                                    .limit_exceeded = call->limit_exceeded,
                                    .denial = call->denial,
                                    .address_allowed = call->address_allowed,
                                    .code = code,
                                    .text = call->error};
    struct transport_error e = transport_error_of(a, &facts);
    a->error = e.sentence;
    a->retry = e.retry;
}

static void finish_call(struct http_call *call, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = (int)status;
    if (code == CURLE_OK && follow_redirect(call))
        return;
    struct http_response *a = talloc_zero(call, struct http_response);
    a->status = (int)status;
    if (code != CURLE_OK) {
        set_call_error(call, a, code);
    } else {
        /* the fields of a HEAD response describe a body that was not sent */
        a->headers =
            response_headers_json(a, &call->headers_received, strcmp(call->request.method, "HEAD") != 0);
        a->body = call->body ? talloc_steal(a, call->body) : "";
        a->body_size = call->body_size < call->keep_max ? call->body_size : call->keep_max;
        const char *type = a->headers ? json_get_text(a->headers, "content-type") : NULL;
        a->content_type = type ? type : "";
    }
    call->done(call->arg, a);
    talloc_free(call);
}

static void finish_done_calls(struct transfers *transfers)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(transfers->multi, &left));) {
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
    const char *field = a->headers ? json_get_text(a->headers, "retry-after") : NULL;
    return field ? retry_after_parse(field, clock_wall_ms()) : 0;
}
