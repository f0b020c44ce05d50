/* The job that starts a child run. The loop thread submits it, the database thread accepts the child
 * (accept_children.h), and the loop thread gets the result. */
#pragma once

#include "executor/db_thread/job.h"
#include "run/accept.h"
#include "skill/extra.h"

struct executor;

/* A validation of inputs, by one version of a workflow or skill. */
struct child_check {
    /* not set: not validated yet */
    id responder;
    int version;
    enum err e;
    /* why they are not valid, a sentence; may be NULL */
    const char *why;
    enum failure_reason reason;
};

struct child_job {
    struct job job; /* first; JOB_ACCEPT_CHILD */

    /* --- set by the loop --- */
    /* Workspace, principal, key, parent, responder, input, and execution_id for a new child. */
    struct run_request request;
    /* Of a skill; NULL: request.responder_id is a workflow. */
    const char *slug;
    /* Of a skill: the alias of the model that is asked for; NULL: none. */
    const char *model;
    /* Of a skill: file_source_ids. The database thread adds what the version decides. */
    struct skill_extra extra;
    /* An earlier attempt may have started the child: look for it first, even if the workflow is gone since.
     */
    bool resumed;
    /* Set by the loop thread, also after it has submitted the job: the parent goes on without the child, and
     * this executor stops the child as soon as it is accepted. NULL: the parent waits for the child, or has
     * ended. Only the loop thread uses it. */
    struct executor *unwanted_by;

    /* --- of the database thread --- */
    struct child_check check;
    /* The request was completed with a row that was kept (executor/cache/current_rows.h). */
    bool by_kept_row;
    /* The compute thread has the child; it comes back to the database thread. */
    bool is_out;
    /* It belongs to a commit (commit_add_child) that is not written yet, and does not go out. */
    bool joins;
    /* Only accepting is left. */
    bool is_ready;

    /* --- the result --- */
    /* RUN_ACCEPTED and RUN_CHILD_EXISTS set execution_id. Every other verdict sets `why`, a sentence; verdict
     * 0 means that the child was rejected before it came to accepting. */
    struct run_answer answer;
    const char *why;
    /* of the step that starts the child; REASON_NONE: step_failed */
    enum failure_reason reason;
};
