#include "base/err.h"

const char *err_name(enum err e)
{
    static const char *const names[] = {"ok",          "invalid", "denied", "not_found", "conflict", "limit",
                                        "unavailable", "frozen",  "retry",  "uncertain", "internal"};
    return (unsigned)e < sizeof names / sizeof names[0] ? names[e] : "unknown";
}

bool err_is_transient(enum err e)
{
    return e == ERR_UNAVAILABLE || e == ERR_FROZEN || e == ERR_RETRY;
}
