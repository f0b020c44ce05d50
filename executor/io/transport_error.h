/* Why an HTTP request has no response: the one place that decides what is told, and whether another try may
 * succeed. Only three causes are final: the URL is not usable, the egress policy allows none of the host's
 * addresses, and a size limit of the response. Everything else is a transport error, whatever the server did
 * instead of speaking HTTP, and may be tried again. Pure. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>

struct transport_facts {
    /* the URL cannot be parsed, or is neither http nor https; redirected: it came from a server */
    bool url_invalid, redirected;
    /* a sentence: a size limit was exceeded; NULL: none was */
    const char *limit_exceeded;
    /* a sentence about an address that the egress policy denied; NULL: none */
    const char *denial;
    /* the policy allowed another address, to which a connection was tried */
    bool address_allowed;
    CURLcode code;
    /* the text of libcurl; "": that of the code */
    const char *text;
};

struct transport_error {
    /* of ctx; valid UTF-8 */
    const char *sentence;
    bool retry;
};

struct transport_error transport_error_of(void *ctx, const struct transport_facts *facts);
