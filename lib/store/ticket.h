/* Tickets for event streams. A browser's EventSource cannot send headers, so it carries a ticket in its URL
 * instead of an API key. A ticket is the cell ("c7_", or nothing) and 256 random bits (lib/base/cell.h),
 * valid for one run; only its hash is stored. It must be used within one minute, then stays valid until five
 * minutes after the end of its run, and becomes invalid when the API key that created it expires or is
 * revoked. */
#pragma once

#include "base/cell.h"
#include "mariadb/db.h"

enum {
    TICKET_TEXT_SIZE = SECRET_TEXT_SIZE,
    TICKET_FIRST_USE_MS = 60 * 1000,
    TICKET_AFTER_END_MS = 5 * 60 * 1000,
};

/* `cell` is the setting cell.name. The caller must have found the run in its workspace. `quota` is the
 * setting quotas.tickets, which applies unless the workspace has its own limit. ERR_LIMIT: the workspace has
 * as many tickets as it may have.
 */
enum err ticket_create(struct db *db, const char *cell, const id *workspace, const id *execution,
                       const id *key, int64_t quota, char ticket_r[TICKET_TEXT_SIZE]) WARN_UNUSED;

struct ticket_access {
    id workspace_id, key_id;
    /* Requests a minute; 0: the setting's. */
    int64_t rate_limit;
    /* QUOTA_STREAMS; -1: the setting's. */
    int64_t streams;
};
/* ERR_DENIED: no ticket for this run, or no longer valid. */
enum err ticket_use(struct db *db, void *ctx, const char *ticket, const id *execution,
                    struct ticket_access *access_r) WARN_UNUSED;

/* Wall time; 0: not set. */
struct ticket_times {
    int64_t created_ms, used_ms, run_ended_ms, key_revoked_ms, key_expires_ms;
};
/* The rule above. Public for its unit tests. */
bool ticket_is_valid(const struct ticket_times *t, int64_t now_ms);

/* Looks at up to 500 tickets that are due and deletes those that can no longer be used. True: more are due.
 * Failures are logged. */
bool ticket_delete_expired(struct db *db);
