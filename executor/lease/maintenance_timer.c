#include "executor/lease/maintenance_timer.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "account/grants.h"
#include "base/clock.h"
#include "base/log.h"
#include "billing/ledger_numbers.h"
#include "billing/ledger_sums.h"
#include "billing/roll_up.h"
#include "blob/blob_rows.h"
#include "executor/lease/bulk_worker.h"
#include "executor/lease/scheduler.h"
#include "maintenance/purge.h"
#include "maintenance/retention.h"
#include "maintenance/tasks.h"
#include "run/delayed.h"
#include "run/recover.h"
#include "run/run_counts.h"
#include "run/stop_tree.h"
#include "service/worker_step.h"
#include "store/feed.h"
#include "store/share_limits.h"

enum {
    CHECK_MS = 1000,
    /* After this time the next task gets its turn. */
    TURN_MS = 200,
    /* The longest pause after a transaction. */
    PAUSE_MAX_US = 100000,
};

enum { TASKS = 24 };

struct maintenance_timer {
    struct thread_queue *queue; /* NULL: it was stopped */
    atomic_bool ended;
    int max_losses;

    /* --- the thread's own --- */
    struct db *db;
    struct redis *redis;
    struct blob_store *blobs; /* NULL: files.dir cannot be used */
    /* The tasks' rows exist. */
    bool ensured;
    /* The tasks that this process has taken and that have more to do. */
    bool unfinished[TASKS];
    struct worker_step steps[TASKS];
    /* refresh_credits: the last account that was copied. */
    id credits_after;
    /* lose_orphans */
    struct recover_cursor orphans;
    struct blob_sweep sweep;
    /* no objects are removed before */
    int64_t objects_rest_until_ms;
    struct scheduler *scheduler;
    struct bulk_worker *bulk;
    struct share_limits *share_limits;
    struct worker_step limits_step;
    int64_t bulk_keep_ms;
    /* begin_runs: the last workspace */
    id begun_after;
    /* trim_feeds: the last workspace, and how long feeds keep their events */
    id trimmed_after;
    int64_t feed_keep_ms;
    /* roll_up: the last workspace that was looked at */
    id rolled_after;
    struct roll_up_rules roll_up_rules;
};

/* One transaction of a task. *n_r: for the log. *more_r: there may be more to do. */
typedef enum err maintenance_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r);

static enum err requeue_orphans_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = executor_requeue_orphans(m->db, m->redis, &m->orphans, m->max_losses, NULL, &n);
    *n_r = n;
    *more_r = e == OK;
    if (!*more_r)
        m->orphans = (struct recover_cursor){0};
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Writes all counters, so that whatever Redis has lost or missed is correct afterwards. Not worth a log line.
 */
static enum err refresh_credits_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    uint64_t n;
    enum err e = maintenance_refresh_credits(m->db, m->redis, &m->credits_after, &n);
    *more_r = e == OK && n == MAINTENANCE_ROWS_MAX;
    if (!*more_r)
        m->credits_after = (id){{0}};
    return e;
}

static enum err expire_keys_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_expired_keys(m->db, n_r);
    *more_r = *n_r == MAINTENANCE_ROWS_MAX;
    return e;
}

static enum err expire_batches_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_expired_batches(m->db, n_r);
    *more_r = *n_r == MAINTENANCE_BATCHES_MAX;
    return e;
}

static enum err end_sessions_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_ended_sessions(m->db, n_r);
    *more_r = *n_r == MAINTENANCE_ROWS_MAX;
    return e;
}

static enum err expire_occurrences_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_old_occurrences(m->db, n_r);
    *more_r = *n_r == MAINTENANCE_ROWS_MAX;
    return e;
}

static enum err expire_budget_periods_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_old_budget_periods(m->db, n_r);
    *more_r = *n_r == MAINTENANCE_ROWS_MAX;
    return e;
}

static enum err trim_feeds_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = feed_trim(m->db, &m->trimmed_after, m->feed_keep_ms, n_r);
    *more_r = e == OK && (*n_r == FEED_PAGE_MAX || id_is_set(&m->trimmed_after));
    return e;
}

static enum err forget_executors_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_lost_executors(m->db, n_r);
    *more_r = *n_r == MAINTENANCE_ROWS_MAX;
    return e;
}

/* A workspace or run that failed is due later, so the next one gets its turn. */
static enum err skip_failed(enum err e, bool *more_r)
{
    *more_r = e != ERR_NOT_FOUND && e != ERR_UNAVAILABLE;
    return *more_r || e == ERR_NOT_FOUND ? OK : e;
}

static enum err retention_task_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = retention_step(m->db, m->redis, &n);
    *n_r = n;
    return skip_failed(e, more_r);
}

static enum err purge_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    return skip_failed(purge_slice(m->db, NULL), more_r);
}

static enum err stop_trees_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = stop_slice(m->db, m->redis, NULL, &n);
    *n_r = n;
    return skip_failed(e, more_r);
}

