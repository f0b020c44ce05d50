/* Alerts of credits (docs/budgets.md): what account_write tells the webhooks of a workspace when its balance
 * or what it spends crosses a line. Rows of `credit_alerts` are read and written only under the account's
 * lock. The account's row knows the nearest lines, so that an account that crosses none costs no statement.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "mariadb/db.h"

/* Bits of account_alerts.flags. */
enum { ACCOUNT_ALERTS_BALANCE = 1, ACCOUNT_ALERTS_SPEND = 2 };

/* Where a locked account crosses a line. Amounts in micro-credits. */
struct account_alerts {
    uint32_t flags;
    /* A balance of `below` or less crosses a line, one above `above` leaves one. */
    int64_t below, above;
    /* What runs cost in the day that ends at until_ms, less what was refunded in it; more than spent_line
     * crosses the line. */
    int64_t spent, until_ms, spent_line;
    /* What this transaction adds to `spent`. */
    int64_t spends;
    /* The settings were changed. */
    bool changed;
};

/* Stored in MariaDB: add new ones, never renumber. */
enum alert_kind {
    /* The balance is so many micro-credits or less. */
    ALERT_CREDITS = 1,
    /* The balance is so many percent of the last top-up or less. */
    ALERT_PERCENT = 2,
    /* More than so many percent of what is usual were spent in a day. */
    ALERT_SPEND = 3,
};

enum {
    /* Whole days that what is usual is the median of. */
    ALERT_DAYS = 7,
    /* Fewer say nothing of what is usual. */
    ALERT_DAYS_MIN = 3,
};

struct alert {
    enum alert_kind kind;
    int64_t value;
    /* Of ALERT_SPEND: the lowest line, in micro-credits. */
    int64_t at_least;
    /* Micro-credits; -1: there is none yet. */
    int64_t line;
    /* Of ALERT_SPEND: micro-credits, -1: not known; the start of the first whole day that counts. */
    int64_t usual, since_ms;
    /* The line is crossed, and that was told. */
    bool told;
    /* Crossed just now; the row must be written. */
    bool fires, changed;
};

/* The alerts of a workspace, and what its account says. */
struct alert_list {
    struct alert *alerts;
    size_t n;
    /* Micro-credits; top_up -1: nothing was paid yet. */
    int64_t balance, top_up, spent;
    /* The end of the day that `spent` is of; 0: not counted. */
    int64_t until_ms;
    /* NULL: UTC. */
    const char *timezone;
};

/* ERR_NOT_FOUND: no such workspace. The list is on ctx. */
enum err alerts_read(struct db *db, void *ctx, const id *workspace, struct alert_list *list_r) WARN_UNUSED;
/* Writes those that are marked as changed. */
enum err alerts_put(struct db_tx *tx, const id *workspace, const struct alert *alerts, size_t n) WARN_UNUSED;

/* The line of a percentage, rounded down; at most INT64_MAX. */
int64_t alert_percent_of(int64_t micro, int64_t percent);
/* The line of spending, once `usual` is known. */
int64_t alert_spend_line(const struct alert *spend);
/* Decides the alerts of a balance, and keeps the nearest lines in `nearest`. */
void alerts_decide_balance(struct account_alerts *nearest, int64_t balance, struct alert *alerts, size_t n);
/* The median of what was spent in `n` days, rounded down; sorts `days`. A day of more refunds than debits
 * counts as 0. -1: fewer than ALERT_DAYS_MIN. */
int64_t alert_median(int64_t *days, size_t n);

/* A locked account whose changes are made. */
struct alert_subject {
    id workspace_id;
    /* Micro-credits; top_up: the paid grant that has started in this transaction; -1: none has. */
    int64_t balance, top_up;
    /* MariaDB's wall time. */
    int64_t now_ms;
    struct account_alerts *alerts;
};
/* Part of account_write: decides the alerts and writes what changes. */
enum err alerts_write(struct db_tx *tx, const struct alert_subject *a) WARN_UNUSED;
