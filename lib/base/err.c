#include "base/err.h"

const char *err_name(enum err e)
{
    static const char *const names[] = {"ok",    "invalid", "denied",    "not_found", "conflict",
                                        "limit", "busy",    "uncertain", "internal"};
    return (unsigned)e < sizeof names / sizeof names[0] ? names[e] : "unknown";
}
