/* Writes one commit into a transaction, under the fence. Database thread only. */
#pragma once

#include "executor/db_thread/commit.h"

/* The run's row is locked in run_tx. Sets c->fenced if the run is no longer ours (then only usage and
 * artifacts of an ended skill are recorded), and c->seq_after. A commit that an earlier execution of the
 * transaction had written already is not written twice. */
enum err write_commit(struct db_tx *tx, struct run_tx *run_tx, uint64_t executor_id,
                      struct commit *c) WARN_UNUSED;

/* True if an earlier execution of the transaction, whose response to COMMIT was lost, had written this
 * commit. A stop may have come in between: then the run is no longer ours, whatever was written. */
bool commit_already_written(const struct commit *c, const struct run *r, uint64_t executor_id);
