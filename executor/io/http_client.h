/* The HTTP client of the loop thread: libcurl's multi interface on libevent.
 *
 * A call first waits for a place (http_queue.h), then its host name is resolved (resolver.h), then it is
 * sent.
 *
 * Only http and https. No proxy from the environment, no .netrc, no cookies. Certificates are verified. Every
 * address is checked against the egress policy twice: when the host name was resolved, and when libcurl
 * connects. Redirects are followed here and not by libcurl: at most HTTP_REDIRECTS, never from https to http,
 * each checked against the egress policy again. A redirect to another origin drops the caller's headers and
 * the Idempotency-Key, and is not followed if it would repeat the body there. Responses are limited in size;
 * the limits of headers are in response_headers.h.
 *
 * There is no total timeout; the caller cancels a call. Loop thread only. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "base/share.h"
#include "executor/io/egress.h"
#include "service/timers.h"
#include "workflow/http_request.h"

enum {
    HTTP_REDIRECTS = 5,
    /* bytes, after decoding Content-Encoding */
    HTTP_BODY_MAX = 256 * 1024,
    /* seconds until the connection must be established */
    HTTP_CONNECT_S = 10,
    /* seconds in which a response, once its headers have come, must bring at least one byte of its body; a
     * streamed response may be silent longer */
    HTTP_STALL_S = 60,
    /* requests in flight that every workspace may have, whatever the others have */
    HTTP_WORKSPACE_MIN = 64,
};

struct http_client;
struct http_call;

struct http_response {
    /* A sentence: there is no response, and only `retry` is set. NULL: there is a response. */
    const char *error;
    /* after an error: another try may succeed */
    bool retry;
    int status;
    /* response_headers.h */
    json_object *headers;
    const char *body;
    size_t body_size;
    /* "": none */
    const char *content_type;
};
/* The call is freed when the function returns, and `response` with it, unless the function steals `response`
 * (talloc), which owns all that its fields refer to. */
typedef void http_done(void *arg, const struct http_response *response);

struct http_client_settings {
    /* for the requests of steps, and for those of models (http_send_streamed); borrowed */
    const struct egress_policy *steps_policy, *models_policy;
    /* name servers: resolver.h */
    const char *dns_servers;
    /* requests in flight; half as many to one destination host. A request keeps the place that it got for its
     * first host when it follows a redirect. */
    size_t max_in_flight;
    /* of a workspace */
    struct share_limit workspace_max, workspace_guaranteed;
    /* Asked before anything is sent: before each request of a call, redirects included, and whenever a socket
     * is ready or a timer of libcurl fires, because the process may have been stopped meanwhile. False:
     * nothing is sent or received any more, and the owner is about to cancel all calls. */
    bool (*may_send)(void *arg);
    void *arg;
};
/* NULL: *why_r is a sentence. */
struct http_client *http_client_new(void *ctx, struct event_base *base, struct timers *timers,
                                    const struct http_client_settings *settings, const char **why_r);

/* Sends the request, which is copied, when the limits allow it; `workspace` is whose share it takes.
 * `idempotency_key` (may be NULL) becomes the Idempotency-Key header, unless the request has one. `done` is
 * called once, later, never from within this function, unless the call is cancelled. */
struct http_call *http_send(struct http_client *client, const id *workspace,
                            const struct http_request *request, const char *idempotency_key, http_done *done,
                            void *arg);
/* The same, but the body of a 2xx response is passed to `on_body` as it arrives, is not kept, and is not
 * limited by HTTP_BODY_MAX. If on_body returns false, the call fails. */
struct http_call *http_send_streamed(struct http_client *client, const id *workspace,
                                     const struct http_request *request,
                                     bool (*on_body)(void *arg, const char *bytes, size_t size),
                                     http_done *done, void *arg);
/* The same as http_send, but a redirect is not followed: it is the response. Of the body the first `keep_max`
 * bytes are kept; the rest is read and dropped, up to HTTP_BODY_MAX. */
struct http_call *http_send_once(struct http_client *client, const id *workspace,
                                 const struct http_request *request, size_t keep_max, http_done *done,
                                 void *arg);
/* True: the call waits for its place, and `on_sent` is called with the call's arg when it gets that. */
bool http_notify_sent(struct http_call *call, void (*on_sent)(void *arg));
/* Aborts and frees the call; `done` is not called. */
void http_cancel(struct http_call *call);
/* Calls that have a place and whose response has not come yet; calls that wait for a place. */
size_t http_calls_in_flight(const struct http_client *client);
size_t http_calls_waiting(const struct http_client *client);
/* Of one workspace, in flight. */
size_t http_calls_of(const struct http_client *client, const id *workspace);
/* The Retry-After field in milliseconds from now (executor/io/retry_after.h). 0: none. */
int64_t http_retry_after_ms(const struct http_response *response);
