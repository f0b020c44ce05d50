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

struct liveness {
    struct executor *x;
    void (*on_registered)(struct executor *x);
    void (*on_fenced)(struct executor *x);
    void (*on_handed_back)(struct executor *x);
    void (*on_left)(struct executor *x);
    uint64_t executor_id;
    int64_t last_good_ms; /* when the last good beat was sent */
    bool registered, beating;
    struct timer next, fence;
};

/* One job for all of it; what it is for is its `work`. */
struct life_job {
    struct job job;
    int64_t sent_ms;
    uint64_t executor_id;
    struct executor_run *runs;
    size_t runs_n;
    struct executor_pulse *pulses;
    size_t pulses_n;
    id *lost; /* runs */
    size_t lost_n;
    int64_t beat;
    int max_losses;
};

static struct life_job *life_job(struct liveness *l,
                                 void (*work)(struct job *job, struct writer_hands *hands),
                                 void (*done)(struct job *job))
{
    struct life_job *j = talloc_zero(NULL, struct life_job);
    j->job = (struct job){.kind = JOB_CALL, .work = work, .done = done, .arg = l};
    j->executor_id = l->executor_id;
    j->max_losses = (int)l->x->config->executor.max_losses;
    return j;
}

static bool lease_may_act(const struct executor *x)
{
    const struct liveness *l = x->liveness;
    return !x->fenced && l->registered && clock_boot_ms() - l->last_good_ms < LEASE_MS;
}

bool pulse_look(struct pulse_watch *p, int64_t beat, int64_t now_ms)
{
    if (p->beat != beat) {
        p->looks = 0;
        p->since_ms = now_ms;
        atomic_thread_fence(memory_order_release);
        p->beat = beat;
        return false;
    }
    p->looks++;
    return p->looks >= LOST_LOOKS && now_ms - p->since_ms >= LOST_MS;
}

/* --- runs that are not where they should be --- */

static void lose_work(struct job *job, struct writer_hands *hands)
{
    struct life_job *j = (struct life_job *)job;
    job->e = executor_lose_runs(hands->db, hands->redis, j->executor_id, j->lost, j->lost_n, j->max_losses);
}

static void on_forget(struct job *job)
{
    talloc_free(job);
}

static void compare_runs(struct liveness *l, const struct life_job *j)
{
    struct id_table *there = id_table_new(NULL);
    struct life_job *lose = life_job(l, lose_work, on_forget);
    for (size_t i = 0; i < j->runs_n; i++) {
        const struct flow *f = id_table_get(l->x->flows, &j->runs[i].id);
        if (f && f->run.attempt == j->runs[i].attempt) {
            id_table_put(there, &j->runs[i].id, lose);
            continue;
        }
        log_warn("run.unknown", "execution=%s attempt=%d", j->runs[i].id.text, j->runs[i].attempt);
        lose->lost = talloc_realloc(lose, lose->lost, id, lose->lost_n + 1);
        lose->lost[lose->lost_n++] = j->runs[i].id;
    }
    struct flow *f;
    size_t place = 0;
    while ((f = id_table_next(l->x->flows, &place))) {
        if (!id_table_get(there, &f->run.id))
            flow_cancel(f, "MariaDB has it stopped, or with another executor");
    }
    talloc_free(there);
    if (lose->lost_n > 0)
        writer_submit(l->x->writer, &lose->job);
    else
        talloc_free(lose);
}

/* --- the others --- */

static void lost_work(struct job *job, struct writer_hands *hands)
{
    struct life_job *j = (struct life_job *)job;
    size_t n = 0;
    job->e = executor_mark_lost(hands->db, j->executor_id, j->beat);
    if (job->e == OK)
        job->e = executor_lose_orphans(hands->db, hands->redis, j->max_losses, &n);
    if (job->e == OK)
        log_warn("executor.lost", "executor=%llu runs=%zu", (unsigned long long)j->executor_id, n);
}

static struct pulse_watch *watch_of(struct liveness *l, uint64_t executor, int64_t beat, int64_t now_ms)
{
    struct pulse_watch *unused = NULL;
    for (struct pulse_watch *w = l->x->watches; w < l->x->watches + WATCHES_MAX; w++) {
        if (w->executor == executor)
            return w;
        if (w->executor == 0)
            unused = w;
    }
    if (!unused)
        return NULL;
    *unused = (struct pulse_watch){.beat = beat - 1, .since_ms = now_ms};
    atomic_thread_fence(memory_order_release);
    unused->executor = executor;
    return unused;
}

/* Forgets those that have gone. */
static void drop_watches(struct liveness *l, const struct life_job *j)
{
    for (struct pulse_watch *w = l->x->watches; w < l->x->watches + WATCHES_MAX; w++) {
        bool there = false;
        for (size_t k = 0; w->executor && k < j->pulses_n && !there; k++)
            there = j->pulses[k].executor == w->executor;
        if (!there)
            w->executor = 0;
    }
}

static void look_at_others(struct liveness *l, const struct life_job *j)
{
    int64_t now_ms = clock_boot_ms();
    drop_watches(l, j);
    for (size_t i = 0; i < j->pulses_n; i++) {
        const struct executor_pulse *p = &j->pulses[i];
        struct pulse_watch *w = watch_of(l, p->executor, p->beat, now_ms);
        if (p->executor == l->executor_id || !w || !pulse_look(w, p->beat, now_ms))
            continue;
        struct life_job *lost = life_job(l, lost_work, on_forget);
        lost->executor_id = p->executor;
        lost->beat = p->beat;
        writer_submit(l->x->writer, &lost->job);
    }
}

/* --- the fence --- */

