/* Usage push: destinations that get the rows of the ledger as CloudEvents (docs/billing.md). A destination
 * belongs to the operator and gets the rows of all workspaces. Its cursor is the number of a row
 * (billing/ledger_numbers.h): what has this number or a lower one was accepted by the destination or is set
 * aside. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mariadb/db.h"

enum {
    PUSHES_MAX = 16,
    PUSH_URL_MAX = 2048,
    PUSH_SECRET_MAX = 4096,
    /* push_list counts no further. */
    PUSH_LAG_MAX = 10000,
};
/* All kinds of rows, also those of later versions. */
#define PUSH_KINDS_ALL UINT32_MAX

enum push_auth { PUSH_AUTH_NONE, PUSH_AUTH_BEARER, PUSH_AUTH_SIGNATURE };

struct push {
    id id;
    /* As secret_name_fits. */
    const char *name, *url;
    /* 1 << kind of each kind of row (enum ledger_kind) that is sent, or PUSH_KINDS_ALL. */
    uint32_t kinds;
    enum push_auth auth;
    int64_t number;
    bool paused;
    /* Tries since the last success, and since when; 0: the last one succeeded. */
    int64_t failures, failing_since_ms;
    /* Of the last answer, 0: none; of the last try, NULL: it succeeded. */
    int64_t status;
    const char *error;
    /* The last success; 0: none yet. */
    int64_t sent_ms, sent_rows, created_ms;
    /* Rows of all kinds after the cursor, PUSH_LAG_MAX at most, and how old the first of them is. */
    int64_t lag_rows, lag_ms;
    int64_t aside_rows;
};

/* All kinds of rows that this version knows. */
uint32_t push_all_kinds(void);
/* Reads names of kinds, separated by commas, or "all" (PUSH_KINDS_ALL). False: one is unknown, or there is
 * none. */
bool push_kinds_parse(const char *text, uint32_t *kinds_r);
/* The names, of ctx. */
const char *push_kinds_text(void *ctx, uint32_t kinds);
const char *push_auth_name(enum push_auth auth);
/* Text of a bearer token: 4 to PUSH_SECRET_MAX visible ASCII characters. */
bool push_bearer_fits(const char *token);

/* Adds a destination with p's name, url, kinds and auth. `key` and `secret` may be NULL without auth.
 * `from_start`: it gets the ledger from its first row, else what enters it from now on. ERR_CONFLICT: the
 * name is taken. ERR_LIMIT: there are PUSHES_MAX. */
enum err push_add(struct db *db, const uint8_t *key, const struct push *p, const char *secret,
                  bool from_start) WARN_UNUSED;
/* All, by name, of ctx. */
enum err push_list(struct db *db, void *ctx, struct push **list_r, size_t *n_r) WARN_UNUSED;

/* What can be done with a destination. RETRY: what is set aside is sent again, and a destination that pauses
 * after a failure is tried at once. */
enum push_change { PUSH_PAUSE, PUSH_RESUME, PUSH_REMOVE, PUSH_RETRY };
/* ERR_NOT_FOUND: no destination has this name. */
enum err push_do(struct db *db, const char *name, enum push_change change) WARN_UNUSED;

/* How the secret of a destination is sealed: as a secret of this name that belongs to the destination's id.
 */
#define PUSH_SEAL_NAME "push"
