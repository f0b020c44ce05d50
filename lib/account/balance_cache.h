/* What was last seen of balances, in transactions: whoever had enough a moment ago is not asked about in
 * Redis before a run of theirs is judged. A hint without a lock: it may be stale, half-written or another
 * workspace's, which costs a question too many or a transaction that says 402. Workers of a host share one.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

/* A workspace has its place among a few: in one of its own, two busy ones would push each other out for ever.
 */
enum { SEEN_BALANCES = 4096, SEEN_BALANCES_WAYS = 4, SEEN_BALANCE_MS = 1000 };

struct seen_balances { /* zero bytes are its first state */
    struct {
        _Atomic uint64_t workspace; /* its id_hash */
        _Atomic int64_t balance;    /* micro-credits */
        _Atomic int64_t at_ms;      /* boot time */
    } places[SEEN_BALANCES];
};

void seen_balances_put(struct seen_balances *seen, const id *workspace, int64_t balance, int64_t now_ms);
/* Whether it was seen with `cost` or more within the last second. */
bool seen_balances_enough(const struct seen_balances *seen, const id *workspace, int64_t cost,
                          int64_t now_ms);
