/* Children: a step of one run that starts another run. The loop thread describes what it wants; the database
 * thread loads the workflow or skill, judges the inputs by its schema and accepts, up to 64 children at a
 * time, by core/accept_run, which finds a child that an earlier attempt had started. */
#pragma once

#include "executor/cache/programs.h"
#include "executor/db_thread/db_thread.h"
#include "run/accept.h"
#include "view/skill.h"

struct child_job {
    struct job job; /* first; JOB_ACCEPT_CHILD */
    /* wanted: workspace, principal, key, parent, responder and input, execution_id for a new child */
    struct run_request request;
    const char *slug;         /* of a skill; NULL: request.responder_id is a workflow's */
    struct skill_extra extra; /* of a skill: model, file_source_ids */
    bool resumed; /* an earlier attempt may have started it: look first, whatever became of the workflow */

    /* answered: RUN_ACCEPTED and RUN_CHILD_EXISTS give execution_id; else `why` is a sentence. 0: refused
     * before it came to accepting. */
    struct run_answer answer;
    const char *why;
};

/* Whether it is decided; else it is to be given again: a server was away, or the workflow has a new version.
 */
bool child_is_decided(const struct child_job *j);
/* False where some are not known yet. */
bool accept_children(struct db_thread_ctx *thread_ctx, struct compiled_programs *programs,
                     struct child_job **jobs, size_t n);
