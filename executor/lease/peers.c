#include "executor/lease/peers.h"

#include <stdatomic.h>

bool peer_is_lost(struct peer_heartbeat *p, const struct executor_peer *row, int64_t now_ms)
{
    if (p->heartbeat != row->beat) {
        p->observations = 0;
        p->since_ms = now_ms;
        atomic_thread_fence(memory_order_release);
        p->heartbeat = row->beat;
        return false;
    }
    p->observations++;
    return p->observations >= LOST_OBSERVATIONS && now_ms - p->since_ms >= row->lease_ms + AFTER_LEASE_MS;
}

/* Finds the entry of a process, or makes one. NULL: all entries are taken. */
static struct peer_heartbeat *peer_entry(struct peer_heartbeat *peers, const struct executor_peer *row,
                                         int64_t now_ms)
{
    struct peer_heartbeat *unused = NULL;
    for (struct peer_heartbeat *peer = peers; peer < peers + PEERS_MAX; peer++) {
        if (peer->executor == row->executor)
            return peer;
        if (peer->executor == 0)
            unused = peer;
    }
    if (!unused)
        return NULL;
    /* another counter than the observed one, so that the first observation starts the time */
    *unused = (struct peer_heartbeat){.heartbeat = row->beat - 1, .since_ms = now_ms};
    atomic_thread_fence(memory_order_release);
    unused->executor = row->executor;
    return unused;
}

static bool has_row(const struct executor_peer *rows, size_t n, uint64_t executor)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].executor == executor)
            return true;
    }
    return false;
}

void peers_observe(struct peer_heartbeat *peers, const struct executor_peer *rows, size_t n, uint64_t self,
                   int64_t now_ms, void (*on_lost)(void *arg, const struct executor_peer *row), void *arg)
{
    for (struct peer_heartbeat *peer = peers; peer < peers + PEERS_MAX; peer++) {
        if (peer->executor && !has_row(rows, n, peer->executor))
            peer->executor = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct peer_heartbeat *peer = peer_entry(peers, &rows[i], now_ms);
        if (rows[i].executor != self && peer && peer_is_lost(peer, &rows[i], now_ms))
            on_lost(arg, &rows[i]);
    }
}
