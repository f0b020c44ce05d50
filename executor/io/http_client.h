/* Outgoing HTTP of the loop thread: libcurl's multi interface on libevent. http and https only, no ambient
 * proxy, no .netrc, no cookies; addresses judged by outgoing.h after resolution; redirects followed here, at
 * most HTTP_REDIRECTS, each judged again, without the caller's headers once they lead elsewhere; bytes
 * capped. Certificates are verified. */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "executor/io/egress.h"
#include "service/timers.h"
#include "workflow/http_request.h"

enum {
    HTTP_REDIRECTS = 5,
    HTTP_BODY_MAX = 256 * 1024, /* bytes, decoded */
    HTTP_HEADERS_MAX = 32 * 1024,
    HTTP_CONNECT_S = 10,
};

struct http_client;
struct http_call;

struct http_response {
    const char *error; /* a sentence: no answer came, and then nothing else is set */
    bool retry;        /* it may go better next time */
    int status;
    json_object *headers; /* names in lower case; of several, the values joined by ", " */
    const char *body;
    size_t body_size;
    const char *content_type; /* "" where there is none */
};
/* The answer lives as long as the call that is done; the call is freed after this. */
typedef void http_done(void *arg, const struct http_response *response);

/* NULL where libcurl cannot be had. */
struct http_client *http_client_new(void *ctx, struct event_base *base, struct timers *timers,
                                    const struct egress_policy *egress_policy);

/* Sends. The request is copied. `idempotency_key` is added where the request has none of its own. `done` is
 * called once, later, never from within, unless the call is cancelled. */
struct http_call *http_send(struct http_client *client, const struct http_request *request,
                            const char *idempotency_key, http_done *done, void *arg);
/* The same, with the body of a 2xx answer told as it comes in (and not kept); HTTP_BODY_MAX does not hold for
 * it. Where `take` returns false the call fails. */
struct http_call *http_send_streamed(struct http_client *client, const struct http_request *request,
                                     bool (*on_body)(void *arg, const char *bytes, size_t size),
                                     http_done *done, void *arg);
void http_cancel(struct http_call *call);
/* Calls whose response has not come yet. */
size_t http_calls_in_flight(const struct http_client *client);
/* Retry-After: seconds, or a date (RFC 9110, 10.2.3); 0 where there is none. */
int64_t http_retry_after_ms(const struct http_response *response);