static enum err begin_runs_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = delayed_begin(m->db, m->redis, &m->begun_after, &n);
    *n_r = n;
    *more_r = e == OK;
    return e == ERR_NOT_FOUND ? OK : e;
}

static enum err expire_runs_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = delayed_expire(m->db, m->redis, &n);
    *n_r = n;
    *more_r = e == OK && n > 0;
    return e;
}

/* The object store is away: the other tasks must not wait for it again and again. */
enum { OBJECTS_REST_MS = 60000 };

static enum err remove_objects_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    if (!m->blobs || clock_boot_ms() < m->objects_rest_until_ms)
        return OK;
    enum err e = blob_remove_objects(m->db, m->blobs, n_r);
    *more_r = e == OK && *n_r > 0;
    if (e == ERR_UNAVAILABLE)
        m->objects_rest_until_ms = clock_boot_ms() + OBJECTS_REST_MS;
    return e == ERR_UNAVAILABLE ? OK : e;
}

static enum err remove_blobs_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = m->blobs ? blob_remove_dead(m->db, m->blobs, n_r) : OK;
    *more_r = *n_r == BLOB_REMOVE_MAX;
    return e;
}

/* Not worth a log line, unless it finds something. */
static enum err sweep_blobs_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    return m->blobs ? blob_sweep_step(m->db, m->blobs, &m->sweep, more_r) : OK;
}

static enum err schedules_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    scheduler_step(m->scheduler, m->db, m->redis, &n, more_r);
    *n_r = n;
    return OK;
}

static enum err grants_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = grants_make_due(m->db, m->redis, &n);
    *n_r = n;
    *more_r = e == OK && n > 0;
    return e;
}

static enum err bulk_jobs_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    size_t n;
    enum err e = bulk_worker_step(m->bulk, m->db, m->redis, &n, more_r);
    *n_r = n;
    return e;
}

static enum err expire_bulk_jobs_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    enum err e = maintenance_delete_old_bulk_jobs(m->db, m->bulk_keep_ms, n_r);
    *more_r = e == OK;
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Neither is worth a log line: every run has rows. */
static enum err ledger_numbers_task_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    uint64_t n;
    (void)n_r;
    enum err e = ledger_numbers_step(m->db, &n);
    *more_r = e == OK && n == LEDGER_NUMBERS_ROWS;
    return e;
}

static enum err ledger_sums_task_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    uint64_t n;
    (void)n_r;
    enum err e = ledger_sums_step(m->db, &n);
    *more_r = e == OK && n > 0;
    return e;
}

static enum err roll_up_task_step(struct maintenance_timer *m, uint64_t *n_r, bool *more_r)
{
    return roll_up_step(m->db, &m->roll_up_rules, &m->rolled_after, n_r, more_r);
}

static const struct maintenance_task tasks[TASKS] = {
    {"lose_orphans", 5000},
    {"refresh_credits", 5000},
    {"expire_keys", 10000},
    {"forget_executors", 3600000},
    {"retention", 1000},
    {"purge", 1000},
    {"remove_blobs", 10000},
    {"sweep_blobs", 3600000},
    {"stop_trees", 1000},
    {"schedules", 1000},
    {"expire_occurrences", 600000},
    {"begin_runs", 1000},
    {"expire_runs", 1000},
    {"trim_feeds", 60000},
    {"grants", 1000},
    {"end_sessions", 60000},
    {"bulk_jobs", 1000},
    {"expire_bulk_jobs", 600000},
    {"ledger_sums", 1000},
    {"expire_batches", 10000},
    {"expire_budget_periods", 600000},
    {"remove_objects", 10000},
    {"roll_up", 60000},
    {"ledger_numbers", 1000},
};
static maintenance_step *const steps[TASKS] = {
    requeue_orphans_step,  refresh_credits_step,    expire_keys_step,
    forget_executors_step, retention_task_step,     purge_step,
    remove_blobs_step,     sweep_blobs_step,        stop_trees_step,
    schedules_step,        expire_occurrences_step, begin_runs_step,
    expire_runs_step,      trim_feeds_step,         grants_step,
    end_sessions_step,     bulk_jobs_step,          expire_bulk_jobs_step,
    ledger_sums_task_step, expire_batches_step,     expire_budget_periods_step,
    remove_objects_step,   roll_up_task_step,       ledger_numbers_task_step};

static bool is_over(const struct maintenance_timer *m)
{
    return atomic_load(&m->ended) || thread_queue_is_ending(m->queue);
}

/* Leaves MariaDB to others for as long as the last transaction took. */
static void pause_after(int64_t began_us)
{
    int64_t took_us = clock_boot_us() - began_us;
    if (took_us > PAUSE_MAX_US)
        took_us = PAUSE_MAX_US;
    nanosleep(&(struct timespec){.tv_nsec = took_us * 1000}, NULL);
}

