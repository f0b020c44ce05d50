/* What schedules and bulk jobs start: the current version of a workflow or skill, its prices, and whether it
 * takes the inputs. accept_batch leaves these to its callers. Maintenance thread only.
 *
 * Maintenance serves all workspaces, so what may take more than 5 ms is left to the compute thread, which
 * serves them in turn: compiling a program or manifest of more than COMPUTE_INLINE_MAX, validating inputs of
 * more than that, or by more than CHILD_CHECKS_INLINE. All targets of a turn together wait for it for
 * TARGETS_WAIT_MS; then the functions return ERR_RETRY, and the same call in a later turn finds the result.
 */
#pragma once

#include "mariadb/db.h"
#include "run/accept_types.h"
#include "service/thread_queue.h"
#include "workflow/program.h"

struct compute_thread;
struct run_targets;

enum { TARGETS_WAIT_MS = 50 };

/* `queue` is that of the maintenance thread, which waits on it. Freed after the end of the compute thread. */
struct run_targets *run_targets_new(void *ctx, struct compute_thread *compute, struct thread_queue *queue);
/* Begins a turn, whose connection is `db`. */
void run_targets_begin(struct run_targets *targets, struct db *db);
/* True if a function has returned ERR_RETRY in this turn because it could not wait for the compute thread any
 * longer: the next turn should come soon. */
bool run_targets_have_deferred(const struct run_targets *targets);

/* Completes a request for the workflow req->responder_id, whose inputs are set. ERR_NOT_FOUND: it is
 * archived; ERR_INVALID: its current version does not take the inputs. */
enum err run_target_workflow(struct run_targets *targets, struct run_request *req) WARN_UNUSED;
/* The same for the skill with this slug; ERR_INVALID also if the workspace has no default model for it.
 * Results are of ctx. */
enum err run_target_skill(struct run_targets *targets, void *ctx, const char *slug,
                          struct run_request *req) WARN_UNUSED;
/* The program of a version, valid until the next call. Errors as of compiled_programs_get. */
enum err run_targets_program(struct run_targets *targets, const id *workspace, const id *workflow,
                             int version, const struct program **program_r) WARN_UNUSED;
