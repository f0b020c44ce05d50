/* The error type of every room. A library function returns one of these values; the caller at the edge (HTTP
 * handler, main function, log line) decides what to report, and reports it once. */
#pragma once

#include <stdbool.h>

enum err {
    OK = 0,
    /* the caller's data is wrong; repeating the call unchanged cannot succeed */
    ERR_INVALID,
    /* not allowed */
    ERR_DENIED,
    /* does not exist, or does not belong to this workspace */
    ERR_NOT_FOUND,
    /* the current state of the object forbids it */
    ERR_CONFLICT,
    /* a documented limit is reached: credits, rate, size, concurrency */
    ERR_LIMIT,
    /* a server is unreachable or cannot serve the request. Nothing was done; a retry may succeed later. */
    ERR_UNAVAILABLE,
    /* the workspace is being moved to another cell, or was moved (accounts.frozen). Nothing was done. */
    ERR_FROZEN,
    /* a deadlock, a lock timeout, or a concurrent change. Nothing was done; a retry may succeed at once. */
    ERR_RETRY,
    /* a commit was sent and its reply was lost: the change may have been made */
    ERR_UNCERTAIN,
    /* a bug, or a fault of the machine */
    ERR_INTERNAL,
};

/* "retry", "not_found" ...: for log lines. "unknown" for a value outside the enum. Static memory. */
const char *err_name(enum err e);

/* ERR_UNAVAILABLE, ERR_FROZEN or ERR_RETRY: nothing was done, and the same call may succeed when it is
 * repeated. */
bool err_is_transient(enum err e);

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
