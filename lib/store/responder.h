/* Names of responders: a workflow's name, a skill's slug. Archived ones are included. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

struct responder_name {
    id id;
    const char *name;
};

/* The names of those of `n` ids that exist, in any order, on ctx. All ids are of one kind. Takes no
 * workspace: the ids must come from executions of the caller's workspace. */
enum err responder_names(struct db *db, void *ctx, enum responder_kind kind, const id *ids, size_t n,
                         struct responder_name **list_r, size_t *count_r) WARN_UNUSED;
