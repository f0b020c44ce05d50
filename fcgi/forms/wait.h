/* Waits for the end of a run without occupying a worker. nginx passes the request to the event daemon. When
 * the run is terminal, the time is over or the daemon is unreachable, nginx sends the request back as GET
 * /internal/waited. */
#pragma once

#include "base/ids.h"

struct request;

/* The shape of the response after the wait. */
enum wait_response_shape {
    /* The 202 of run-async, or the whole execution once it is terminal. */
    WAIT_SHAPE_RUN = 1,
    /* The 201 of a skill's start, or 200 once the execution is terminal. */
    WAIT_SHAPE_SKILL,
    /* The whole execution in any state. */
    WAIT_SHAPE_EXECUTION
};

enum { WAIT_MAX_S = 60 };

/* Seconds of `Prefer: wait=N` (RFC 7240), 0 if absent. A preference that cannot be honoured is not an error:
 * more than WAIT_MAX_S counts as WAIT_MAX_S, anything else as absent. */
int wait_from_prefer_header(struct request *r);
/* Replies by passing the request to the event daemon. Headers set before are kept. */
int wait_delegate(struct request *r, const id *execution, int seconds, enum wait_response_shape shape,
                  bool with_steps);
/* The shape by its name in the URI of /internal/waited; WAIT_SHAPE_EXECUTION for NULL or an unknown name. */
enum wait_response_shape wait_response_shape_parse(const char *name);
/* How many streams and waits the request's workspace may have open on this host: for the event daemon. */
long long wait_streams_max(const struct request *r);
