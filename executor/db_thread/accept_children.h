/* Child runs: a step or a model's tool call starts another run. The loop thread describes the child; the
 * database thread loads the workflow or skill, validates the inputs by its schema, and accepts up to 64
 * children in one transaction (run/accept.h), which also finds a child that an earlier attempt had started.
 * While a large program or manifest is compiled for a child, or its inputs take long to validate, the compute
 * thread has the child.
 */
#pragma once

#include "executor/db_thread/child_job.h"

/* False: submit the job again, because a server was unreachable or the workflow has a new version. */
bool child_is_decided(const struct child_job *j);
/* Not decided because another transaction has locked the workspace's account. */
bool child_is_busy(const struct child_job *j);
/* Accepts the first *n children, fewer if loading and validating them takes more than 5 ms; *n is then the
 * number of those that were tried. Those that are out no longer belong to the caller. False: at least one of
 * the others is not decided, because a server was unreachable. */
bool accept_children(struct db_thread_ctx *thread_ctx, struct child_job **jobs, size_t *n);
