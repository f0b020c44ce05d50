/* Credits: reading a balance and its grants; grants, corrections and voids. Runs are charged by
 * lib/run/accept.h and refunded by lib/run/run_tx.h; lib/account/grants.h moves the credits. */
#pragma once

#include "account/grant.h"
#include "account/idempotency.h"
#include "mariadb/db.h"
#include "redis/redis.h"

/* Limits of the texts of a grant, in bytes. */
enum { CREDIT_REASON_MAX = 500, CREDIT_REFERENCE_MAX = 200 };

/* What of a grant people see. */
enum credit_grant_status {
    CREDIT_GRANT_SCHEDULED = 1,
    CREDIT_GRANT_ACTIVE,
    CREDIT_GRANT_EXPIRED,
    CREDIT_GRANT_VOIDED,
    CREDIT_GRANT_USED,
};
/* "scheduled", "active" ... */
const char *credit_grant_status_name(enum credit_grant_status status);
/* 0: no such name. */
enum credit_grant_status credit_grant_status_find(const char *name);
/* "promotional", "paid" */
const char *credit_category_name(enum grant_category category);
/* 0: no such name. */
enum grant_category credit_category_find(const char *name);

struct credit_grant_row {
    struct grant grant;
    enum credit_grant_status status;
    /* NULL: none. */
    const char *reference;
};

struct credit_grant {
    id workspace_id;
    /* The id of the new grant, chosen by the caller; of a correction, that of its ledger row. */
    id grant_id;
    /* Micro-credits; a negative number corrects a balance: it is taken from the grants in their order, and
     * the rest of the fields down to expires_ms is not used. */
    int64_t micro;
    enum grant_category category;
    int priority;
    /* MariaDB's wall time; effective_ms 0: now; expires_ms 0: never. */
    int64_t effective_ms, expires_ms;
    const char *reason;
    /* Makes the grant idempotent in its workspace, for ever; NULL: none. */
    const char *reference;
    /* Of a request with an Idempotency-Key, else absent. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
    /* Makes the response that is stored with the key, on ctx; called under the account's lock. */
    struct stored_response (*respond)(void *ctx, const struct credit_grant_row *row, bool is_new);
};
struct credit_grant_outcome {
    int64_t balance;
    /* False: the reference was used before, for the same grant; nothing was changed. */
    bool is_new;
    /* The grant; also with ERR_CONFLICT, then the one that has the reference. Of a correction only `id` and
     * `amount`, which is negative. */
    struct credit_grant_row row;
    /* Not free: nothing was changed. */
    struct idempotency_match key;
};
/* Adds credits, or takes them, under the account's lock. The new balance is copied to Redis, which may be
 * NULL. Texts of the outcome are on ctx. ERR_NOT_FOUND: no such workspace. ERR_LIMIT: the balance would fall
 * below zero, or the workspace would exceed a limit of account/grants.h. ERR_CONFLICT: the reference was used
 * for another grant. ERR_INVALID: it would expire before it starts, or has expired. On an error nothing was
 * changed. */
enum err credit_grant(struct db *db, struct redis *redis, void *ctx, const struct credit_grant *grant,
                      struct credit_grant_outcome *outcome_r) WARN_UNUSED;

struct credit_void {
    id workspace_id, grant_id;
    /* Of the request, chosen by the caller, and of the ledger row. */
    id void_id;
    const char *reason;
};
struct credit_void_outcome {
    int64_t balance;
    /* Micro-credits that were taken out of the balance; 0 if it was voided before. */
    int64_t micro;
    /* False: it was voided before; nothing was changed. */
    bool is_new;
};
/* Takes what a grant has left out of the balance. ERR_NOT_FOUND: no such workspace or grant. ERR_CONFLICT:
 * the grant has expired. */
enum err credit_void(struct db *db, struct redis *redis, const struct credit_void *v,
                     struct credit_void_outcome *outcome_r) WARN_UNUSED;

/* Grants of a workspace, newest first, with what each has left. `status` 0: any; `before`: unset: from the
 * newest. The list is on ctx. */
enum err credit_grants_page(struct db *db, void *ctx, const id *workspace, enum credit_grant_status status,
                            const id *before, int64_t limit, struct credit_grant_row **list_r,
                            size_t *n_r) WARN_UNUSED;

/* The present balance in micro-credits. ERR_NOT_FOUND: no such workspace. */
enum err credit_balance(struct db *db, const id *workspace, int64_t *balance_r) WARN_UNUSED;
