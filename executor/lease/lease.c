#include "executor/lease/lease.h"

#include <stdatomic.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/run/active_run.h"
#include "run/store_executor.h"

enum { RETRY_MS = 200 };

struct lease {
    struct executor *exec;
    void (*on_registered)(struct executor *exec);
    void (*on_fenced)(struct executor *exec);
    void (*on_released)(struct executor *exec);
    void (*on_unregistered)(struct executor *exec);
    uint64_t executor_id;
    int64_t last_heartbeat_ms; /* when the last good heartbeat was sent */
    bool registered, heartbeat_running;
    struct timer next_timer, fence_timer;
};

/* One job for all of it; what it is for is its `work`. */
struct lease_job {
    struct job job;
    int64_t sent_ms;
    uint64_t executor_id;
    struct executor_run *runs;
    size_t runs_n;
    struct executor_peer *peers;
    size_t peers_n;
    id *lost_runs; /* runs */
    size_t lost_runs_n;
    int64_t heartbeat;
    int max_losses;
};

static struct lease_job *lease_job(struct lease *l,
                                   void (*work)(struct job *job, struct db_thread_ctx *thread_ctx),
                                   void (*done)(struct job *job))
{
    struct lease_job *j = talloc_zero(NULL, struct lease_job);
    j->job = (struct job){.kind = JOB_CALL, .work = work, .done = done, .arg = l};
    j->executor_id = l->executor_id;
    j->max_losses = (int)l->exec->config->executor.max_losses;
    return j;
}

static bool lease_may_act(const struct executor *exec)
{
    const struct lease *l = exec->lease;
    return !exec->fenced && l->registered && clock_boot_ms() - l->last_heartbeat_ms < LEASE_MS;
}

bool peer_is_lost(struct peer_heartbeat *p, int64_t heartbeat, int64_t now_ms)
{
    if (p->heartbeat != heartbeat) {
        p->observations = 0;
        p->since_ms = now_ms;
        atomic_thread_fence(memory_order_release);
        p->heartbeat = heartbeat;
        return false;
    }
    p->observations++;
    return p->observations >= LOST_OBSERVATIONS && now_ms - p->since_ms >= LOST_MS;
}

/* --- runs that are not where they should be --- */

static void requeue_lost_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    job->e = executor_requeue_runs(thread_ctx->db, thread_ctx->redis, j->executor_id, j->lost_runs,
                                   j->lost_runs_n, j->max_losses);
}

static void free_lease_job(struct job *job)
{
    talloc_free(job);
}

static void reconcile_runs(struct lease *l, const struct lease_job *j)
{
    struct id_map *present = id_map_new(NULL);
    struct lease_job *requeue = lease_job(l, requeue_lost_work, free_lease_job);
    for (size_t i = 0; i < j->runs_n; i++) {
        const struct active_run *run = id_map_get(l->exec->runs, &j->runs[i].id);
        if (run && run->row.attempt == j->runs[i].attempt) {
            id_map_put(present, &j->runs[i].id, requeue);
            continue;
        }
        log_warn("run.unknown", "execution=%s attempt=%d", j->runs[i].id.text, j->runs[i].attempt);
        requeue->lost_runs = talloc_realloc(requeue, requeue->lost_runs, id, requeue->lost_runs_n + 1);
        requeue->lost_runs[requeue->lost_runs_n++] = j->runs[i].id;
    }
    struct active_run *run;
    size_t cursor = 0;
    while ((run = id_map_next(l->exec->runs, &cursor))) {
        if (!id_map_get(present, &run->row.id))
            run_cancel(run, "MariaDB has it stopped, or with another executor");
    }
    talloc_free(present);
    if (requeue->lost_runs_n > 0)
        db_thread_submit(l->exec->db_thread, &requeue->job);
    else
        talloc_free(requeue);
}

/* --- the others --- */

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

static struct peer_heartbeat *peer_of(struct lease *l, uint64_t executor, int64_t heartbeat, int64_t now_ms)
{
    struct peer_heartbeat *unused = NULL;
    for (struct peer_heartbeat *peer = l->exec->peers; peer < l->exec->peers + PEERS_MAX; peer++) {
        if (peer->executor == executor)
            return peer;
        if (peer->executor == 0)
            unused = peer;
    }
    if (!unused)
        return NULL;
    *unused = (struct peer_heartbeat){.heartbeat = heartbeat - 1, .since_ms = now_ms};
    atomic_thread_fence(memory_order_release);
    unused->executor = executor;
    return unused;
}

