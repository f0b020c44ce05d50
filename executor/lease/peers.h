/* Detection of lost executor processes.
 *
 * Each executor process increments its counter in MariaDB with every heartbeat (every 3 s). A process whose
 * counter is unchanged for its lease and 2 s more (12 s) of the observer's own CLOCK_BOOTTIME, over at least
 * three observations, is lost. Each process has its lease in its row, because hosts may have different ones.
 * Any process that detects this requeues its runs; there is no leader. Wall time plays no part.
 *
 * What a process has observed is kept in memory that the master shares with the process that replaces it. So
 * even if no executor process lives for 12 s, those that died are detected in time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/executor.h"

enum { AFTER_LEASE_MS = 2000, LOST_OBSERVATIONS = 3, PEERS_MAX = 512 };

struct peer_heartbeat {
    uint64_t executor; /* 0: a free entry */
    int64_t heartbeat;
    /* CLOCK_BOOTTIME of the first observation of this counter */
    int64_t since_ms;
    /* further observations of the same counter */
    int observations;
};

/* The decision for one process: records that its counter was observed at now_ms, and returns true if it is
 * lost. If the observer is killed in the middle, the entry claims less than was observed, never more. */
bool peer_is_lost(struct peer_heartbeat *p, const struct executor_peer *row, int64_t now_ms);

/* Observes all processes that have a row in MariaDB, and calls `on_lost` for each one, except `self`, that is
 * lost. `peers` has PEERS_MAX entries; entries of processes without a row become free. Processes that find no
 * free entry are not watched here. */
void peers_observe(struct peer_heartbeat *peers, const struct executor_peer *rows, size_t n, uint64_t self,
                   int64_t now_ms, void (*on_lost)(void *arg, const struct executor_peer *row), void *arg);
