/* The error type of every room. A library function returns one of these values; the caller at the edge (HTTP
 * handler, main function, log line) decides what to report, and reports it once. */
#pragma once

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
    /* a server is unreachable, or a lock was not acquired. Nothing was done; a retry may succeed soon. */
    ERR_BUSY,
    /* a commit was sent and its reply was lost: the change may have been made */
    ERR_UNCERTAIN,
    /* a bug, or a fault of the machine */
    ERR_INTERNAL,
};

/* "busy", "not_found" ...: for log lines. "unknown" for a value outside the enum. Static memory. */
const char *err_name(enum err e);

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
