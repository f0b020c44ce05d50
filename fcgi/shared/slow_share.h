/* Which workers of the host are occupied by slow requests, and for which workspace. A request is slow if what
 * its caller sent may take more than a millisecond of a processor: a large JSON body, a long validation, the
 * compiling of a large program (fcgi/http/slow.h).
 *
 * A slow request takes a place with a ticket. It goes on at once while fewer requests of its workspace with
 * lower tickets have a place than the workspace may run; otherwise its worker waits, in the order of the
 * tickets. A workspace runs at most half as many as there are processors, at least one; while no other
 * workspace has sent a request within a second, as many as there are processors.
 *
 * A waiting request occupies a worker too. So slow requests have at most three quarters of the workers
 * together, and one workspace at most half (three quarters while it is alone). The last quarter of their
 * places is left to workspaces that have none. The other workers are always free for requests that are not
 * slow.
 *
 * Deaths. A worker that dies leaves its place occupied until the master reaps it or a successor starts in its
 * slot; both end the place. A worker that is stopped keeps its place, and with it delays slow requests of its
 * own workspace only. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

enum {
    SLOW_SHARE_SLOTS = 256,
    /* A request that has waited for its turn so long is rejected. */
    SLOW_SHARE_WAIT_MS = 2000,
    /* A workspace that has sent no request for so long wants nothing. */
    SLOW_SHARE_SEEN_MS = 1000,
    /* How long a slow read lets further reads of its workspace take their turn first. */
    SLOW_SHARE_READER_MS = 2000,
    SLOW_SHARE_READERS = 256,
};

/* The place of one worker. */
struct slow_place {
    /* A hash of the workspace; 0: the worker has no slow request. */
    _Atomic uint64_t workspace;
    _Atomic uint64_t ticket;
    /* Futex word: 1 while the worker waits for its turn. */
    _Atomic uint32_t is_waiting;
};

/* In the shared mapping. Initial state: zero bytes, except `processors`. */
struct slow_share {
    /* Set by the master before it forks; 0 counts as 1. */
    unsigned processors;
    _Atomic uint64_t last_ticket;
    /* Requests that waited for their turn, requests that were rejected, and reads that were slow. */
    _Atomic uint64_t waited, rejected, slow_reads;
    /* By worker slot. */
    struct slow_place places[SLOW_SHARE_SLOTS];
    /* Workspaces whose reads were slow lately, or were ended early without being slow: a hash, and until when
     * that is remembered (clock_boot_ms); by the hash, so that two may take each other's place. */
    struct slow_reader {
        _Atomic uint64_t workspace;
        _Atomic int64_t until_ms, delayed_until_ms;
    } readers[SLOW_SHARE_READERS];
    /* The two workspaces that were seen last: a hash, and when (clock_boot_ms). */
    struct {
        _Atomic uint64_t workspace;
        _Atomic int64_t last_ms;
    } seen[2];
};

/* Records that a workspace has sent a request of any kind. */
void slow_share_note(struct slow_share *share, const id *workspace, int64_t now_ms);
/* Records that a read of the workspace was slow. */
void slow_share_note_reader(struct slow_share *share, const id *workspace, int64_t now_ms);
/* True if one was lately. */
bool slow_share_is_reader(const struct slow_share *share, const id *workspace, int64_t now_ms);
/* Records that a read of the workspace was ended early and then was not slow: the host delays its reads. */
void slow_share_note_delayed(struct slow_share *share, const id *workspace, int64_t now_ms);
/* True if one was lately. */
bool slow_share_is_delayed(const struct slow_share *share, const id *workspace, int64_t now_ms);
/* Takes a place for the worker of `slot`, and waits until it is the request's turn. True at once if the
 * worker has a place already. False if the workspace has too many places, or if its turn has not come within
 * `wait_ms`; the worker has no place then. `workers` is the number of workers of the pool, `most` how many
 * requests the workspace may run at most, at least 1. */
bool slow_share_begin(struct slow_share *share, int slot, const id *workspace, unsigned workers,
                      unsigned most, int64_t wait_ms);
/* Ends the place of the slot, if it has one, and wakes the worker whose turn it is. Any process may call it
 * for a slot whose worker has died. */
void slow_share_end(struct slow_share *share, int slot);
/* Slots with a place now, and how many of them wait; for the state dump. */
unsigned slow_share_places(const struct slow_share *share, unsigned *waiting_r);
