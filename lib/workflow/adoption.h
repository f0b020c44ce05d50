/* What a retry adopts of the run that it retries: the steps before the one from which it executes again. The
 * plan is made when the retry is accepted, and stored with its run; the rows are copied when it is claimed.
 */
#pragma once

#include "base/ids.h"
#include "workflow/program.h"

struct adoption {
    /* the run that is retried */
    id of;
    /* The step i of the retry adopts the step steps[i] of that run. */
    int *steps;
    size_t n;
    /* The step number n, a for_each, adopts its completed items: program and inputs are the same. */
    bool items;
};

/* A step of that run. */
struct adopted_step {
    const char *name;
    /* How it has ended. One that failed has ended only if it was allowed to fail. */
    enum { ADOPTED_NOT_ENDED, ADOPTED_ENDED, ADOPTED_FAILED } end;
};

/* Plans a retry by `program` of a run with the steps `old`, without those of on_failure. `from` is the name
 * of a step, or "failed": the first one that has not ended. NULL, or a sentence (of ctx) that says why `from`
 * is not possible. The steps of *a_r are of ctx; `of` and `items` are the caller's. */
const char *adoption_plan(void *ctx, const struct adopted_step *old, size_t old_n,
                          const struct program *program, const char *from, struct adoption *a_r);

/* As the member `adopt` of the run's extra JSON: {of, steps, items}. The object is new. */
json_object *adoption_json(const struct adoption *a);
/* Reads it from the extra JSON of a run (NULL: none). False: the run adopts nothing. */
bool adoption_read(void *ctx, const char *extra, struct adoption *a_r);
