/* Validates the inputs of children by the schema of their workflow or skill. A validation that may
 * exceed the budget of the database thread goes to the compute thread, and the child waits for it. One thread
 * calls these functions, except where one says otherwise; what schedules and bulk jobs start is validated by
 * them in the same way, for the maintenance thread (executor/lease/run_target.h). */
#pragma once

#include "executor/db_thread/child_job.h"
#include "executor/db_thread/compute_returns.h"
#include "schema/schema.h"

struct cached_program;
struct cached_skill;

enum {
    /* checks of a validation on the database thread: about a millisecond */
    CHILD_CHECKS_INLINE = 20000,
};

struct child_checks;

/* `on_checked` is called on the compute thread when a child is finished. */
struct child_checks *child_checks_new(void *ctx, struct compute_thread *compute,
                                      void (*on_checked)(void *arg), void *arg);
/* After the end of the compute thread, which keeps the children that it has not finished. Any thread. */
void child_checks_free(struct child_checks *all);

/* What a child is validated by, of the cache. */
struct child_schema {
    /* of j->check */
    id responder;
    int version;
    /* NULL: any object is valid */
    const struct schema *schema;
    /* "workflow" or "skill", for the sentence; a constant */
    const char *what;
    /* whose schema that is; the other one is NULL */
    struct cached_program *program;
    struct cached_skill *skill;
};

/* Validates a child within CHILD_CHECKS_INLINE and COMPUTE_INLINE_MAX; the result is in j->check. False: it
 * needs more than that, and nothing is decided. */
bool child_check_now(struct child_job *j, const struct child_schema *by) WARN_UNUSED;
/* Takes over the child, and validates it in the compute thread by the whole budget. */
void child_check_submit(struct child_checks *all, struct child_job *j, const struct child_schema *by);
/* A child that was validated: the result is in its `check`. NULL: none. */
struct child_job *child_check_take(struct child_checks *all);
