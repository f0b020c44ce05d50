/* The unit of work that changes existing runs. Executors, stop, requeue and the operators' commands all use
 * it; nothing else writes to a run that exists.
 *
 * Inside a db_transaction: lock the accounts that a refund or `active` may need, then the runs (by ascending
 * id, like every lock on runs), read their present state, add moves, events, steps and results in memory, and
 * flush everything with a few multi-row statements. Publish after the commit.
 *
 *   static enum err work(struct db_tx *tx, void *arg) {
 *       struct run_tx *run_tx = run_tx_begin(tx, holder);
 *       e = run_tx_lock(run_tx, ids, n, accounts, accounts_n);
 *       struct run *r = run_tx_find(run_tx, &id);
 *       if (r && run_is_ours(r, executor, attempt)) …run_event, run_step, run_move…
 *       return run_tx_flush(run_tx);
 *   }
 *
 * Money: moving a run to failed or stopped while its `side_effects_started` is false refunds its cost once,
 * which requires its account's lock. The end of any other run for whose use something was held (`held`)
 * releases what was not used, which requires it, too. A run that leaves its wait for its start (MOVE_BEGIN,
 * MOVE_STOP, MOVE_EXPIRE) changes `delayed`, and MOVE_BEGIN `active`, which requires it, too. Moving a root
 * to a terminal state decrements `active` if the workspace has max_concurrent set, which requires the lock,
 * too. run_tx_flush detects what is needed: it returns ERR_CONFLICT, and run_tx_missing_accounts() lists the
 * accounts. Run the transaction again with those accounts locked. A caller that locks the accounts beforehand
 * never gets this ERR_CONFLICT. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "run/states.h"

/* A locked row. Only run_move and run_event change the fields, except `side_effects_started`, `deadline_ms`
 * and `unlimited`, which the holder sets. */
struct run {
    id id, workspace_id, responder_id, root_id, parent_id, key_id;
    enum responder_kind kind;
    int version, depth;
    enum run_state state;
    enum failure_reason reason;
    /* A step or a runner was started in some attempt, so the cost is not refunded. */
    bool side_effects_started;
    int attempt, lost_count, last_seq;
    uint64_t executor_id;
    /* Micro-credits. */
    int64_t cost, refunded;
    /* The part of `cost` that was held for what the run uses (lib/run/charge.h); 0: none. */
    int64_t held;
    /* Wall time; 0: not set. */
    int64_t started_ms, ended_ms, deadline_ms;
    /* The last move before this transaction; of a queued run, since when it can be claimed. */
    int64_t moved_ms;
    /* That its own webhook asks for (lib/outbox/outbox.h); 0: it has none. */
    uint32_t webhook_events;
    /* To be written when the run ends. They are not read from the row. */
    const char *output, *error;
    /* As in run_move; of a run that fails. */
    const char *failed_step;
    bool changed;
    /* It is running, and no executor has it: its row in `waits` says what wakes it. */
    bool parked;
    /* It is queued and waits for its start; a row in `waits`. */
    bool delayed;
    /* A parked run that was locked to be woken: until when it was to be parked, if that does not count
     * against its deadline (wall time); 0: it counts. MOVE_WAKE takes what is left from the deadline, and
     * says in give_back_ms how much that was. */
    int64_t park_until_ms, give_back_ms;
    /* The holder read, after locking the row, that the workspace has no max_concurrent. */
    bool unlimited;
};

/* Runs of a tree that one transaction stops. */
enum { RUN_TX_SLICE = 500 };

struct account;
struct run_tx;

/* `holder` owns the result. It must outlive the transaction, because publishing comes after the commit. */
struct run_tx *run_tx_begin(struct db_tx *tx, void *holder);

/* Locks accounts, then runs, FOR UPDATE; both are sorted here. A further call may only name ids above the
 * last one locked. Use run_tx_lock_tree for a tree.
 *
 * Neither function waits for an account, because a transaction of an executor serves many workspaces.
 * ERR_RETRY: an account is locked by another transaction (run_tx_has_account is false for it), and no run was
 * locked. */
enum err run_tx_lock(struct run_tx *run_tx, const id *runs, size_t runs_n, const id *accounts,
                     size_t accounts_n) WARN_UNUSED;
bool run_tx_has_account(const struct run_tx *run_tx, const id *workspace);
/* NULL: not locked. */
const struct account *run_tx_account(const struct run_tx *run_tx, const id *workspace);
/* Locks the account of `workspace`, then `top` and its descendants that are not terminal, by ascending id. If
 * these are more than RUN_TX_SLICE, only `top` is locked, and *all_r is false. The `above_n` ancestors in
 * `above` are locked together with them. ERR_NOT_FOUND: the workspace has no such run. */
enum err run_tx_lock_tree(struct run_tx *run_tx, const id *workspace, const id *top, const id *above,
                          size_t above_n, bool *all_r) WARN_UNUSED;
/* The same without `top`, and with the first RUN_TX_SLICE of its descendants if these are more. */
enum err run_tx_lock_slice(struct run_tx *run_tx, const id *workspace, const id *top,
                           bool *all_r) WARN_UNUSED;
/* Marks a run that ends: what is below it is to be stopped in slices, at at_ms (wall time) and with `error`.
 */
void run_tx_mark_stop(struct run_tx *run_tx, const struct run *top, int64_t at_ms, const char *error);
/* Drops those of the locked runs, from the `first` on, that are below a mark: they are not to be claimed. */
enum err run_tx_drop_marked(struct run_tx *run_tx, size_t first) WARN_UNUSED;
/* Locks those of the `n` hinted runs that are still queued. Rows that another transaction has locked are
 * skipped. */
