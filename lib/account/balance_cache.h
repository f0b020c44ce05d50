/* Balances that recent transactions read. If a workspace had enough credits within the last second, Redis is
 * not asked for its balance before a run is accepted. The cache is a hint without a lock: an entry may be
 * stale, half-written or another workspace's. The cost of a wrong entry is one needless question, or a
 * transaction that ends with 402. The workers of a host share one cache. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

/* Set-associative: with one entry per set, two busy workspaces of the same set would evict each other all the
 * time. */
enum { BALANCE_CACHE_ENTRIES = 4096, BALANCE_CACHE_WAYS = 4, BALANCE_CACHE_TTL_MS = 1000 };

/* All bytes zero is the empty cache. */
struct balance_cache {
    struct {
        /* id_hash of the workspace. */
        _Atomic uint64_t workspace;
        /* Micro-credits. */
        _Atomic int64_t balance;
        /* Boot time. */
        _Atomic int64_t at_ms;
    } entries[BALANCE_CACHE_ENTRIES];
};

void balance_cache_put(struct balance_cache *cache, const id *workspace, int64_t balance, int64_t now_ms);
/* True if the workspace had `cost` or more within the last BALANCE_CACHE_TTL_MS. */
bool balance_cache_covers(const struct balance_cache *cache, const id *workspace, int64_t cost,
                          int64_t now_ms);
