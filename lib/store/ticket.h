/* Tickets for event streams: what a browser's EventSource, which cannot send headers, carries in its URL
 * instead of a key. A ticket is 256 random bits for one run; only its hash is stored. It must be used within
 * a minute, is then good until its run's end plus five, and dies with the key that it was made with. */
#pragma once

#include "mariadb/db.h"

enum {
    TICKET_TEXT_SIZE = 43 + 1,
    TICKET_FIRST_USE_MS = 60 * 1000,
    TICKET_AFTER_END_MS = 5 * 60 * 1000,
};

/* A new one, for a run that the caller has seen in its workspace. */
enum err ticket_create(struct db *db, const id *workspace, const id *execution, const id *key,
                       char ticket_r[TICKET_TEXT_SIZE]) WARN_UNUSED;

struct ticket_access {
    id workspace_id, key_id;
    int64_t rate_limit; /* requests a minute; 0: the setting's */
};
/* ERR_DENIED: no ticket for this run, or not any more. */
enum err ticket_use(struct db *db, void *ctx, const char *ticket, const id *execution,
                    struct ticket_access *access_r) WARN_UNUSED;

/* Deletes some of those that are good for nothing any more. To be called now and then. */
void ticket_delete_expired(struct db *db);
