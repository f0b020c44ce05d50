/* What nginx asks of the event daemon. Requests come from its internal locations alone, after the API has
 * authenticated the client and checked all of this; the query is what the API wrote into X-Accel-Redirect:
 *
 *   GET /internal/stream/events?execution=ID&workspace=ID&key=ID&after=N
 *   GET /internal/stream/wait?execution=ID&workspace=ID&seconds=N…
 *
 * Pure: reads a request's head. */
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
    int after;                                    /* events */
    int seconds;                                  /* wait */
    char query[INTERNAL_REQUEST_QUERY_MAX + 1];   /* as it came */
    char request_id[INTERNAL_REQUEST_ID_MAX + 1]; /* of the client's request, "" where there is none */
};

/* `head` is all up to and with the empty line. False where it is nothing that is answered here. */
bool internal_request_parse(const char *head, size_t size, struct internal_request *request_r);
