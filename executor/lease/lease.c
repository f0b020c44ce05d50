#include "executor/lease/lease.h"

#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/lease/begun_run.h"
#include "executor/lease/lease_clock.h"
#include "executor/lease/liveness.h"
#include "executor/run/active_run.h"
#include "executor/run/slots.h"
#include "run/recover.h"
#include "store/executor.h"

enum {
    RETRY_MS = 200,
    /* How often the loop shows the liveness thread that it runs. */
    TICK_MS = 1000,
};

struct lease {
    struct executor *exec;
    void (*on_registered)(struct executor *exec);
    void (*on_fenced)(struct executor *exec);
    void (*on_released)(struct executor *exec);
    void (*on_unregistered)(struct executor *exec);
    uint64_t executor_id;
    struct liveness *liveness;
    struct lease_clock clock;
    /* A job that compares memory with MariaDB is in flight; its `done` sets next_timer. */
    bool comparing;
    bool leaving;
    struct timer next_timer, fence_timer, tick_timer, adopt_timer;
};

/* All jobs of the lease; `work` distinguishes them. */
struct lease_job {
    struct job job;
    uint64_t executor_id;
    int max_losses;
    /* compare_work: what MariaDB has */
    struct executor_run *runs;
    size_t runs_n;
    /* requeue_lost_work: runs of this process */
    id *lost_runs;
    size_t lost_runs_n;
    /* adopt_id_work: of the process that this one replaces */
    struct begun_run *begun_run;
};

static struct lease_job *lease_job_new(struct lease *l,
                                       void (*work)(struct job *job, struct db_thread_ctx *thread_ctx),
                                       void (*done)(struct job *job))
{
    struct lease_job *j = talloc_zero(NULL, struct lease_job);
    j->job = (struct job){.kind = JOB_CALL, .work = work, .done = done, .arg = l};
    j->executor_id = l->executor_id;
    j->max_losses = (int)l->exec->config->executor.max_losses;
    return j;
}

static void free_lease_job(struct job *job)
{
    talloc_free(job);
}

bool lease_holds(struct lease *l)
{
    return lease_clock_holds(&l->clock, clock_boot_ms());
}

static bool lease_may_act(const struct executor *exec)
{
    return !exec->fenced && exec->lease->executor_id && lease_holds(exec->lease);
}

uint64_t lease_executor_id(const struct lease *l)
{
    return l->executor_id;
}

int64_t lease_age_ms(const struct lease *l)
{
    return clock_boot_ms() - l->clock.sent_ms;
}

/* --- comparing memory and MariaDB --- */

static void show_progress(void *arg)
{
    progress_step(arg);
}

static void requeue_lost_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    const struct recover_watch watch = {show_progress, thread_ctx->progress};
    job->e = executor_requeue_runs(thread_ctx->db, thread_ctx->redis, j->executor_id, j->lost_runs,
                                   j->lost_runs_n, j->max_losses, &watch);
}

static void add_lost_run(struct lease_job *requeue, const struct executor_run *run)
{
    log_warn("run.unknown", "execution=%s attempt=%d", run->id.text, run->attempt);
    requeue->lost_runs = talloc_realloc(requeue, requeue->lost_runs, id, requeue->lost_runs_n + 1);
    requeue->lost_runs[requeue->lost_runs_n++] = run->id;
}

/* Fills `present` with the runs that MariaDB has as running here and that are in memory. */
static void requeue_runs_not_in_memory(struct lease *l, const struct lease_job *j, struct id_map *present)
{
    struct lease_job *requeue = lease_job_new(l, requeue_lost_work, free_lease_job);
    for (size_t i = 0; i < j->runs_n; i++) {
        struct active_run *run = id_map_get(l->exec->runs, &j->runs[i].id);
        if (run && run->row.attempt == j->runs[i].attempt)
            id_map_put(present, &j->runs[i].id, run);
        else
            add_lost_run(requeue, &j->runs[i]);
    }
    if (requeue->lost_runs_n > 0)
        db_thread_submit(l->exec->db_thread, &requeue->job);
    else
        talloc_free(requeue);
}

static void cancel_runs_not_in_mariadb(struct lease *l, const struct id_map *present)
{
    struct active_run *run;
    size_t cursor = 0;
    while ((run = id_map_next(l->exec->runs, &cursor))) {
        if (!id_map_get(present, &run->row.id))
            run_cancel(run, "stopped, or running on another executor");
    }
}

