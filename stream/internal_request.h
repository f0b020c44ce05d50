/* The requests of nginx to the event daemon. They come only from nginx's internal locations, after the API
 * has authenticated the client and checked the parameters. The API writes the query into X-Accel-Redirect:
 *
 *   GET /internal/stream/events?execution=ID&workspace=ID&key=ID&after=N&streams=N
 *   GET /internal/stream/log?…, with the same parameters as for events
 *   GET /internal/stream/wait?execution=ID&workspace=ID&seconds=N&streams=N…
 *
 * Pure: parses the head of a request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

enum {
    INTERNAL_REQUEST_HEAD_MAX = 8 * 1024,
    INTERNAL_REQUEST_QUERY_MAX = 512,
    INTERNAL_REQUEST_WAIT_MAX_S = 60,
    INTERNAL_REQUEST_ID_MAX = 64
};

struct internal_request {
    enum { INTERNAL_REQUEST_EVENTS = 1, INTERNAL_REQUEST_WAIT } kind;
    id execution, workspace, key;
    /* events: the text of the log is wanted */
    bool as_log;
    /* events: number of the last event that the client has */
    int after;
    /* streams and waits that the workspace may have open; INT_MAX if absent, as from an API of an older
     * release */
    int streams;
    /* wait: seconds until the wait is answered without an end */
    int seconds;
    /* the query as received */
    char query[INTERNAL_REQUEST_QUERY_MAX + 1];
    /* request id of the client's request; "" if absent */
    char request_id[INTERNAL_REQUEST_ID_MAX + 1];
};

/* Parses `head`, which ends with the empty line. False if the request is invalid or not one of the three. */
bool internal_request_parse(const char *head, size_t size, struct internal_request *request_r);
