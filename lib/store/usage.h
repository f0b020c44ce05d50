/* Billing: sums over the ledger, whose rows are never removed, and the ledger itself. Results are allocated
 * on ctx. */
#pragma once

#include "account/account.h"
#include "mariadb/db.h"

enum usage_group { USAGE_BY_DAY, USAGE_BY_RESPONDER, USAGE_BY_KEY };

struct usage_row {
    /* First millisecond of the day, UTC; set by USAGE_BY_DAY and by an export. */
    int64_t day_ms;
    /* Set by an export. */
    id workspace_id;
    const struct db_cell *workspace;
    /* Set as grouped; unset also where the ledger names none. */
    id responder_id, key_id;
    /* Set by an export: the name of the workflow or the slug of the skill, and the displayed beginning of the
     * key; NULL in the cell: none. */
    const struct db_cell *responder, *key_prefix;
    int64_t runs;
    /* Micro-credits, both positive. */
    int64_t debited, refunded;
};

/* Of the interval that includes from_ms and excludes to_ms. */
enum err usage_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                    enum usage_group group, struct usage_row **list_r, size_t *count_r) WARN_UNUSED;
/* Grouped by workspace (NULL: all), day, responder and key. For operators only. */
enum err usage_export(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                      struct usage_row **list_r, size_t *count_r) WARN_UNUSED;

/* The sums of a workspace's ledger: closing = opening + grants - used + refunds - expired - voided.
 * Micro-credits. */
struct statement {
    id workspace_id;
    const struct db_cell *workspace;
    /* The balance before the interval. */
    int64_t opening;
    /* Corrections included. */
    int64_t grants;
    /* Debits, as a positive number. */
    int64_t used;
    int64_t refunds;
    /* Of grants, as positive numbers. */
    int64_t expired, voided;
    int64_t closing, runs;
};
/* Of the interval that includes from_ms and excludes to_ms, of one workspace or (NULL) of all, sorted by
 * name. For operators only. */
enum err statement_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                        struct statement **list_r, size_t *count_r) WARN_UNUSED;

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
