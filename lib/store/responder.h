/* What responders are called: a workflow's name, a skill's slug. Also of those that are archived. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

struct responder_name {
    id id;
    const char *name;
};

/* Those of `n` ids that there are, in no order; of ctx. Ids of one kind, as executions of the caller's
 * workspace name them. */
enum err responder_names(struct db *db, void *ctx, enum responder_kind kind, const id *ids, size_t n,
                         struct responder_name **list_r, size_t *count_r) WARN_UNUSED;
