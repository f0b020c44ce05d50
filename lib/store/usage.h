/* What a workspace sees of its own ledger: usage, and the rows themselves. Results are allocated on ctx. */
#pragma once

#include "account/account.h"
#include "mariadb/db.h"

enum usage_group { USAGE_BY_DAY, USAGE_BY_RESPONDER, USAGE_BY_KEY };

struct usage_row {
    /* First millisecond of the day, UTC; set by USAGE_BY_DAY. */
    int64_t day_ms;
    /* Set as grouped; unset also where the ledger names none. */
    id responder_id, key_id;
    int64_t runs;
    /* Micro-credits, both positive. */
    int64_t debited, refunded;
};

/* Of the interval that includes from_ms and excludes to_ms. Of months that are rolled up only whole days
 * (UTC) are known: there, both must be midnights. */
enum err usage_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                    enum usage_group group, struct usage_row **list_r, size_t *count_r) WARN_UNUSED;

struct ledger_row {
    struct ledger_entry entry;
    /* The grants that it concerns; their sum is its amount. Of a row of 0 credits: none. */
    struct grant_part *parts;
    size_t parts_n;
};
/* Ledger entries older than `after` (unset: from the newest), newest first. */
enum err ledger_page(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct ledger_row **list_r, size_t *count_r) WARN_UNUSED;
/* "grant", "debit" ... */
const char *ledger_kind_name(enum ledger_kind kind);
