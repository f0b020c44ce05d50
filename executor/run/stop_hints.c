#include "executor/run/stop_hints.h"

#include <talloc.h>

#include "executor/run/active_run.h"

/* runs of one lookup */
enum { LOOKUP_MAX = 512 };

struct stop_hints {
    struct executor *exec;
    /* runs that the next lookup includes: id -> a copy of it */
    struct id_map *due;
    bool lookup_running;
};

struct stop_lookup_job {
    struct job job;
    id runs[LOOKUP_MAX];
    size_t n;
    struct db_rows *rows;
};

static void start_lookup(struct stop_hints *h);

/* --- in the database thread --- */

static void look_up_stopped_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct stop_lookup_job *j = (struct stop_lookup_job *)job;
    struct db_value *values = talloc_array(j, struct db_value, j->n);
    for (size_t i = 0; i < j->n; i++)
        values[i] = db_id(&j->runs[i]);
    job->e = db_run_each(thread_ctx->db, j, SQL_EXECUTOR_STOPPED, NULL, 0, values, 1, j->n, &j->rows);
}

/* --- in the loop thread --- */

static void on_stopped_looked_up(struct job *job)
{
    struct stop_lookup_job *j = (struct stop_lookup_job *)job;
    struct stop_hints *h = job->arg;
    h->lookup_running = false;
    for (size_t r = 0; job->e == OK && r < j->rows->count; r++) {
        id run_id = db_get_id(j->rows, r, EXECUTOR_STOPPED_ID);
        struct active_run *run = id_map_get(h->exec->runs, &run_id);
        if (run && db_int(j->rows, r, EXECUTOR_STOPPED_STATE) == STATE_STOPPED)
            run_cancel(run, "stopped");
    }
    talloc_free(j);
    start_lookup(h);
}

static void start_lookup(struct stop_hints *h)
{
    if (h->lookup_running || id_map_count(h->due) == 0)
        return;
    struct stop_lookup_job *j = talloc_zero(NULL, struct stop_lookup_job);
    j->job =
        (struct job){.kind = JOB_CALL, .work = look_up_stopped_work, .done = on_stopped_looked_up, .arg = h};
    const id *run;
    size_t cursor = 0;
    while (j->n < LOOKUP_MAX && (run = id_map_next(h->due, &cursor)))
        j->runs[j->n++] = *run;
    for (size_t i = 0; i < j->n; i++) {
        talloc_free(id_map_get(h->due, &j->runs[i]));
        id_map_remove(h->due, &j->runs[i]);
    }
    h->lookup_running = true;
    db_thread_submit(h->exec->db_thread, &j->job);
}

struct stop_hints *stop_hints_new(void *ctx, struct executor *exec)
{
    struct stop_hints *h = talloc_zero(ctx, struct stop_hints);
    h->exec = exec;
    h->due = id_map_new(h);
    return h;
}

void stop_hints_add(struct stop_hints *h, const id *run)
{
    if (!id_map_get(h->exec->runs, run) || id_map_get(h->due, run))
        return;
    id_map_put(h->due, run, talloc_memdup(h->due, run, sizeof *run));
    start_lookup(h);
}
