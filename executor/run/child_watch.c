#include "executor/run/child_watch.h"

#include <talloc.h>

#include "base/clock.h"

enum {
    POLL_MS = 1000,
    /* children of one lookup */
    LOOKUP_MAX = 512,
};

struct watched_child {
    id child;
    /* NULL: it is only expected */
    child_ended *ended;
    void *arg;
    /* the next lookup includes it */
    bool lookup_due;
    /* its end was announced while it was expected */
    bool announced;
};

struct child_watch {
    struct executor *exec;
    struct id_map *children;
    /* where the next poll continues in `children` */
    size_t cursor;
    bool lookup_running;
    /* start another lookup when the running one is done */
    bool lookup_again;
    struct timer poll;
};

struct child_lookup_job {
    struct job job;
    id children[LOOKUP_MAX];
    size_t n;
    struct db_rows *rows;
};

static void start_lookup(struct child_watch *w);

/* --- in the database thread --- */

static void lookup_children_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct child_lookup_job *j = (struct child_lookup_job *)job;
    struct db_value *values = talloc_array(j, struct db_value, j->n);
    for (size_t i = 0; i < j->n; i++)
        values[i] = db_id(&j->children[i]);
    job->e = db_run_each(thread_ctx->db, j, SQL_EXECUTOR_CHILDREN, NULL, 0, values, 1, j->n, &j->rows);
}

/* --- in the loop thread --- */

static void end_watch(struct child_watch *w, struct watched_child *one, const struct child_end *end)
{
    child_ended *ended = one->ended;
    void *arg = one->arg;
    id child = one->child;
    child_watch_forget(w, &child);
    ended(arg, end);
}

static void on_children_looked_up(struct job *job)
{
    struct child_lookup_job *j = (struct child_lookup_job *)job;
    struct child_watch *w = job->arg;
    w->lookup_running = false;
    for (size_t r = 0; job->e == OK && r < j->rows->count; r++) {
        id child = db_get_id(j->rows, r, EXECUTOR_CHILDREN_ID);
        struct watched_child *one = id_map_get(w->children, &child);
        struct child_end end = {.state = (enum run_state)db_int(j->rows, r, EXECUTOR_CHILDREN_STATE),
                                .reason =
                                    (enum failure_reason)db_int(j->rows, r, EXECUTOR_CHILDREN_FAILURE_REASON),
                                .output = db_str(j->rows, r, EXECUTOR_CHILDREN_OUTPUT),
                                .error = db_str(j->rows, r, EXECUTOR_CHILDREN_ERROR)};
        if (one && one->ended && state_is_terminal(end.state))
            end_watch(w, one, &end);
    }
    talloc_free(j);
    if (w->lookup_again)
        start_lookup(w);
}

/* Looks up the children that are due, at most LOOKUP_MAX at a time, one lookup at a time. */
static void start_lookup(struct child_watch *w)
{
    size_t cursor = 0;
    struct watched_child *one;
    w->lookup_again = w->lookup_running;
    if (w->lookup_running)
        return;
    struct child_lookup_job *j = talloc_zero(NULL, struct child_lookup_job);
    j->job =
        (struct job){.kind = JOB_CALL, .work = lookup_children_work, .done = on_children_looked_up, .arg = w};
    while (j->n < LOOKUP_MAX && (one = id_map_next(w->children, &cursor))) {
        if (!one->lookup_due)
            continue;
        one->lookup_due = false;
        j->children[j->n++] = one->child;
    }
    w->lookup_again = j->n == LOOKUP_MAX;
    if (j->n == 0) {
        talloc_free(j);
        return;
    }
    w->lookup_running = true;
    db_thread_submit(w->exec->db_thread, &j->job);
}

static void on_child_poll(void *arg)
{
    struct child_watch *w = arg;
    struct watched_child *one;
    for (int n = 0; n < LOOKUP_MAX && (one = id_map_next(w->children, &w->cursor)); n++)
        one->lookup_due = one->ended != NULL;
    if (!one)
        w->cursor = 0;
    start_lookup(w);
    timer_set(w->exec->timers, &w->poll, clock_boot_ms() + POLL_MS);
}

static int child_watch_destroy(struct child_watch *w)
{
    timer_clear(w->exec->timers, &w->poll);
    return 0;
}

struct child_watch *child_watch_new(void *ctx, struct executor *exec)
{
    struct child_watch *w = talloc_zero(ctx, struct child_watch);
    w->exec = exec;
    w->children = id_map_new(w);
    w->poll = (struct timer){.fire = on_child_poll, .arg = w};
    timer_set(exec->timers, &w->poll, clock_boot_ms() + POLL_MS);
    talloc_set_destructor(w, child_watch_destroy);
    return w;
}

/* In the place of what was there. */
static struct watched_child *put_child(struct child_watch *w, const id *child)
{
    child_watch_forget(w, child);
    struct watched_child *one = talloc_zero(w, struct watched_child);
    one->child = *child;
    id_map_put(w->children, child, one);
    return one;
}

void child_watch_expect(struct child_watch *w, const id *child)
{
    put_child(w, child);
}

void child_watch_add(struct child_watch *w, const id *child, child_ended *ended, void *arg)
{
    const struct watched_child *expected = id_map_get(w->children, child);
    bool may_have_ended = !expected || expected->announced;
    struct watched_child *one = put_child(w, child);
    one->ended = ended;
    one->arg = arg;
    one->lookup_due = may_have_ended;
    if (may_have_ended)
        start_lookup(w);
}

void child_watch_forget(struct child_watch *w, const id *child)
{
    talloc_free(id_map_get(w->children, child));
    id_map_remove(w->children, child);
}

void child_watch_notify(struct child_watch *w, const id *child)
{
    struct watched_child *one = id_map_get(w->children, child);
    if (!one)
        return;
    one->announced = true;
    one->lookup_due = one->ended != NULL;
    if (one->lookup_due)
        start_lookup(w);
}

void child_watch_tell(struct child_watch *w, const id *child, const struct child_end *end)
{
    struct watched_child *one = id_map_get(w->children, child);
    if (one && one->ended)
        end_watch(w, one, end);
    else if (one)
        one->announced = true;
}

size_t child_watch_count(const struct child_watch *w)
{
    return id_map_count(w->children);
}
