/* What was used and paid, as billing and callers read it: sums over the ledger, whose rows are never removed,
 * and the ledger itself. Results are of ctx. */
#pragma once

#include "account/account.h"
#include "mariadb/db.h"

enum usage_group { USAGE_BY_DAY, USAGE_BY_RESPONDER, USAGE_BY_KEY };

struct usage_row {
    int64_t day_ms;  /* by day, and in an export: its first millisecond, UTC */
    id workspace_id; /* in an export */
    const struct db_cell *workspace;
    id responder_id, key_id; /* as grouped; unset also where the ledger names none */
    int64_t runs;
    int64_t debited, refunded; /* micro-credits, both positive */
};

/* From a moment (included) to a moment (excluded). */
enum err usage_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                    enum usage_group group, struct usage_row **list_r, size_t *count_r) WARN_UNUSED;
/* By workspace (NULL: all), day, responder and key. Operators only. */
enum err usage_export(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                      struct usage_row **list_r, size_t *count_r) WARN_UNUSED;

/* Entries of the ledger before `after` (unset: from the newest), the newest first. */
enum err ledger_page(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct ledger_entry **list_r, size_t *count_r) WARN_UNUSED;
/* "grant", "debit", "refund" */
const char *ledger_kind_name(enum ledger_kind kind);
