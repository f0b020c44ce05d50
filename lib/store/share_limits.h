/* How many units of the shared pools each workspace may hold (quota_is_share): the limits that operators have
 * set, kept in memory, because they are asked for where MariaDB is not. A change applies within about 5 s.
 * Any thread, except that share_limits_refresh uses the caller's connection. */
#pragma once

#include "store/quota.h"

struct share_limits;

enum {
    SHARE_LIMITS_AGE_MS = 5000,
    /* Limits that are read; the settings apply to further workspaces. */
    SHARE_LIMITS_MAX = 10000,
};

/* Owned by ctx; the settings apply until share_limits_refresh has succeeded. */
struct share_limits *share_limits_new(void *ctx, const struct config *config);
/* Reads the limits again if they are older than SHARE_LIMITS_AGE_MS. After an error the last ones apply, and
 * they are read again after that time. */
enum err share_limits_refresh(struct share_limits *l, struct db *db) WARN_UNUSED;
/* Sorts and takes what was read; for share_limits_refresh and unit tests. */
struct share_row {
    id workspace;
    enum quota quota;
    int64_t value;
};
void share_limits_put(struct share_limits *l, const struct share_row *rows, size_t n);
/* At least 1. */
size_t share_limits_get(struct share_limits *l, enum quota quota, const id *workspace);
