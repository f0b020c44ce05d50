#include "executor/lease/lease.h"

#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/lease/peers.h"
#include "executor/run/active_run.h"
#include "run/recover.h"
#include "store/executor.h"

enum { RETRY_MS = 200 };

struct lease {
    struct executor *exec;
    void (*on_registered)(struct executor *exec);
    void (*on_fenced)(struct executor *exec);
    void (*on_released)(struct executor *exec);
    void (*on_unregistered)(struct executor *exec);
    uint64_t executor_id;
    /* CLOCK_BOOTTIME at which the last successful heartbeat was sent */
    int64_t last_heartbeat_ms;
    bool registered;
    /* A job that registers or sends a heartbeat is in flight; its `done` sets next_timer. */
    bool heartbeat_running;
    struct timer next_timer, fence_timer;
};

/* All jobs of the lease; `work` says which one it is. */
struct lease_job {
    struct job job;
    uint64_t executor_id;
    int max_losses;
    /* CLOCK_BOOTTIME, taken by the thread before it sends the heartbeat */
    int64_t sent_ms;
    /* heartbeat: what MariaDB has */
    struct executor_run *runs;
    size_t runs_n;
    struct executor_peer *peers;
    size_t peers_n;
    /* requeue_lost_work: runs of this process */
    id *lost_runs;
    size_t lost_runs_n;
    /* mark_peer_lost_work: the counter at which `executor_id` stood still */
    int64_t heartbeat;
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

static bool lease_may_act(const struct executor *exec)
{
    const struct lease *l = exec->lease;
    return !exec->fenced && l->registered && lease_age_ms(l) < LEASE_MS;
}

uint64_t lease_executor_id(const struct lease *l)
{
    return l->executor_id;
}

int64_t lease_age_ms(const struct lease *l)
{
    return clock_boot_ms() - l->last_heartbeat_ms;
}

static void renew_lease(struct lease *l, int64_t sent_ms)
{
    l->last_heartbeat_ms = sent_ms;
    timer_set(l->exec->timers, &l->fence_timer, sent_ms + LEASE_MS);
}

/* --- comparing memory and MariaDB --- */

static void requeue_lost_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    job->e = executor_requeue_runs(thread_ctx->db, thread_ctx->redis, j->executor_id, j->lost_runs,
                                   j->lost_runs_n, j->max_losses);
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

static void mark_peer_lost_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    size_t n = 0;
    job->e = executor_mark_lost(thread_ctx->db, j->executor_id, j->heartbeat);
    if (job->e == OK)
        job->e = executor_requeue_orphans(thread_ctx->db, thread_ctx->redis, j->max_losses, &n);
    if (job->e == OK)
        log_warn("executor.lost", "executor=%llu runs=%zu", (unsigned long long)j->executor_id, n);
}

static void on_peer_lost(void *arg, const struct executor_peer *row)
{
    struct lease *l = arg;
    struct lease_job *lost = lease_job_new(l, mark_peer_lost_work, free_lease_job);
    lost->executor_id = row->executor;
    lost->heartbeat = row->beat;
    db_thread_submit(l->exec->db_thread, &lost->job);
}

/* --- the fence --- */

static void release_runs_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    size_t n = 0;
    job->e = OK;
    if (j->executor_id == 0)
        return;
    do
        job->e = executor_release_runs(thread_ctx->db, thread_ctx->redis, j->executor_id, &n);
    while (job->e == OK && n > 0);
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
    if (l->exec->fenced)
        return;
    l->exec->fenced = true;
    timer_clear(l->exec->timers, &l->fence_timer);
    log_error("executor.fenced", "executor=%llu lease_age_ms=%lld", (unsigned long long)l->executor_id,
              (long long)lease_age_ms(l));
    l->on_fenced(l->exec);
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms());
}

/* --- heartbeats --- */

