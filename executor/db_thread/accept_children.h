/* Child runs: a step or a model's tool call starts another run. The loop thread describes the child; the
 * database thread loads the workflow or skill, validates the inputs by its schema, and accepts up to 64
 * children in one transaction (run/accept.h), which also finds a child that an earlier attempt had started.
 */
#pragma once

#include "executor/db_thread/job.h"
#include "run/accept.h"
#include "skill/extra.h"

struct child_job {
    struct job job; /* first; JOB_ACCEPT_CHILD */

    /* --- set by the loop --- */
    /* Workspace, principal, key, parent, responder, input, and execution_id for a new child. */
    struct run_request request;
    /* Of a skill; NULL: request.responder_id is a workflow. */
    const char *slug;
    /* Of a skill: model, file_source_ids. */
    struct skill_extra extra;
    /* An earlier attempt may have started the child: look for it first, even if the workflow is gone since.
     */
    bool resumed;

    /* --- the result --- */
    /* RUN_ACCEPTED and RUN_CHILD_EXISTS set execution_id. Every other verdict sets `why`, a sentence; verdict
     * 0 means that the child was rejected before it came to accepting. */
    struct run_answer answer;
    const char *why;
    /* of the step that starts the child; REASON_NONE: step_failed */
    enum failure_reason reason;
};

/* False: submit the job again, because a server was unreachable or the workflow has a new version. */
bool child_is_decided(const struct child_job *j);
/* Not decided because another transaction has locked the workspace's account. */
bool child_is_busy(const struct child_job *j);
/* Accepts the first *n children, fewer if loading and validating them takes more than 5 ms; *n is then the
 * number of those that were tried. False: at least one of these is not decided. */
bool accept_children(struct db_thread_ctx *thread_ctx, struct child_job **jobs, size_t *n);