static void reconcile_runs(struct lease *l, const struct lease_job *j)
{
    struct id_map *present = id_map_new(NULL);
    requeue_runs_not_in_memory(l, j, present);
    cancel_runs_not_in_mariadb(l, present);
    talloc_free(present);
}

/* --- lost peers --- */

static void requeue_orphans_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    const struct recover_watch watch = {show_progress, thread_ctx->progress};
    struct recover_cursor cursor = {0};
    size_t n, total = 0;
    do {
        job->e =
            executor_requeue_orphans(thread_ctx->db, thread_ctx->redis, &cursor, j->max_losses, &watch, &n);
        total += n;
    } while (job->e == OK);
    log_warn("executor.lost", "executor=%llu runs=%zu", (unsigned long long)j->executor_id, total);
}

/* Orphans that this job does not requeue are found by the maintenance task lose_orphans. */
static void on_peer_lost(void *arg, uint64_t executor_id)
{
    struct lease *l = arg;
    struct lease_job *lost = lease_job_new(l, requeue_orphans_work, free_lease_job);
    lost->executor_id = executor_id;
    db_thread_submit(l->exec->db_thread, &lost->job);
}

/* --- the fence --- */

static void release_runs_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    struct recover_cursor cursor = {.executor = j->executor_id};
    size_t n = 0;
    job->e = OK;
    if (j->executor_id == 0)
        return;
    do {
        progress_step(thread_ctx->progress);
        job->e = executor_release_runs(thread_ctx->db, thread_ctx->redis, &cursor, &n);
    } while (job->e == OK && n > 0);
    if (job->e == OK)
        job->e = executor_unregister(thread_ctx->db, j->executor_id);
}

static void on_runs_released(struct job *job)
{
    struct lease *l = job->arg;
    enum err e = job->e;
    talloc_free(job);
    if (e == OK)
        l->on_released(l->exec);
    else
        timer_set(l->exec->timers, &l->next_timer, clock_boot_ms() + RETRY_MS);
}

static void fence_executor(void *arg)
{
    struct lease *l = arg;
    if (l->exec->fenced || l->leaving)
        return;
    l->exec->fenced = true;
    lease_clock_end(&l->clock);
    liveness_end_heartbeats(l->liveness);
    timer_clear(l->exec->timers, &l->fence_timer);
    log_error("executor.fenced", "executor=%llu lease_age_ms=%lld", (unsigned long long)l->executor_id,
              (long long)lease_age_ms(l));
    l->on_fenced(l->exec);
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms());
}

/* The liveness thread may have renewed the lease since the timer was set. */
static void on_fence_timer(void *arg)
{
    struct lease *l = arg;
    if (!lease_holds(l))
        fence_executor(l);
    else
        timer_set(l->exec->timers, &l->fence_timer, l->clock.sent_ms + l->clock.lease_ms);
}

/* --- the comparison --- */

static void compare_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    job->e = executor_runs(thread_ctx->db, j, thread_ctx->executor_id, &j->runs, &j->runs_n);
}

static void on_compared(struct job *job)
{
    struct lease_job *j = (struct lease_job *)job;
    struct lease *l = job->arg;
    enum err e = job->e;
    l->comparing = false;
    if (!executor_holds_lease(l->exec))
        fence_executor(l);
    if (!l->exec->fenced && e == OK)
        reconcile_runs(l, j);
    talloc_free(j);
    int64_t pause_ms = l->exec->fenced ? 0 : e == OK ? HEARTBEAT_MS : RETRY_MS;
    if (!l->leaving)
        timer_set(l->exec->timers, &l->next_timer, clock_boot_ms() + pause_ms);
}

static void on_next_timer(void *arg)
{
    struct lease *l = arg;
    struct lease_job *j;
    if (l->comparing)
        return; /* its `done` sets the timer */
    if (l->exec->fenced) {
        j = lease_job_new(l, release_runs_work, on_runs_released);
    } else {
        j = lease_job_new(l, compare_work, on_compared);
        j->job.kind = JOB_COMPARE;
        l->comparing = true;
    }
    db_thread_submit(l->exec->db_thread, &j->job);
}

/* --- registration --- */

