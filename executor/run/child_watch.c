#include "executor/run/child_watch.h"

#include <talloc.h>

#include "base/clock.h"

enum { POLL_MS = 1000, LOOK_MAX = 512 };

struct watched {
    id child;
    child_ended *ended;
    void *arg;
    bool asked; /* to be looked up with the next job */
};

struct child_watch {
    struct executor *x;
    struct id_table *children;
    size_t place; /* where the next poll goes on */
    bool looking, again;
    struct timer poll;
};

struct look_job {
    struct job job;
    id children[LOOK_MAX];
    size_t n;
    struct db_rows *rows;
};

static void look(struct child_watch *w);

/* --- the database thread's --- */

static void look_up(struct job *job, struct writer_hands *hands)
{
    struct look_job *j = (struct look_job *)job;
    struct db_value *values = talloc_array(j, struct db_value, j->n);
    for (size_t i = 0; i < j->n; i++)
        values[i] = db_id(&j->children[i]);
    job->e = db_run_each(hands->db, j, SQL_EXECUTOR_CHILDREN, NULL, 0, values, 1, j->n, &j->rows);
}

/* --- */

static void on_looked(struct job *job)
{
    struct look_job *j = (struct look_job *)job;
    struct child_watch *w = job->arg;
    w->looking = false;
    for (size_t r = 0; job->e == OK && r < j->rows->count; r++) {
        id child = db_get_id(j->rows, r, 0);
        struct watched *one = id_table_get(w->children, &child);
        struct child_end end = {.state = (enum state)db_int(j->rows, r, 1),
                                .reason = (enum failure_reason)db_int(j->rows, r, 2),
                                .output = db_str(j->rows, r, 3),
                                .error = db_str(j->rows, r, 4)};
        if (!one || !state_is_terminal(end.state))
            continue;
        child_ended *ended = one->ended;
        void *arg = one->arg;
        child_watch_forget(w, &child);
        ended(arg, &end);
    }
    talloc_free(j);
    if (w->again)
        look(w);
}

/* Looks up what was asked for; where nothing was, a turn of all. */
static void look(struct child_watch *w)
{
    size_t place = 0;
    struct watched *one;
    w->again = w->looking;
    if (w->looking)
        return;
    struct look_job *j = talloc_zero(NULL, struct look_job);
    j->job = (struct job){.kind = JOB_CALL, .work = look_up, .done = on_looked, .arg = w};
    while (j->n < LOOK_MAX && (one = id_table_next(w->children, &place))) {
        if (!one->asked)
            continue;
        one->asked = false;
        j->children[j->n++] = one->child;
    }
    w->again = j->n == LOOK_MAX;
    if (j->n == 0) {
        talloc_free(j);
        return;
    }
    w->looking = true;
    writer_submit(w->x->writer, &j->job);
}

static void on_poll(void *arg)
{
    struct child_watch *w = arg;
    struct watched *one;
    for (int n = 0; n < LOOK_MAX && (one = id_table_next(w->children, &w->place)); n++)
        one->asked = true;
    if (!one)
        w->place = 0;
    look(w);
    timer_set(w->x->timers, &w->poll, clock_boot_ms() + POLL_MS);
}

static int destroy(struct child_watch *w)
{
    timer_clear(w->x->timers, &w->poll);
    return 0;
}

struct child_watch *child_watch_new(void *ctx, struct executor *x)
{
    struct child_watch *w = talloc_zero(ctx, struct child_watch);
    w->x = x;
    w->children = id_table_new(w);
    w->poll = (struct timer){.fire = on_poll, .arg = w};
    timer_set(x->timers, &w->poll, clock_boot_ms() + POLL_MS);
    talloc_set_destructor(w, destroy);
    return w;
}

void child_watch_add(struct child_watch *w, const id *child, child_ended *ended, void *arg)
{
    struct watched *one = talloc_zero(w, struct watched);
    *one = (struct watched){.child = *child, .ended = ended, .arg = arg, .asked = true};
    id_table_put(w->children, child, one);
    look(w);
}

void child_watch_forget(struct child_watch *w, const id *child)
{
    talloc_free(id_table_get(w->children, child));
    id_table_remove(w->children, child);
}

void child_watch_hint(struct child_watch *w, const id *child)
{
    struct watched *one = id_table_get(w->children, child);
    if (!one)
        return;
    one->asked = true;
    look(w);
}
