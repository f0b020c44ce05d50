#include "base/err.h"

int err_http_status(enum err e)
{
    switch (e) {
    case OK:
        return 200;
    case ERR_INVALID:
        return 400;
    case ERR_DENIED:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_LIMIT:
        return 429;
    case ERR_BUSY:
        return 503;
    case ERR_UNCERTAIN:
        return 504;
    case ERR_INTERNAL:
        break;
    }
    return 500;
}

bool err_may_retry(enum err e)
{
    switch (e) {
    case ERR_BUSY:
        return true;
    case OK:
    case ERR_INVALID:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_LIMIT:
    case ERR_UNCERTAIN:
    case ERR_INTERNAL:
        break;
    }
    return false;
}

const char *err_name(enum err e)
{
    static const char *const names[] = {"ok",    "invalid", "denied",    "not_found", "conflict",
                                        "limit", "busy",    "uncertain", "internal"};
    return (unsigned)e < sizeof names / sizeof names[0] ? names[e] : "unknown";
}
