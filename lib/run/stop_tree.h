/* Stopping what is below a run that ends: at once, or in slices if it is more than RUN_TX_SLICE runs
 * (docs/correctness.md, "Stop"). */
#pragma once

#include "run/run_tx.h"

/* Stops every locked run that is not terminal, except `top` and its ancestors (NULL: no exception). `error`
 * is stored as their error. */
enum err run_stop_locked(struct run_tx *run_tx, const struct run *top, int64_t at_ms,
                         const char *error) WARN_UNUSED;

/* For the transaction that ends the top of a tree locked with run_tx_lock_tree: stops every other run of it
 * that is not terminal, because the run that started it has ended. `all`: of run_tx_lock_tree; false: marks
 * the top, so that the others are stopped in slices. */
enum err run_stop_others(struct run_tx *run_tx, const struct run *top, bool all, int64_t at_ms) WARN_UNUSED;

/* Stops the next slice of a tree whose top is marked, at most RUN_TX_SLICE runs: of `top`, or (NULL) of the
 * mark that is due for longest. *n_r: how many runs. ERR_NOT_FOUND: no mark is due. After another error the
 * mark is due again later. */
enum err stop_slice(struct db *db, struct redis *redis, const id *top, size_t *n_r) WARN_UNUSED;
