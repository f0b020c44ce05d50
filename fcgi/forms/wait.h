/* Waiting for a run's end without holding a worker: the request is handed to the event daemon through nginx,
 * and comes back as GET /internal/waited once the run is terminal or the time is over (or the daemon is
 * away). */
#pragma once

#include "base/ids.h"

struct request;

/* What is answered where the run is not terminal by then. */
enum wait_response_shape {
    WAIT_SHAPE_RUN = 1 /* the 202 of run-async */,
    WAIT_SHAPE_SKILL /* the 201 of a skill's start */,
    WAIT_SHAPE_EXECUTION
};

enum { WAIT_MAX_S = 60 };

/* Seconds of `Prefer: wait=N` (RFC 7240), 0 where there is none. A preference that cannot be had is no error:
 * more than 60 is taken for 60, anything else for none. */
int wait_from_prefer_header(const struct request *r);
/* Replies by handing the request on. Headers that were set stay. */
int wait_delegate(struct request *r, const id *execution, int seconds, enum wait_response_shape shape,
                  bool with_steps);
enum wait_response_shape wait_response_shape_parse(const char *name);

/* Reads one preference field ("respond-async, wait=10"); public for its tests. */
int wait_parse_prefer(const char *field);
