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
enum { BALANCE_CACHE_ENTRIES = 4096, BALANCE_CACHE_WAYS = 4, BALANCE_CACHE_TTL_MS = 1000 };

struct balance_cache { /* zero bytes are its first state */
    struct {
        _Atomic uint64_t workspace; /* its id_hash */
        _Atomic int64_t balance;    /* micro-credits */
        _Atomic int64_t at_ms;      /* boot time */
    } entries[BALANCE_CACHE_ENTRIES];
};

void balance_cache_put(struct balance_cache *cache, const id *workspace, int64_t balance, int64_t now_ms);
/* Whether it was seen with `cost` or more within the last second. */
bool balance_cache_covers(const struct balance_cache *cache, const id *workspace, int64_t cost,
                          int64_t now_ms);
