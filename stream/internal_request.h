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

enum { ASK_HEAD_MAX = 8 * 1024, ASK_QUERY_MAX = 512, ASK_WAIT_MAX_S = 60, ASK_REQUEST_ID_MAX = 64 };

struct ask {
    enum { ASK_EVENTS = 1, ASK_WAIT } what;
    id execution, workspace, key;
    int after;                               /* events */
    int seconds;                             /* wait */
    char query[ASK_QUERY_MAX + 1];           /* as it came */
    char request_id[ASK_REQUEST_ID_MAX + 1]; /* of the client's request, "" where there is none */
};

/* `head` is all up to and with the empty line. False where it is nothing that is answered here. */
bool ask_read(const char *head, size_t size, struct ask *ask_r);