enum err run_tx_lock_queued_ids(struct run_tx *run_tx, const id *queued_ids, size_t n) WARN_UNUSED;
/* Locks the `limit` oldest queued runs of a workspace that come after *after (not set: from the first), and
 * moves *after to the last of them. Rows that another transaction has locked are skipped. *seen_r counts the
 * rows, also those that this transaction had locked before. */
enum err run_tx_lock_queued(struct run_tx *run_tx, const id *workspace, size_t limit, id *after,
                            size_t *seen_r) WARN_UNUSED;
/* Finds the next workspace with queued runs after `after` (not set: the first), in the order of the index.
 * ERR_NOT_FOUND: there is none. Nothing is locked. */
enum err run_tx_next_queued(struct run_tx *run_tx, const id *after, id *workspace_r) WARN_UNUSED;

/* The same for parked runs that are due to be woken: the first workspace after `after`, and up to `limit`
 * runs of a workspace, in the order of their time, after the first *offset of them. *offset grows by those
 * that were looked at; *more_r: there may be more. */
enum err run_tx_next_due(struct run_tx *run_tx, const id *after, id *workspace_r) WARN_UNUSED;
enum err run_tx_lock_due(struct run_tx *run_tx, const id *workspace, size_t limit, size_t *offset,
                         bool *more_r) WARN_UNUSED;

/* Parked runs that were found to be due are due again after 5 s. Sorts `runs`. */
enum err run_tx_postpone(struct run_tx *run_tx, id *runs, size_t n) WARN_UNUSED;

/* Reads until when the locked runs from number `first` on were to be parked: what is left of a wait for a
 * signal is given back to the ancestors when such a run is woken. */
enum err run_tx_read_until(struct run_tx *run_tx, size_t first) WARN_UNUSED;
size_t run_tx_count(const struct run_tx *run_tx);
struct run *run_tx_at(struct run_tx *run_tx, size_t i);
/* NULL: no such row was locked. */
struct run *run_tx_find(struct run_tx *run_tx, const id *run);

/* The fence: the run is running, in this attempt, on this executor. */
bool run_is_ours(const struct run *r, uint64_t executor_id, int attempt);
/* A claim would give the run this attempt: it is queued at the attempt, or parked at the one before. */
bool run_is_claimable(const struct run *r, int attempt);

/* Adds an event with the run's next number. `data` is the text of a JSON object (copied), or NULL for {}. */
void run_event(struct run_tx *run_tx, struct run *r, enum event_type type, int64_t at_ms, const char *data);

struct run_move {
    enum transition move;
    /* Wall time. */
    int64_t at_ms;
    /* MOVE_CLAIM, MOVE_WAKE. */
    uint64_t executor_id;
    /* MOVE_CLAIM; an earlier deadline in the row is kept. */
    int64_t deadline_ms;
    /* MOVE_FAIL; MOVE_STOP and MOVE_EXPIRE have their own. */
    enum failure_reason reason;
    /* MOVE_FAIL, MOVE_STOP, MOVE_EXPIRE: a sentence that is stored as the run's error; copied. */
    const char *error;
    /* MOVE_FAIL: the name of the step that failed, or NULL; copied. */
    const char *step;
    /* MOVE_SUCCEED: JSON text; copied. */
    const char *output;
    /* MOVE_PARK. The run is woken at wake_ms (wall time), or at its deadline if that comes first, or by
     * what it waits for. */
    enum wait_reason wait_reason;
    int64_t wake_ms;
    /* MOVE_PARK: what it waits for is there already. */
    bool is_due;
};
/* Makes the move and adds its event; the terminal event is always the last one. Every end of a run comes
 * through here: it wakes the parent if that is parked. ERR_CONFLICT: the state does not allow the move; a
 * parked run cannot be parked again, only a parked run can be woken, and a run that waits for its start
 * cannot be claimed. */
enum err run_move(struct run_tx *run_tx, struct run *r, const struct run_move *m) WARN_UNUSED;

/* Moves the start of a run that waits for it, and adds the event. */
void run_move_start(struct run_tx *run_tx, struct run *r, int64_t start_ms, int64_t at_ms);

struct run_step {
    /* `item` is the index of a for_each item; -1: the step itself. */
    int step, item;
    enum step_status status;
    /* Tries that have begun. */
    int tries;
    /* HTTP responses received; this numbers the Idempotency-Key of the next request. */
    int answers;
    /* Wall time; 0: NULL. timeout_ms: the time of a parked run's try is over. */
    int64_t due_ms, timeout_ms, started_ms, completed_ms;
    /* JSON text or NULL; copied. */
    const char *result;
    const char *error;
    /* of the failure of a run that this step has caused */
    enum failure_reason reason;
};
/* Inserts or replaces the row of a step. The caller adds the step's events itself. */
void run_step(struct run_tx *run_tx, struct run *r, const struct run_step *s);

/* Writes everything. ERR_CONFLICT: accounts are needed that are not locked (see above). */
enum err run_tx_flush(struct run_tx *run_tx) WARN_UNUSED;
const id *run_tx_missing_accounts(const struct run_tx *run_tx, size_t *n_r);
/* True if the account is locked, and ends of its runs change it: it has max_concurrent set, or prices for
 * what is used. */
bool run_tx_needs_account(const struct run_tx *run_tx, const id *workspace);

/* After the commit: publishes events, credit balances, stops (to executors) and ends of children (to the
 * executors of their parents). These are hints; nothing waits for them. */
void run_tx_publish(struct run_tx *run_tx, struct redis *redis);
