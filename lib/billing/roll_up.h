/* The roll-up of old months of the ledger (docs/correctness.md). Of a month in which none of a workspace's
 * executions remains, the rows are removed, and their sums by day (UTC), kind, responder, key and grant
 * stay, with what of them counts in periods of budgets. A checksum of these sums and of the month before
 * closes the month: it can be proved later that nothing was changed.
 *
 * Months are rolled up in their order. A month is begun by one transaction; its rows are removed in slices,
 * each in a transaction that adds the same rows to the sums; the last one writes the checksum. Any process
 * continues what another one has begun. */
#pragma once

#include <stdbool.h>

#include "mariadb/db.h"

enum {
    /* A slice changes so many rows at most, unless one row has more parts. */
    ROLL_UP_CHANGES = 500,
    ROLL_UP_CHECKSUM = 32,
};

struct roll_up_rules {
    /* A month is rolled up when so many whole months have passed since its end; 0: none is. */
    int64_t after_months;
    /* And so many days later although a destination of the usage push has not got it yet. */
    int64_t wait_days;
    /* Instead of after_months: months before this one (schedule/calendar.h); 0: not given. */
    int before_month;
    /* Not set: all workspaces. */
    id workspace;
};

/* One transaction, or a look at the next workspaces. `after`: the last workspace that was looked at; not set
 * at first and when all were. *n_r: rows that were removed. *more_r: there may be more to do. A month that
 * cannot be rolled up yet is passed over. */
enum err roll_up_step(struct db *db, const struct roll_up_rules *rules, id *after, uint64_t *n_r,
                      bool *more_r) WARN_UNUSED;

struct roll_up {
    id workspace_id;
    const char *workspace;
    int month;
    bool done, unsent;
    int64_t n, amount, begun_ms, ended_ms;
    uint8_t checksum[ROLL_UP_CHECKSUM];
};
/* By workspace and month, of ctx. `workspace` NULL: all. */
enum err roll_up_list(struct db *db, void *ctx, const id *workspace, struct roll_up **list_r,
                      size_t *n_r) WARN_UNUSED;
/* The checksum that a month of a workspace has, and what its sums add up to. */
enum err roll_up_prove(struct db *db, const id *workspace, int month, const uint8_t *before,
                       struct roll_up *r) WARN_UNUSED;
/* Rows with lower ids may be gone; not set: none. */
enum err rolled_up_before(struct db *db, const id *workspace, id *before_r) WARN_UNUSED;
