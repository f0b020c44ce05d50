/* Changing runs: the one way a run that exists is changed, by executors, stop, upkeep and the operators'
 * command.
 *
 * Inside a db_transaction: lock the accounts that money or concurrency may need, then the runs (by ascending
 * id, as everywhere), look at what is there now, make moves, events, steps and results in memory, and flush
 * everything with a few multi-row statements. After the commit, publish.
 *
 *   static enum err work(struct db_tx *tx, void *arg) {
 *       struct run_tx *run_tx = run_tx_begin(tx, holder);
 *       e = run_tx_lock(run_tx, ids, n, accounts, accounts_n);
 *       struct run *r = run_tx_find(run_tx, &id);
 *       if (r && run_is_ours(r, executor, attempt)) …run_event, run_step, run_result, run_move…
 *       return run_tx_flush(run_tx);
 *   }
 *
 * Money: a move to failed or stopped of a run whose `side_effects_started` is false refunds its cost, once,
 * and needs its account locked; a move to a terminal state of a root whose workspace has max_concurrent set
 * counts `active` down, and needs it too. run_tx_flush finds out and answers ERR_CONFLICT with the accounts
 * still wanted in run_tx_missing_accounts(): run the transaction again with those locked. (A caller that
 * locks the accounts beforehand never sees it.) */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "run/states.h"

struct run { /* a locked row; fields are changed by run_move and run_event only, `side_effects_started` and
                deadline by the holder */
    id id, workspace_id, responder_id, root_id, parent_id, key_id;
    enum responder_kind kind;
    int version, depth;
    enum run_state state;
    enum failure_reason reason;
    bool side_effects_started;
    int attempt, lost_count, last_seq;
    uint64_t executor_id;
    int64_t cost, refunded;
    int64_t started_ms, ended_ms, deadline_ms; /* 0: not set */
    const char *output, *error;                /* what its end brings, not what the row has */
    bool changed;
    bool unlimited; /* set by the holder: read after the row was locked, max_concurrent of its workspace is
                       not set */
};

struct run_tx;

/* `holder` owns the result (it must outlive the transaction: publishing comes after the commit). */
struct run_tx *run_tx_begin(struct db_tx *tx, void *holder);

/* Locks accounts (sorted here), then runs (sorted here), FOR UPDATE. May be called again only with ids above
 * the last ones locked; use run_tx_lock_tree for a tree. */
enum err run_tx_lock(struct run_tx *run_tx, const id *runs, size_t runs_n, const id *accounts,
                     size_t accounts_n) WARN_UNUSED;
/* Locks the account of `workspace`, then `top` and all its descendants that are not terminal, by ascending
 * id. ERR_NOT_FOUND where the workspace has no such run. */
enum err run_tx_lock_tree(struct run_tx *run_tx, const id *workspace, const id *top) WARN_UNUSED;
/* Claims up to `limit` queued runs for an executor: of the ids given (a hint list), or with n = 0 the oldest
 * there are; rows others hold are skipped. */
enum err run_tx_lock_queued(struct run_tx *run_tx, const id *queued_ids, size_t n, size_t limit) WARN_UNUSED;

size_t run_tx_count(const struct run_tx *run_tx);
struct run *run_tx_at(struct run_tx *run_tx, size_t i);
struct run *run_tx_find(struct run_tx *run_tx, const id *run); /* NULL: no such row was locked */

/* The fence: running, this attempt, this executor. */
bool run_is_ours(const struct run *r, uint64_t executor_id, int attempt);

/* Numbers the event behind the run's last. `data` is a JSON object's text (copied) or NULL for {}. */
void run_event(struct run_tx *run_tx, struct run *r, enum event_type type, int64_t at_ms, const char *data);

struct run_move {
    enum transition move;
    int64_t at_ms;              /* wall time */
    uint64_t executor_id;       /* MOVE_CLAIM */
    int64_t deadline_ms;        /* MOVE_CLAIM: kept if the row has an earlier one */
    enum failure_reason reason; /* MOVE_FAIL; MOVE_STOP sets REASON_STOPPED */
    const char *error;          /* MOVE_FAIL, MOVE_STOP: a sentence, stored with the result; copied */
    const char *output;         /* MOVE_SUCCEED: JSON text; copied */
};
/* Makes the move and its event (the terminal event is always the last). ERR_CONFLICT where the state forbids
 * it. */
enum err run_move(struct run_tx *run_tx, struct run *r, const struct run_move *m) WARN_UNUSED;

struct run_step {
    int step, item; /* item -1: the step itself */
    enum step_status status;
    int tries;   /* begun */
    int answers; /* HTTP answers had: numbers the Idempotency-Key of what is sent next */
    int64_t due_ms, started_ms, completed_ms; /* 0: NULL */
    const char *result;                       /* JSON text or NULL; copied */
    const char *error;
};
/* Inserts or replaces the row of a step. The events that go with it are the caller's. */
void run_step(struct run_tx *run_tx, struct run *r, const struct run_step *s);

/* Writes everything. ERR_CONFLICT: accounts were wanted that are not locked (see above). */
enum err run_tx_flush(struct run_tx *run_tx) WARN_UNUSED;
const id *run_tx_missing_accounts(const struct run_tx *run_tx, size_t *n_r);
/* Whether the account was locked and sets max_concurrent. */
bool run_tx_limits_concurrency(const struct run_tx *run_tx, const id *workspace);

/* After the commit: events to their channels, credit counters, stops to the executors. Hints, nothing waits.
 */
void run_tx_publish(struct run_tx *run_tx, struct redis *redis);
