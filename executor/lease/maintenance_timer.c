#include "executor/lease/maintenance_timer.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "maintenance/retention.h"
#include "maintenance/tasks.h"
#include "run/recover.h"

enum {
    CHECK_MS = 1000,
    /* Batches of one execution of a task: the database thread has other work. */
    ROUNDS_MAX = 20,
    RETENTION_BATCHES_MAX = 4,
};

struct maintenance_timer {
    struct executor *exec;
    struct blob_store *blobs; /* NULL: files.dir cannot be used */
    struct timer next;
    /* The tasks' rows exist. */
    bool ensured;
    bool ended;
};

struct maintenance_job {
    struct job job;
    int max_losses;
    struct blob_store *blobs;
};

typedef enum err maintenance_task_work(struct maintenance_job *j, struct db_thread_ctx *thread_ctx,
                                       uint64_t *n_r);

static enum err expire_keys_task(struct maintenance_job *j, struct db_thread_ctx *thread_ctx, uint64_t *n_r)
{
    enum err e = OK;
    uint64_t n = MAINTENANCE_ROWS_MAX;
    *n_r = 0;
    for (int i = 0; e == OK && n == MAINTENANCE_ROWS_MAX && i < ROUNDS_MAX; i++) {
        progress_step(thread_ctx->progress);
        e = maintenance_delete_expired_keys(thread_ctx->db, &n);
        *n_r += n;
    }
    return e;
}

static enum err forget_executors_task(struct maintenance_job *j, struct db_thread_ctx *thread_ctx,
                                      uint64_t *n_r)
{
    return maintenance_delete_lost_executors(thread_ctx->db, n_r);
}

/* Writes all counters at once, so that whatever Redis has lost or missed is correct afterwards. */
static enum err refresh_credits_task(struct maintenance_job *j, struct db_thread_ctx *thread_ctx,
                                     uint64_t *n_r)
{
    id after = {{0}};
    enum err e = OK;
    uint64_t n = MAINTENANCE_ROWS_MAX;
    for (int i = 0; e == OK && n == MAINTENANCE_ROWS_MAX && i < ROUNDS_MAX; i++) {
        progress_step(thread_ctx->progress);
        e = maintenance_refresh_credits(thread_ctx->db, thread_ctx->redis, &after, &n);
    }
    *n_r = 0; /* not worth a log line */
    return e;
}

static enum err requeue_orphans_task(struct maintenance_job *j, struct db_thread_ctx *thread_ctx,
                                     uint64_t *n_r)
{
    size_t n;
    enum err e = executor_requeue_orphans(thread_ctx->db, thread_ctx->redis, j->max_losses, &n);
    *n_r = n;
    return e;
}

/* A few batches a second, which requests do not notice; a large backlog is worked off over time. */
static enum err retention_task(struct maintenance_job *j, struct db_thread_ctx *thread_ctx, uint64_t *n_r)
{
    enum err e = OK;
    *n_r = 0;
    for (int i = 0; e == OK && i < RETENTION_BATCHES_MAX; i++) {
        size_t n;
        progress_step(thread_ctx->progress);
        e = retention_step(thread_ctx->db, thread_ctx->redis, j->blobs, &n);
        *n_r += n;
    }
    return e == ERR_NOT_FOUND ? OK : e;
}

static const struct maintenance_task tasks[] = {
    {"lose_orphans", 5000},        {"refresh_credits", 5000}, {"expire_keys", 60000},
    {"forget_executors", 3600000}, {"retention", 1000},
};
enum { TASKS = sizeof tasks / sizeof *tasks };
static maintenance_task_work *const task_works[TASKS] = {
    requeue_orphans_task, refresh_credits_task, expire_keys_task, forget_executors_task, retention_task};

static void run_task(struct maintenance_job *j, struct db_thread_ctx *thread_ctx, size_t t)
{
    uint64_t n = 0;
    progress_begin(thread_ctx->progress, tasks[t].name, NULL);
    if (maintenance_task_claim(thread_ctx->db, &tasks[t]) != OK)
        return;
    enum err e = task_works[t](j, thread_ctx, &n);
    if (n > 0)
        log_info("maintenance.done", "task=%s rows=%llu", tasks[t].name, (unsigned long long)n);
    if (e != OK && !err_is_transient(e))
        log_error("maintenance.failed", "task=%s error=%s", tasks[t].name, err_name(e));
}

static void run_due_tasks_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    bool is_due[TASKS];
    job->e = maintenance_find_due(thread_ctx->db, tasks, TASKS, is_due);
    for (size_t t = 0; job->e == OK && t < TASKS; t++) {
        if (is_due[t])
            run_task((struct maintenance_job *)job, thread_ctx, t);
    }
}

static void ensure_tasks_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    job->e = OK;
    for (size_t t = 0; job->e == OK && t < TASKS; t++)
        job->e = maintenance_task_ensure(thread_ctx->db, tasks[t].name);
}

static void on_maintenance_done(struct job *job)
{
    struct maintenance_timer *m = job->arg;
    m->ensured = m->ensured || job->e == OK;
    talloc_free(job);
    if (!m->ended)
        timer_set(m->exec->timers, &m->next, clock_boot_ms() + CHECK_MS);
}

static void on_maintenance_timer(void *arg)
{
    struct maintenance_timer *m = arg;
    struct maintenance_job *j = talloc_zero(NULL, struct maintenance_job);
    j->job = (struct job){.kind = JOB_CALL,
                          .work = m->ensured ? run_due_tasks_work : ensure_tasks_work,
                          .done = on_maintenance_done,
                          .arg = m};
    j->max_losses = (int)m->exec->config->executor.max_losses;
    j->blobs = m->blobs;
    db_thread_submit(m->exec->db_thread, &j->job);
}

struct maintenance_timer *maintenance_timer_start(void *ctx, struct executor *exec)
{
    struct maintenance_timer *m = talloc_zero(ctx, struct maintenance_timer);
    m->exec = exec;
    m->blobs = blob_store_open(m, exec->config->files.dir);
    m->next = (struct timer){.fire = on_maintenance_timer, .arg = m};
    on_maintenance_timer(m);
    return m;
}

void maintenance_timer_stop(struct maintenance_timer *m)
{
    if (!m || m->ended)
        return;
    m->ended = true;
    timer_clear(m->exec->timers, &m->next);
}
