/* What a grant and the grants of a locked account are. lib/account/grants.h changes them;
 * lib/account/account.h stores them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

enum {
    GRANT_PRIORITY_MAX = 100,
    GRANT_PRIORITY_DEFAULT = 50,
};
/* The id of the grant that holds what an account had before there were grants. */
#define GRANT_OPENING_ID "00000000-0000-7000-8000-000000000000"

/* Numbers of the columns `category` and `state`. */
enum grant_category { GRANT_PROMOTIONAL = 1, GRANT_PAID };
enum grant_state { GRANT_SCHEDULED = 1, GRANT_ACTIVE, GRANT_EXPIRED, GRANT_VOIDED };

struct grant {
    id id;
    enum grant_state state;
    enum grant_category category;
    /* 0 to GRANT_PRIORITY_MAX; the lowest is used first. */
    int priority;
    /* Micro-credits. */
    int64_t amount, remaining;
    /* MariaDB's wall time. expires_ms, ended_ms: 0: not set. */
    int64_t effective_ms, expires_ms, created_ms, ended_ms;
    /* The request that voided it; the expired grant whose refunds it takes. Both may be unset. */
    id ended_by, refund_of;
    /* NULL: none. */
    const char *note;
    /* The row must be written. */
    bool changed;
};

/* A share of a ledger row that concerns several grants; signed as the row. */
struct grant_part {
    id ledger_id, grant_id;
    int64_t amount;
};

struct ledger_entry;

/* The grants of a locked account that were read, in the order in which they are used, and what is to be
 * stored beside them. */
struct account_grants {
    struct grant *list;
    size_t n;
    struct grant_part *parts;
    size_t parts_n;
    /* Starts, expiries and voids. */
    struct ledger_entry *entries;
    size_t entries_n;
};
