/* What became of a request to start a run: the verdict of accepting, and the answer that a repeated request
 * gets. */
#pragma once

#include <stdint.h>

#include "base/ids.h"
#include "base/span.h"

enum run_verdict {
    RUN_ACCEPTED = 1,
    RUN_REPLAYED,             /* key known, same request: status, body and execution_id of the first answer */
    RUN_CHILD_EXISTS,         /* this (parent, step, item, try) has its child already: execution_id */
    RUN_KEY_REUSED,           /* 422 */
    RUN_IN_FLIGHT,            /* 409 */
    RUN_TOOL_CALL_EXISTS,     /* 409: execution_id */
    RUN_INSUFFICIENT_CREDITS, /* 402 */
    RUN_CONCURRENCY_LIMITED,  /* 429 */
    RUN_RESPONDER_CHANGED,    /* archived or a newer version: load it again and repeat */
    RUN_PARENT_GONE,          /* the parent is not running our attempt any more */
    RUN_TREE_LIMIT,           /* depth or size of the tree */
    RUN_UNAVAILABLE,          /* 503: nothing was done */
    RUN_UNCERTAIN,            /* 504: it may have been done; the same key tells */
    RUN_INTERNAL,             /* 500 */
};

struct run_answer {
    enum run_verdict verdict;
    id execution_id;
    int status;
    struct span body;
    int64_t cost;          /* micro, where accepted */
    int64_t active, limit; /* where concurrency-limited */
};
