/* The HTTP client of the loop thread: libcurl's multi interface on libevent.
 *
 * Only http and https. No proxy from the environment, no .netrc, no cookies. Certificates are verified. Every
 * address is checked against the egress policy after resolution. Redirects are followed here and not by
 * libcurl: at most HTTP_REDIRECTS, never from https to http, each checked against the egress policy again. A
 * redirect to another origin drops the caller's headers, and is not followed if it would repeat the body
 * there. Responses are limited in size; the limits of headers are in response_headers.h.
 *
 * There is no total timeout; the caller cancels a call. Loop thread only. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "executor/io/egress.h"
#include "service/timers.h"
#include "workflow/http_request.h"

enum {
    HTTP_REDIRECTS = 5,
    /* bytes, after decoding Content-Encoding */
    HTTP_BODY_MAX = 256 * 1024,
    /* seconds until the connection must be established */
    HTTP_CONNECT_S = 10,
};

struct http_client;
struct http_call;

struct http_response {
    /* A sentence: there is no response, and only `retry` is set. NULL: there is a response. */
    const char *error;
    /* after an error: another try may succeed */
    bool retry;
    int status;
    /* names in lower case; values of repeated headers are joined by ", " */
    json_object *headers;
    const char *body;
    size_t body_size;
    /* "": none */
    const char *content_type;
};
/* `response` is valid until the function returns; the call is freed then. */
typedef void http_done(void *arg, const struct http_response *response);

/* NULL: libcurl cannot be initialized. */
struct http_client *http_client_new(void *ctx, struct event_base *base, struct timers *timers,
                                    const struct egress_policy *egress_policy);

/* Sends the request, which is copied. `idempotency_key` (may be NULL) becomes the Idempotency-Key header,
 * unless the request has one. `done` is called once, later, never from within this function, unless the call
 * is cancelled. */
struct http_call *http_send(struct http_client *client, const struct http_request *request,
                            const char *idempotency_key, http_done *done, void *arg);
/* The same, but the body of a 2xx response is passed to `on_body` as it arrives, is not kept, and is not
 * limited by HTTP_BODY_MAX. If on_body returns false, the call fails. */
struct http_call *http_send_streamed(struct http_client *client, const struct http_request *request,
                                     bool (*on_body)(void *arg, const char *bytes, size_t size),
                                     http_done *done, void *arg);
/* Aborts and frees the call; `done` is not called. */
void http_cancel(struct http_call *call);
/* Calls whose response has not come yet. */
size_t http_calls_in_flight(const struct http_client *client);
/* The Retry-After header: seconds (less than a day), or a date (RFC 9110, section 10.2.3). 0: none. */
int64_t http_retry_after_ms(const struct http_response *response);
