/* What a month costs the workspaces: opening balance, what changed it, and closing balance, out of the sums
 * of the ledger and the rows that are not in them yet, in one snapshot. Everything is allocated on ctx.
 * Amounts are micro-credits. */
#pragma once

#include "mariadb/db.h"
#include "schedule/calendar.h"

enum {
    /* Kinds of ledger rows are below this number. */
    BILLING_KINDS = 16,
    /* How the lines of a statement are grouped. */
    BILLING_BY_RESPONDER = 1,
    BILLING_BY_KEY = 2,
    BILLING_BY_DAY = 4,
};

/* What rows of a kind are called in a statement. */
struct billing_kind {
    /* NULL: no such kind; its rows are in "other". */
    const char *member;
    /* Of the amount as it is shown: usage, expiries and voids are shown as positive numbers. */
    int sign;
    /* Of runs: grouped by responder and key; else by grant. */
    bool is_usage;
};
/* A kind below BILLING_KINDS. */
const struct billing_kind *billing_kind(int kind);

/* Sums of rows of the ledger, signed as there; indexed by their kind. */
struct billing_sums {
    int64_t n[BILLING_KINDS], amount[BILLING_KINDS];
};
void billing_sums_add(struct billing_sums *to, const struct billing_sums *from);
/* Runs, that is debits; what they cost; what they got back; and what is left of that to pay. */
int64_t billing_runs(const struct billing_sums *s);
int64_t billing_debited(const struct billing_sums *s);
int64_t billing_refunded(const struct billing_sums *s);
int64_t billing_used(const struct billing_sums *s);
/* What all kinds change a balance by. */
int64_t billing_change(const struct billing_sums *s);

/* A line of runs. What it is not grouped by is not set. */
struct billing_line {
    int64_t day;
    id responder_id, key_id;
    /* Name of the workflow, slug of the skill; beginning of the key; NULL: there is none. */
    const char *responder, *key_prefix;
    struct billing_sums sums;
};

/* A grant that has started, ended or was corrected in the month. */
struct billing_grant {
    id grant_id;
    /* "paid", "promotional"; NULL: the grant is unknown. */
    const char *category, *reference, *note;
    struct billing_sums sums;
};

struct statement {
    id workspace_id;
    const char *workspace, *timezone;
    int month;
    /* In the time zone that the workspace has now. */
    struct period period;
    int64_t opening, closing;
    struct billing_sums sums;
    struct billing_line *lines;
    size_t lines_n;
    struct billing_grant *grants;
    size_t grants_n;
};

struct statement_query {
    /* NULL: all. */
    const id *workspace;
    int month;
    /* BILLING_BY_…, or 0: one line. */
    unsigned by;
    /* Read the names of lines and grants. */
    bool names;
    /* Rows of sums that may be read, a line has one for each kind and grant; 0: any number. */
    size_t rows_max;
};
/* Sorted by the workspaces' names. For operators only, unless a workspace is given. ERR_LIMIT: there are more
 * than rows_max rows. */
enum err statements_read(struct db *db, void *ctx, const struct statement_query *q, struct statement **list_r,
                         size_t *n_r) WARN_UNUSED;
/* The month of a workspace in its time zone. ERR_NOT_FOUND: there is no such workspace. */
enum err billing_month_of(struct db *db, const id *workspace, int month, struct period *period_r) WARN_UNUSED;