/* Forgets those that have gone. */
static void forget_gone_peers(struct lease *l, const struct lease_job *j)
{
    for (struct peer_heartbeat *peer = l->exec->peers; peer < l->exec->peers + PEERS_MAX; peer++) {
        bool present = false;
        for (size_t k = 0; peer->executor && k < j->peers_n && !present; k++)
            present = j->peers[k].executor == peer->executor;
        if (!present)
            peer->executor = 0;
    }
}

static void check_peers(struct lease *l, const struct lease_job *j)
{
    int64_t now_ms = clock_boot_ms();
    forget_gone_peers(l, j);
    for (size_t i = 0; i < j->peers_n; i++) {
        const struct executor_peer *p = &j->peers[i];
        struct peer_heartbeat *peer = peer_of(l, p->executor, p->beat, now_ms);
        if (p->executor == l->executor_id || !peer || !peer_is_lost(peer, p->beat, now_ms))
            continue;
        struct lease_job *lost = lease_job(l, mark_peer_lost_work, free_lease_job);
        lost->executor_id = p->executor;
        lost->heartbeat = p->beat;
        db_thread_submit(l->exec->db_thread, &lost->job);
    }
}

/* --- the fence --- */

static void release_runs_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct lease_job *j = (struct lease_job *)job;
    size_t n = 0;
    do
        job->e = j->executor_id ? executor_release_runs(thread_ctx->db, thread_ctx->redis, j->executor_id, &n)
                                : OK;
    while (job->e == OK && n > 0);
    if (job->e == OK && j->executor_id)
        job->e = executor_unregister(thread_ctx->db, j->executor_id);
}

static void on_released(struct job *job)
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
    log_error("executor.fenced", "executor=%llu silent_ms=%lld", (unsigned long long)l->executor_id,
              (long long)(clock_boot_ms() - l->last_heartbeat_ms));
    l->on_fenced(l->exec);
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms());
}

/* --- beats --- */

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

static void on_heartbeat(struct job *job)
{
    struct lease_job *j = (struct lease_job *)job;
    struct lease *l = job->arg;
    l->heartbeat_running = false;
    if (!executor_holds_lease(
            l->exec)) /* a lease that has run out is not renewed: acts were let go in between */
        fence_executor(l);
    if (l->exec->fenced) {
        timer_set(l->exec->timers, &l->next_timer, clock_boot_ms());
        talloc_free(j);
        return;
    }
    if (job->e == OK) {
        l->last_heartbeat_ms = j->sent_ms;
        timer_set(l->exec->timers, &l->fence_timer, l->last_heartbeat_ms + LEASE_MS);
        reconcile_runs(l, j);
        check_peers(l, j);
    }
    timer_set(l->exec->timers, &l->next_timer, clock_boot_ms() + (job->e == OK ? HEARTBEAT_MS : RETRY_MS));
    if (job->e == ERR_CONFLICT)
        fence_executor(l); /* we count as lost already */
    talloc_free(j);
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
        l->last_heartbeat_ms = j->sent_ms;
        timer_set(l->exec->timers, &l->fence_timer, l->last_heartbeat_ms + LEASE_MS);
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
        return; /* it comes back, and sets the timer */
    if (l->exec->fenced) {
        j = lease_job(l, release_runs_work, on_released);
    } else if (!l->registered) {
        j = lease_job(l, register_work, on_register_done);
        l->heartbeat_running = true;
    } else {
        j = lease_job(l, heartbeat_work, on_heartbeat);
        j->job.kind = JOB_HEARTBEAT;
        l->heartbeat_running = true;
    }
    db_thread_submit(l->exec->db_thread, &j->job);
}

/* --- */

static int lease_destroy(struct lease *l)
{
    timer_clear(l->exec->timers, &l->next_timer);
    timer_clear(l->exec->timers, &l->fence_timer);
    return 0;
}

struct lease *lease_start(void *ctx, struct executor *exec, void (*on_registered)(struct executor *exec),
                          void (*on_fenced)(struct executor *exec),
                          void (*on_released_)(struct executor *exec))
{
    struct lease *l = talloc_zero(ctx, struct lease);
    l->exec = exec;
    exec->may_act = lease_may_act;
    l->on_registered = on_registered;
    l->on_fenced = on_fenced;
    l->on_released = on_released_;
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
    struct lease_job *j = lease_job(l, unregister_work, on_unregistered);
    db_thread_submit(l->exec->db_thread, &j->job);
}
