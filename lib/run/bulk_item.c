#include "run/bulk_item.h"

#include <string.h>

static const char *const actions[] = {NULL, "stop", "retry", "purge"};
static const char *const states[] = {NULL, "collecting", "running", "paused", "completed", "cancelled"};
static const char *const outcomes[BULK_OUTCOMES] = {"pending", "done", "skipped", "failed"};
static const char *const reasons[BULK_REASONS] = {
    NULL,
    "state_changed",
    "removed",
    "purged",
    "child",
    "scope",
    "archived",
    "invalid_inputs",
    "model_not_allowed",
    "from_not_possible",
    "not_for_skills",
    "internal",
    "insufficient_credits",
    "key_revoked",
    "concurrency_limited",
    "budget_exceeded",
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *name_of(const char *const *names, size_t n, unsigned number)
{
    return number < n ? names[number] : NULL;
}

/* n: no such word. */
static size_t number_of(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (names[i] && strcmp(names[i], name) == 0)
            return i;
    }
    return n;
}

const char *bulk_action_name(enum bulk_action action)
{
    return name_of(actions, COUNT(actions), (unsigned)action);
}

const char *bulk_state_name(enum bulk_state state)
{
    return name_of(states, COUNT(states), (unsigned)state);
}

const char *bulk_outcome_name(enum bulk_outcome outcome)
{
    return name_of(outcomes, COUNT(outcomes), (unsigned)outcome);
}

const char *bulk_reason_name(enum bulk_reason reason)
{
    return name_of(reasons, COUNT(reasons), (unsigned)reason);
}

bool bulk_action_from_name(const char *name, enum bulk_action *action_r)
{
    *action_r = (enum bulk_action)number_of(actions, COUNT(actions), name);
    return *action_r < COUNT(actions);
}

bool bulk_outcome_from_name(const char *name, enum bulk_outcome *outcome_r)
{
    *outcome_r = (enum bulk_outcome)number_of(outcomes, COUNT(outcomes), name);
    return *outcome_r < BULK_OUTCOMES;
}

static enum err decide_item(struct db_tx *tx, const id *job, const struct bulk_decision *d)
{
    struct db_value args[] = {db_number(d->outcome), db_number(d->reason), db_id(&d->result_id), db_id(job),
                              db_id(&d->execution_id)};
    struct db_value count[] = {
        [BULK_COUNT_ADD_SET_JOB_ID] = db_id(job),
        [BULK_COUNT_ADD_SET_OUTCOME] = db_number(d->outcome),
        [BULK_COUNT_ADD_SET_REASON] = db_number(d->reason),
    };
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_BULK_ITEM_DECIDE, args, sizeof args / sizeof *args, &rows);
    if (e != OK || rows->affected == 0)
        return e;
    return db_run_each(tx->db, tx->ctx, SQL_BULK_COUNT_ADD, NULL, 0, count, BULK_COUNT_ADD_SET_COUNT, 1,
                       NULL);
}

enum err bulk_items_decide(struct db_tx *tx, const id *job, const struct bulk_decision *list, size_t n)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < n; i++)
        e = decide_item(tx, job, &list[i]);
    return e;
}
