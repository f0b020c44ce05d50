/* The steps that a retry adopts (workflow/adoption.h), read for its claim: until the retry has written a copy
 * of a row, that row is the one of the run that is retried. Database thread only. */
#pragma once

#include "executor/db_thread/claimed_run.h"
#include "mariadb/db.h"

/* Completes c->steps, which holds the rows that the retry has itself, by those that it adopts; on ctx. Sets
 * c->adoption_lost if the run that is retried was purged before. Does nothing for a run that adopts nothing.
 */
enum err read_adopted_steps(struct db *db, void *ctx, struct claimed_run *c) WARN_UNUSED;
