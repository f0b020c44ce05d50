/* What a new run takes from the execution that it retries. Single retries (fcgi/handlers/execution_retry.c)
 * and those of bulk jobs (executor/lease/bulk_worker.c) share it; the callers check the inputs, and
 * accept_batch decides. Results are allocated on ctx. */
#pragma once

#include "mariadb/db.h"
#include "run/accept_types.h"
#include "store/execution.h"
#include "workflow/program.h"

/* Compiled programs, from the caller's cache. */
struct retry_programs {
    /* *program_r is valid until the next call. Errors are the caller's. */
    enum err (*read)(void *arg, const id *workflow, int version, const struct program **program_r);
    void *arg;
};

/* The step from which a retry executes again. */
struct retry_from {
    /* The name of a step, or "failed"; NULL: from the beginning. */
    const char *step;
    /* The retry has inputs of its own. */
    bool other_inputs;
};

/* Kind, responder, version, inputs, tags, metadata and extra as those of `exec`. */
void retry_take(struct run_request *req, const struct execution *exec);
/* Completes the retry of a workflow's execution, whose version is decided: writes req->extra with the steps
 * that it adopts. ERR_INVALID: it cannot begin there, and *why_r is a sentence. */
enum err retry_plan(struct db *db, void *ctx, const struct retry_programs *programs,
                    const struct execution *exec, struct retry_from from, struct run_request *req,
                    const char **why_r) WARN_UNUSED;
/* Completes the retry of a skill's execution: prices, model and files. ERR_NOT_FOUND: the skill was removed.
 * ERR_INVALID: its model is no longer configured for the workspace. */
enum err retry_take_skill(struct db *db, void *ctx, const struct execution *exec,
                          struct run_request *req) WARN_UNUSED;
