/* What can go wrong, in nine words. Core returns one of them; the edge (an HTTP answer, an exit code, a log
 * line) decides what to say, and says it once. */
#pragma once

#include <stdbool.h>

enum err {
    OK = 0,
    ERR_INVALID,   /* the caller's data is wrong: repeating it unchanged cannot help */
    ERR_DENIED,    /* not allowed */
    ERR_NOT_FOUND, /* does not exist, or not for this workspace */
    ERR_CONFLICT,  /* the state of the thing forbids it */
    ERR_LIMIT,     /* a written-down limit (credits, rate, size, concurrency) */
    ERR_BUSY,      /* a server is away or a lock was not had: nothing was done, the same may work soon */
    ERR_UNCERTAIN, /* a commit was sent and its answer lost: it may have been done */
    ERR_INTERNAL,  /* a bug or a broken machine */
};

/* The HTTP status that an error has where nothing more precise is known. */
int err_http_status(enum err e);

/* Whether the same call may succeed if simply repeated. ERR_UNCERTAIN is not: it has a rule of its own. */
bool err_may_retry(enum err e);

/* "busy", "not_found" …: for log lines. */
const char *err_name(enum err e);

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