static void adopt_id_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    const struct lease_job *j = (const struct lease_job *)job;
    struct begun_run *begun = j->begun_run;
    thread_ctx->executor_id = j->executor_id;
    job->e = OK;
    if (!atomic_load(&begun->set))
        return;
    job->e = executor_requeue_begun_run(thread_ctx->db, thread_ctx->redis, j->executor_id, &begun->run,
                                        begun->attempt, j->max_losses);
    if (err_is_transient(job->e) || job->e == ERR_UNCERTAIN)
        return;
    if (job->e != OK)
        log_error("run.requeue_failed", "execution=%s attempt=%d error=%s", begun->run.text, begun->attempt,
                  err_name(job->e));
    job->e = OK;
    begun_run_clear(begun);
}

static void on_id_adopted(struct job *job)
{
    struct lease *l = job->arg;
    enum err e = job->e;
    talloc_free(job);
    if (l->exec->fenced || l->leaving)
        return;
    if (e != OK) {
        timer_set(l->exec->timers, &l->adopt_timer, clock_boot_ms() + RETRY_MS);
        return;
    }
    l->on_registered(l->exec);
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms());
}

static void submit_adopt_id(void *arg)
{
    struct lease *l = arg;
    struct lease_job *j = lease_job_new(l, adopt_id_work, on_id_adopted);
    j->begun_run = l->exec->begun_run;
    db_thread_submit(l->exec->db_thread, &j->job);
}

/* Before anything is claimed, the database thread learns the id and counts the run that killed the process
 * before this one. */
static void on_registered(void *arg, uint64_t executor_id)
{
    struct lease *l = arg;
    l->executor_id = executor_id;
    on_fence_timer(l);
    submit_adopt_id(l);
}

/* --- start and end --- */

static void on_tick(void *arg)
{
    struct lease *l = arg;
    struct executor *exec = l->exec;
    progress_step(&exec->loop_progress);
    exec->note_load(exec);
    if (l->exec->slots)
        slots_serve(l->exec->slots); /* other threads return memory, too */
    timer_set(l->exec->timers, &l->tick_timer, clock_boot_ms() + TICK_MS);
}

void lease_end(struct lease *l)
{
    liveness_stop(l->liveness);
    l->liveness = NULL;
}

static int lease_destroy(struct lease *l)
{
    lease_end(l);
    timer_clear(l->exec->timers, &l->next_timer);
    timer_clear(l->exec->timers, &l->fence_timer);
    timer_clear(l->exec->timers, &l->tick_timer);
    timer_clear(l->exec->timers, &l->adopt_timer);
    return 0;
}

struct lease *lease_start(void *ctx, struct executor *exec, void (*on_ready)(struct executor *exec),
                          void (*on_fenced)(struct executor *exec),
                          void (*on_released)(struct executor *exec))
{
    struct lease *l = talloc_zero(ctx, struct lease);
    struct liveness_callbacks callbacks = {
        .on_registered = on_registered, .on_peer_lost = on_peer_lost, .on_over = fence_executor, .arg = l};
    l->exec = exec;
    l->clock.lease_ms = exec->config->executor.lease_s * 1000;
    exec->may_act = lease_may_act;
    l->on_registered = on_ready;
    l->on_fenced = on_fenced;
    l->on_released = on_released;
    l->next_timer = (struct timer){.fire = on_next_timer, .arg = l};
    l->fence_timer = (struct timer){.fire = on_fence_timer, .arg = l};
    l->tick_timer = (struct timer){.fire = on_tick, .arg = l};
    l->adopt_timer = (struct timer){.fire = submit_adopt_id, .arg = l};
    progress_begin(&exec->loop_progress, "start", NULL);
    l->liveness = liveness_start(NULL, exec, &l->clock, &callbacks);
    if (!l->liveness) {
        talloc_free(l);
        return NULL;
    }
    talloc_set_destructor(l, lease_destroy);
    on_tick(l);
    return l;
}

static void unregister_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    job->e = j->executor_id ? executor_unregister(thread_ctx->db, j->executor_id) : OK;
}

static void on_unregistered(struct job *job)
{
    struct lease *l = job->arg;
    talloc_free(job);
    l->on_unregistered(l->exec);
}

void lease_unregister(struct lease *l, void (*done)(struct executor *exec))
{
    l->on_unregistered = done;
    l->leaving = true;
    liveness_end_heartbeats(l->liveness);
    timer_clear(l->exec->timers, &l->next_timer);
    timer_clear(l->exec->timers, &l->fence_timer);
    struct lease_job *j = lease_job_new(l, unregister_work, on_unregistered);
    db_thread_submit(l->exec->db_thread, &j->job);
}