static void heartbeat_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    j->sent_ms = clock_boot_ms();
    job->e = executor_heartbeat(thread_ctx->db, thread_ctx->executor_id);
    if (job->e == OK)
        job->e = executor_runs(thread_ctx->db, j, thread_ctx->executor_id, &j->runs, &j->runs_n);
    if (job->e == OK)
        job->e = executor_peers(thread_ctx->db, j, &j->peers, &j->peers_n);
}

static void handle_heartbeat(struct lease *l, const struct lease_job *j)
{
    renew_lease(l, j->sent_ms);
    reconcile_runs(l, j);
    peers_observe(l->exec->peers, j->peers, j->peers_n, l->executor_id, clock_boot_ms(), on_peer_lost, l);
}

static void on_heartbeat(struct job *job)
{
    struct lease_job *j = (struct lease_job *)job;
    struct lease *l = job->arg;
    enum err e = job->e;
    l->heartbeat_running = false;
    /* An expired lease is not renewed: side effects were held back since it expired. */
    if (!executor_holds_lease(l->exec))
        fence_executor(l);
    if (!l->exec->fenced && e == OK)
        handle_heartbeat(l, j);
    talloc_free(j);
    int64_t pause_ms = l->exec->fenced ? 0 : e == OK ? HEARTBEAT_MS : RETRY_MS;
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms() + pause_ms);
    if (e == ERR_CONFLICT) /* another process has marked this one as lost */
        fence_executor(l);
}

static void register_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    j->sent_ms = clock_boot_ms();
    job->e = executor_register(thread_ctx->db, host, (int)getpid(), &j->executor_id);
    if (job->e == OK)
        thread_ctx->executor_id = j->executor_id;
}

static void on_register_done(struct job *job)
{
    struct lease_job *j = (struct lease_job *)job;
    struct lease *l = job->arg;
    l->heartbeat_running = false;
    if (job->e == OK) {
        l->registered = true;
        l->executor_id = j->executor_id;
        renew_lease(l, j->sent_ms);
        log_info("executor.registered", "executor=%llu", (unsigned long long)l->executor_id);
        l->on_registered(l->exec);
    }
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms() + (job->e == OK ? 0 : RETRY_MS));
    talloc_free(j);
}

static void on_lease_timer(void *arg)
{
    struct lease *l = arg;
    struct lease_job *j;
    if (l->heartbeat_running)
        return; /* its `done` sets the timer */
    if (l->exec->fenced) {
        j = lease_job_new(l, release_runs_work, on_runs_released);
    } else if (!l->registered) {
        j = lease_job_new(l, register_work, on_register_done);
        l->heartbeat_running = true;
    } else {
        j = lease_job_new(l, heartbeat_work, on_heartbeat);
        j->job.kind = JOB_HEARTBEAT;
        l->heartbeat_running = true;
    }
    db_thread_submit(l->exec->db_thread, &j->job);
}

/* --- start and end --- */

static int lease_destroy(struct lease *l)
{
    timer_clear(l->exec->timers, &l->next_timer);
    timer_clear(l->exec->timers, &l->fence_timer);
    return 0;
}

struct lease *lease_start(void *ctx, struct executor *exec, void (*on_registered)(struct executor *exec),
                          void (*on_fenced)(struct executor *exec),
                          void (*on_released)(struct executor *exec))
{
    struct lease *l = talloc_zero(ctx, struct lease);
    l->exec = exec;
    exec->may_act = lease_may_act;
    l->on_registered = on_registered;
    l->on_fenced = on_fenced;
    l->on_released = on_released;
    l->next_timer = (struct timer){.fire = on_lease_timer, .arg = l};
    l->fence_timer = (struct timer){.fire = fence_executor, .arg = l};
    talloc_set_destructor(l, lease_destroy);
    timer_set(exec->timers, &l->next_timer, clock_boot_ms());
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
    timer_clear(l->exec->timers, &l->next_timer);
    timer_clear(l->exec->timers, &l->fence_timer);
    struct lease_job *j = lease_job_new(l, unregister_work, on_unregistered);
    db_thread_submit(l->exec->db_thread, &j->job);
}