static void hand_back_work(struct job *job, struct writer_hands *hands)
{
    struct life_job *j = (struct life_job *)job;
    size_t n = 0;
    do
        job->e = j->executor_id ? executor_hand_back(hands->db, hands->redis, j->executor_id, &n) : OK;
    while (job->e == OK && n > 0);
    if (job->e == OK && j->executor_id)
        job->e = executor_leave(hands->db, j->executor_id);
}

static void on_handed_back(struct job *job)
{
    struct liveness *l = job->arg;
    enum err e = job->e;
    talloc_free(job);
    if (e == OK)
        l->on_handed_back(l->x);
    else
        timer_set(l->x->timers, &l->next, clock_boot_ms() + RETRY_MS);
}

static void fence(void *arg)
{
    struct liveness *l = arg;
    if (l->x->fenced)
        return;
    l->x->fenced = true;
    timer_clear(l->x->timers, &l->fence);
    log_error("executor.fenced", "executor=%llu silent_ms=%lld", (unsigned long long)l->executor_id,
              (long long)(clock_boot_ms() - l->last_good_ms));
    l->on_fenced(l->x);
    timer_set(l->x->timers, &l->next, clock_boot_ms());
}

/* --- beats --- */

static void beat_work(struct job *job, struct writer_hands *hands)
{
    struct life_job *j = (struct life_job *)job;
    j->sent_ms = clock_boot_ms();
    job->e = executor_beat(hands->db, hands->executor_id);
    if (job->e == OK)
        job->e = executor_runs(hands->db, j, hands->executor_id, &j->runs, &j->runs_n);
    if (job->e == OK)
        job->e = executor_pulses(hands->db, j, &j->pulses, &j->pulses_n);
}

static void on_beaten(struct job *job)
{
    struct life_job *j = (struct life_job *)job;
    struct liveness *l = job->arg;
    l->beating = false;
    if (!executor_may_act(l->x)) /* a lease that has run out is not renewed: acts were let go in between */
        fence(l);
    if (l->x->fenced) {
        timer_set(l->x->timers, &l->next, clock_boot_ms());
        talloc_free(j);
        return;
    }
    if (job->e == OK) {
        l->last_good_ms = j->sent_ms;
        timer_set(l->x->timers, &l->fence, l->last_good_ms + LEASE_MS);
        compare_runs(l, j);
        look_at_others(l, j);
    }
    timer_set(l->x->timers, &l->next, clock_boot_ms() + (job->e == OK ? BEAT_MS : RETRY_MS));
    if (job->e == ERR_CONFLICT)
        fence(l); /* we count as lost already */
    talloc_free(j);
}

static void register_work(struct job *job, struct writer_hands *hands)
{
    struct life_job *j = (struct life_job *)job;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    j->sent_ms = clock_boot_ms();
    job->e = executor_register(hands->db, host, (int)getpid(), &j->executor_id);
    if (job->e == OK)
        hands->executor_id = j->executor_id;
}

static void on_register(struct job *job)
{
    struct life_job *j = (struct life_job *)job;
    struct liveness *l = job->arg;
    l->beating = false;
    if (job->e == OK) {
        l->registered = true;
        l->executor_id = j->executor_id;
        l->last_good_ms = j->sent_ms;
        timer_set(l->x->timers, &l->fence, l->last_good_ms + LEASE_MS);
        log_info("executor.registered", "executor=%llu", (unsigned long long)l->executor_id);
        l->on_registered(l->x);
    }
    timer_set(l->x->timers, &l->next, clock_boot_ms() + (job->e == OK ? 0 : RETRY_MS));
    talloc_free(j);
}

static void on_next(void *arg)
{
    struct liveness *l = arg;
    struct life_job *j;
    if (l->beating)
        return; /* it comes back, and sets the timer */
    if (l->x->fenced) {
        j = life_job(l, hand_back_work, on_handed_back);
    } else if (!l->registered) {
        j = life_job(l, register_work, on_register);
        l->beating = true;
    } else {
        j = life_job(l, beat_work, on_beaten);
        j->job.kind = JOB_BEAT;
        l->beating = true;
    }
    writer_submit(l->x->writer, &j->job);
}

/* --- */

static int destroy(struct liveness *l)
{
    timer_clear(l->x->timers, &l->next);
    timer_clear(l->x->timers, &l->fence);
    return 0;
}

struct liveness *liveness_start(void *ctx, struct executor *x, void (*on_registered)(struct executor *x),
                                void (*on_fenced)(struct executor *x),
                                void (*on_handed_back_)(struct executor *x))
{
    struct liveness *l = talloc_zero(ctx, struct liveness);
    l->x = x;
    x->may_act = lease_may_act;
    l->on_registered = on_registered;
    l->on_fenced = on_fenced;
    l->on_handed_back = on_handed_back_;
    l->next = (struct timer){.fire = on_next, .arg = l};
    l->fence = (struct timer){.fire = fence, .arg = l};
    talloc_set_destructor(l, destroy);
    timer_set(x->timers, &l->next, clock_boot_ms());
    return l;
}

static void leave_work(struct job *job, struct writer_hands *hands)
{
    struct life_job *j = (struct life_job *)job;
    job->e = j->executor_id ? executor_leave(hands->db, j->executor_id) : OK;
}

static void on_left(struct job *job)
{
    struct liveness *l = job->arg;
    talloc_free(job);
    l->on_left(l->x);
}

void liveness_leave(struct liveness *l, void (*done)(struct executor *x))
{
    l->on_left = done;
    timer_clear(l->x->timers, &l->next);
    timer_clear(l->x->timers, &l->fence);
    struct life_job *j = life_job(l, leave_work, on_left);
    writer_submit(l->x->writer, &j->job);
}
