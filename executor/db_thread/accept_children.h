/* Child runs: a step or a model's tool call starts another run. The loop thread describes the child; the
 * database thread loads the workflow or skill, validates the inputs by its schema, and accepts up to 64
 * children in one transaction (run/accept.h), which also finds a child that an earlier attempt had started.
 * While a large program or manifest is compiled for a child, or its inputs take long to validate, the compute
 * thread has the child.
 */
#pragma once

#include "executor/db_thread/child_job.h"

/* False: try again, because a server was unreachable, or the workflow or skill was changed after
 * its row was read. */
bool child_is_decided(const struct child_job *j);
/* Not decided because MariaDB was unreachable. */
bool child_is_held_up(const struct child_job *j);
/* Not decided because another transaction has locked the workspace's account. */
bool child_is_busy(const struct child_job *j);
/* Does what accept_batch leaves to its callers for the first children, which are then ready, rejected, or not
 * decided because a server was unreachable. Those that are out no longer belong to the caller. Returns how
 * many were tried: fewer than n if loading and validating them takes more than 5 ms. */
size_t prepare_children(struct db_thread_ctx *thread_ctx, struct child_job *const *jobs, size_t n);
/* The answer of accept_batch, or of accept_write. */
void child_take_answer(struct child_job *j, const struct run_answer *answer);
/* Accepts children that are ready, up to ACCEPT_GROUP_MAX, in one transaction. */
void accept_children(struct db_thread_ctx *thread_ctx, struct child_job *const *jobs, size_t n);
