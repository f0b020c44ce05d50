/* Writes one commit into a transaction, under the fence. Database thread only. */
#pragma once

#include "executor/db_thread/commit.h"

/* The run's row is locked in run_tx. Sets c->fenced if the run is no longer ours (then only usage and
 * artifacts of an ended skill are recorded), and c->seq_after. A commit that an earlier execution of the
 * transaction had written already is not written twice. */
enum err write_commit(struct db_tx *tx, struct run_tx *run_tx, uint64_t executor_id,
                      struct commit *c) WARN_UNUSED;

/* Whether an earlier execution of the transaction, whose response to COMMIT was lost, had written this
 * commit. A stop may have come in between: then the run is no longer ours, whatever was written. So may the
 * acceptance of a child, whose event then has the number that this commit would have had. */
enum err commit_find_written(struct db_tx *tx, const struct commit *c, const struct run *r,
                             uint64_t executor_id, bool *written_r) WARN_UNUSED;
