/* What schedules and bulk jobs start: the current version of a workflow or skill, its prices, and whether it
 * takes the inputs. accept_batch leaves these to its callers. Maintenance thread only. */
#pragma once

#include "mariadb/db.h"
#include "run/accept_types.h"
#include "workflow/program.h"

struct run_targets;

struct run_targets *run_targets_new(void *ctx);

/* Completes a request for the workflow req->responder_id, whose inputs are set. ERR_NOT_FOUND: it is
 * archived; ERR_INVALID: its current version does not take the inputs. Results are of ctx. */
enum err run_target_workflow(struct run_targets *targets, struct db *db, void *ctx,
                             struct run_request *req) WARN_UNUSED;
/* The same for the skill with this slug; ERR_INVALID also if the workspace has no default model for it. */
enum err run_target_skill(struct run_targets *targets, struct db *db, void *ctx, const char *slug,
                          struct run_request *req) WARN_UNUSED;
/* The program of a version, valid until the next call. Errors as of compiled_programs_get. */
enum err run_targets_program(struct run_targets *targets, struct db *db, const id *workflow, int version,
                             const struct program **program_r) WARN_UNUSED;
