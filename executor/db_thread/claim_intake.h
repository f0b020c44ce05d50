/* What may be claimed: the process's free slots, ids of queued runs that Redis named, and a request to scan
 * MariaDB. The loop thread gives and takes slots, the claim thread waits for slots and adds ids, the database
 * thread takes ids when it claims. Every function may be called from any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "executor/db_thread/job.h"

/* Ids kept for the next transactions. Further ones are dropped: the scan of MariaDB finds their runs. */
enum { QUEUED_IDS_MAX = 256 };

struct claim_intake;

/* Calls `on_claimable` (with the lock held) when ids or a scan and a free slot have come together. */
struct claim_intake *claim_intake_new(void *ctx, void (*on_claimable)(void *arg), void *arg);

/* --- slots --- */
void claim_intake_add_slots(struct claim_intake *in, int n);
/* For one run that waited without a slot. False: no slot is free. */
bool claim_intake_take_slot(struct claim_intake *in);
/* For claims. The number of free slots may become negative, since the loop may have taken slots since
 * claim_intake_take; then as many must come back before anything is claimed again. */
void claim_intake_take_slots(struct claim_intake *in, int n);
int claim_intake_free_slots(struct claim_intake *in);

/* --- the pace of claims --- */
/* From now on so many runs may be claimed; -1: any number. This replaces what was allowed before and not
 * claimed. */
void claim_intake_allow(struct claim_intake *in, int n);
/* So many runs were claimed, of which the oldest had been queued for `oldest_ms`. */
void claim_intake_count_claims(struct claim_intake *in, size_t claimed, int64_t oldest_ms);
/* The number of those since the last call, and the greatest age. */
int64_t claim_intake_take_claimed(struct claim_intake *in, int64_t *oldest_ms_r);

/* --- what to claim --- */
/* Waits until there are more free slots than ids, and returns how many more, at most one batch. It also waits
 * while what was taken is being claimed, so that ids stay in Redis until a process can claim them. 0: claims
 * have ended. */
int claim_intake_await_slots(struct claim_intake *in);
/* The first `short_n` ids are of workspaces with few queued runs, and come before those that are here. */
void claim_intake_add_ids(struct claim_intake *in, const id *ids, size_t n, size_t short_n);
/* MariaDB is scanned for queued runs with the next claim, beginning with the oldest. */
void claim_intake_request_scan(struct claim_intake *in);
/* The same from where the scan before ended. */
void claim_intake_continue_scan(struct claim_intake *in);
/* Parked runs that are due are woken with the next claim. */
void claim_intake_request_wakes(struct claim_intake *in);
/* No more claims from now on; ends claim_intake_await_slots. */
void claim_intake_end(struct claim_intake *in);

struct claimables {
    id ids[COMMIT_BATCH_MAX];
    size_t ids_n;
    /* The first of them, of workspaces with short lists. */
    size_t short_n;
    bool scan, wakes;
    /* The scan begins with the oldest runs. */
    bool scans_anew;
    /* How many runs to claim. */
    size_t limit;
};
/* For a transaction that has room for `room` claims, at most COMMIT_BATCH_MAX: takes as many ids
 * as there are free slots and room, and the scan. What does not fit stays for the next transaction. Few ids
 * of workspaces with short lists have a transaction of their own beside a backlog of others, which has the
 * next one. False: nothing to claim now. */
bool claim_intake_take(struct claim_intake *in, size_t room, struct claimables *r);
/* The transaction that claims what claim_intake_take gave is about to commit, has ended, or is not made:
 * claim_intake_await_slots may return again. */
void claim_intake_open(struct claim_intake *in);
/* A transaction with so many claims took so long: the next ones claim as many as fit into 15 ms by the last
 * of these (6 ms while ids of short lists come beside others), at least 8; where what every transaction takes
 * is more than half of that, so many that it is half of the whole. */
void claim_intake_note_claims(struct claim_intake *in, size_t claimed, int64_t took_us);
/* True if this process knows of no run that waits to be claimed, and may claim at least half as many as one
 * transaction claims: it can claim a run that is accepted now at once. */
bool claim_intake_is_idle(struct claim_intake *in);
/* True if claim_intake_take would find something. */
bool claim_intake_has_work(struct claim_intake *in);
