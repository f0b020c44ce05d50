#include "executor/db_thread/adopted_steps.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "workflow/adoption.h"

static int by_place(const void *a, const void *b)
{
    const struct stored_step *x = a;
    const struct stored_step *y = b;
    if (x->step != y->step)
        return x->step - y->step;
    return x->item != y->item ? x->item - y->item : x->adopted - y->adopted;
}

/* The step of the retry that adopts the row; -1: none. */
static int adopting_step(const struct adoption *a, int step, int item, enum step_status status)
{
    if (a->items && step == (int)a->n)
        return item >= 0 && status == STEP_STATUS_COMPLETED ? step : -1;
    for (size_t i = 0; item < 0 && i < a->n; i++) {
        if (a->steps[i] == step)
            return (int)i;
    }
    return -1;
}

static int last_step(const struct adoption *a)
{
    int last = a->items ? (int)a->n : -1;
    for (size_t i = 0; i < a->n; i++)
        last = a->steps[i] > last ? a->steps[i] : last;
    return last;
}

/* Adds the rows that are adopted to `all`. */
static void add_rows(const struct db_rows *rows, const struct adoption *a, struct stored_step *all, size_t *n)
{
    for (size_t r = 0; r < rows->count; r++) {
        if (db_cell(rows, r, EXECUTOR_ADOPTED_STEPS_STEP)->is_null)
            continue;
        struct stored_step s = {
            .step = (int)db_int(rows, r, EXECUTOR_ADOPTED_STEPS_STEP),
            .item = (int)db_int(rows, r, EXECUTOR_ADOPTED_STEPS_ITEM),
            .status = (enum step_status)db_int(rows, r, EXECUTOR_ADOPTED_STEPS_STATUS),
            .tries = (int)db_int(rows, r, EXECUTOR_ADOPTED_STEPS_TRIES),
            .answers = (int)db_int(rows, r, EXECUTOR_ADOPTED_STEPS_ANSWERS),
            .started_ms = db_int(rows, r, EXECUTOR_ADOPTED_STEPS_STARTED_MS),
            .completed_ms = db_int(rows, r, EXECUTOR_ADOPTED_STEPS_COMPLETED_MS),
            .result = db_str(rows, r, EXECUTOR_ADOPTED_STEPS_RESULT),
            .error = db_str(rows, r, EXECUTOR_ADOPTED_STEPS_ERROR),
            .reason = (enum failure_reason)db_int(rows, r, EXECUTOR_ADOPTED_STEPS_REASON),
            .adopted = true,
        };
        s.step = adopting_step(a, s.step, s.item, s.status);
        if (s.step >= 0)
            all[(*n)++] = s;
    }
}

/* Removes the rows that the retry has copied already. `all` is sorted; its own rows come first. */
static size_t drop_copied(struct stored_step *all, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && all[kept - 1].step == all[i].step && all[kept - 1].item == all[i].item)
            continue;
        all[kept++] = all[i];
    }
    return kept;
}

enum err read_adopted_steps(struct db *db, void *ctx, struct claimed_run *c)
{
    struct adoption a;
    struct db_rows *rows;
    if (c->skill || !adoption_read(ctx, c->extra, &a) || last_step(&a) < 0)
        return OK;
    struct db_value args[] = {db_number(last_step(&a)), db_id(&a.of), db_id(&c->run.workspace_id)};
    enum err e = db_run(db, ctx, SQL_EXECUTOR_ADOPTED_STEPS, args, 3, &rows);
    if (e != OK)
        return e;
    struct stored_step *all = talloc_array(ctx, struct stored_step, c->steps_n + rows->count + 1);
    size_t n = c->steps_n;
    if (n > 0)
        memcpy(all, c->steps, n * sizeof *all);
    add_rows(rows, &a, all, &n);
    qsort(all, n, sizeof *all, by_place);
    bool first = c->steps_n == 0;
    c->steps = all;
    c->steps_n = drop_copied(all, n);
    size_t whole = 0;
    for (size_t i = 0; i < c->steps_n; i++)
        whole += all[i].item < 0 && all[i].step < (int)a.n;
    c->adoption_lost = whole < a.n || (a.items && first && rows->count == 0);
    return OK;
}