static void run_task(struct maintenance_timer *m, size_t t)
{
    const int64_t until_ms = clock_boot_ms() + TURN_MS;
    uint64_t total = 0;
    enum err e = OK;
    bool more = true;
    while (e == OK && more && clock_boot_ms() < until_ms && !is_over(m)) {
        int64_t began_us = clock_boot_us();
        uint64_t n = 0;
        more = false;
        e = steps[t](m, &n, &more);
        total += n;
        if (more)
            pause_after(began_us);
    }
    m->unfinished[t] = e == OK && more;
    if (total > 0)
        log_info("maintenance.done", "task=%s rows=%llu", tasks[t].name, (unsigned long long)total);
    worker_step_end(&m->steps[t], e, clock_boot_ms());
}

/* A task that this process has not finished stays this process's; every other one is taken if it is due. */
static bool take_task(struct maintenance_timer *m, size_t t, bool is_due)
{
    if (!worker_step_is_due(&m->steps[t], clock_boot_ms()))
        return false;
    if (m->unfinished[t]) {
        /* while MariaDB is read-only, the task is left to whoever finds it due */
        m->unfinished[t] = maintenance_task_schedule(m->db, &tasks[t]) == OK;
        return m->unfinished[t];
    }
    return is_due && maintenance_task_claim(m->db, &tasks[t]) == OK;
}

/* True: a task has more to do. */
static bool run_due_tasks(struct maintenance_timer *m)
{
    bool is_due[TASKS], more = false;
    enum err e = maintenance_find_due(m->db, tasks, TASKS, is_due);
    for (size_t t = 0; e == OK && t < TASKS && !is_over(m); t++) {
        if (take_task(m, t, is_due[t]))
            run_task(m, t);
        more = more || m->unfinished[t];
    }
    return e == OK && more;
}

static bool ensure_tasks(struct maintenance_timer *m)
{
    enum err e = OK;
    for (size_t t = 0; e == OK && t < TASKS; t++)
        e = maintenance_task_ensure(m->db, tasks[t].name);
    return e == OK;
}

static void refresh_limits(struct maintenance_timer *m)
{
    if (worker_step_is_due(&m->limits_step, clock_boot_ms()))
        worker_step_end(&m->limits_step, share_limits_refresh(m->share_limits, m->db), clock_boot_ms());
}

static void run_maintenance(struct thread_queue *q, void *arg)
{
    struct maintenance_timer *m = arg;
    while (!thread_queue_is_ending(q)) {
        if (atomic_load(&m->ended)) {
            (void)thread_queue_next(q, -1);
            continue;
        }
        m->ensured = m->ensured || ensure_tasks(m);
        run_counts_flush(m->db);
        refresh_limits(m);
        (void)redis_repair(m->redis);
        if (!m->ensured || !run_due_tasks(m))
            (void)thread_queue_next(q, CHECK_MS); /* no jobs: waits for the time or the end */
    }
    run_counts_flush(m->db);
    talloc_free(m->db);
    talloc_free(m->redis);
}

static void on_job_finished(struct thread_job *job, void *arg)
{
    talloc_free(job);
}

struct maintenance_timer *maintenance_timer_start(void *ctx, struct executor *exec,
                                                  const struct db_settings *db)
{
    struct maintenance_timer *m = talloc_zero(ctx, struct maintenance_timer);
    struct thread_queue_settings queue = {.run = run_maintenance, .on_finished = on_job_finished, .arg = m};
    m->max_losses = (int)exec->config->executor.max_losses;
    m->roll_up_rules = (struct roll_up_rules){.after_months = exec->config->billing.rollup_after_months,
                                              .wait_days = exec->config->billing.rollup_wait_days};
    m->feed_keep_ms = exec->config->stream.feed_hours * 3600000;
    m->blobs = blob_store_open(m, exec->config, NULL);
    m->share_limits = exec->share_limits;
    m->limits_step = (struct worker_step){.worker = "maintenance", .name = "share_limits"};
    m->bulk_keep_ms = exec->config->bulk.keep_days * 86400000;
    m->db = db_new(NULL, db);
    m->redis = redis_new(NULL, exec->config->redis.socket);
    for (size_t t = 0; t < TASKS; t++)
        m->steps[t] = (struct worker_step){.worker = "maintenance", .name = tasks[t].name};
    m->queue = thread_queue_new(m, exec->base, &queue);
    struct run_targets *targets = run_targets_new(m, exec->compute, m->queue);
    m->scheduler = scheduler_new(m, targets, exec->otlp);
    m->bulk = bulk_worker_new(m, exec->config, targets, exec->otlp);
    if (m->queue && thread_queue_start(m->queue))
        return m;
    log_error("maintenance.start_failed", "errno=%d", errno);
    talloc_free(m);
    return NULL;
}

void maintenance_timer_end(struct maintenance_timer *m)
{
    if (m)
        atomic_store(&m->ended, true);
}

void maintenance_timer_stop(struct maintenance_timer *m)
{
    if (!m || !m->queue)
        return;
    atomic_store(&m->ended, true);
    thread_queue_stop(m->queue);
    m->queue = NULL;
}
