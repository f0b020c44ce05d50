#include "executor/run/skill/warm_pool.h"

#include <sys/queue.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"

struct warm_worker {
    struct warm_pool *pool;
    struct warm_key key;
    /* NULL: not started, or it has exited */
    struct runner_process *runner;
    const char *dir;
    int64_t started_ms; /* CLOCK_BOOTTIME */
    int64_t jobs;
    /* while it waits */
    struct timer idle_end;
    TAILQ_ENTRY(warm_worker) link;
};

TAILQ_HEAD(warm_workers, warm_worker);

struct warm_pool {
    struct executor *exec;
    /* those that wait, in the order of their last job's end */
    struct warm_workers idle;
    struct warm_pool_counts counts;
};

/* --- the workers that wait --- */

static void leave_idle(struct warm_worker *w)
{
    TAILQ_REMOVE(&w->pool->idle, w, link);
    w->pool->counts.idle--;
    timer_clear(w->pool->exec->timers, &w->idle_end);
}

static void end_idle(struct warm_worker *w, const char *why)
{
    log_info("warm.ended", "workspace=%s skill=%s version=%d jobs=%lld why=\"%s\"", w->key.workspace.text,
             w->key.skill.text, w->key.version, (long long)w->jobs, why);
    leave_idle(w);
    w->pool->counts.ended_idle++;
    runner_process_abandon(w->runner, NULL);
    talloc_free(w);
}

static void on_idle_over(void *arg)
{
    end_idle(arg, "it was idle");
}

/* The kernel killed it, for lack of memory perhaps; or somebody did. */
static void on_idle_exit(void *arg, json_object *record)
{
    struct warm_worker *w = arg;
    (void)record;
    log_warn("warm.died", "workspace=%s skill=%s version=%d jobs=%lld", w->key.workspace.text,
             w->key.skill.text, w->key.version, (long long)w->jobs);
    leave_idle(w);
    w->pool->counts.ended_idle++;
    talloc_free(w);
}

static size_t idle_of(const struct warm_pool *pool, const id *workspace, struct warm_worker **oldest_r)
{
    struct warm_worker *w;
    size_t n = 0;
    *oldest_r = NULL;
    TAILQ_FOREACH(w, &pool->idle, link)
    {
        if (!id_equal(&w->key.workspace, workspace))
            continue;
        if (n++ == 0)
            *oldest_r = w;
    }
    return n;
}

/* Makes room for one more. */
static void bound_idle(struct warm_pool *pool, const id *workspace)
{
    const struct config *c = pool->exec->config;
    struct warm_worker *oldest;
    size_t n = idle_of(pool, workspace, &oldest);
    if (oldest && n >= (size_t)c->executor.warm_idle_per_workspace)
        end_idle(oldest, "too many of its workspace are idle");
    else if (pool->counts.idle >= (size_t)c->executor.warm_idle_max)
        end_idle(TAILQ_FIRST(&pool->idle), "too many are idle");
}

/* --- the pool --- */

struct warm_pool *warm_pool_new(void *ctx, struct executor *exec)
{
    struct warm_pool *pool = talloc_zero(ctx, struct warm_pool);
    pool->exec = exec;
    TAILQ_INIT(&pool->idle);
    return pool;
}

void warm_pool_close(struct warm_pool *pool)
{
    while (pool && !TAILQ_EMPTY(&pool->idle))
        end_idle(TAILQ_FIRST(&pool->idle), "the executor takes no further runs");
}

static bool same_owner(const struct warm_key *a, const struct warm_key *b)
{
    return id_equal(&a->workspace, &b->workspace) && id_equal(&a->principal, &b->principal) &&
           id_equal(&a->skill, &b->skill);
}

struct warm_worker *warm_pool_take(struct warm_pool *pool, const struct warm_key *key)
{
    struct warm_worker *found = NULL, *w, *previous;
    for (w = TAILQ_LAST(&pool->idle, warm_workers); w; w = previous) {
        previous = TAILQ_PREV(w, warm_workers, link);
        if (!same_owner(&w->key, key))
            continue;
        if (w->key.version != key->version)
            end_idle(w, "another version was started");
        else if (!found)
            found = w;
    }
    if (found)
        leave_idle(found);
    return found;
}

static int warm_worker_destroy(struct warm_worker *w)
{
    if (w->runner)
        runner_process_set_handle(w->runner, NULL);
    return 0;
}

struct warm_worker *warm_worker_new(struct warm_pool *pool, const struct warm_key *key)
{
    struct warm_worker *w = talloc_zero(pool, struct warm_worker);
    id name = id_new();
    talloc_set_destructor(w, warm_worker_destroy);
    w->pool = pool;
    w->key = *key;
    w->dir = talloc_asprintf(w, "%s/" WARM_DIR_PREFIX "%s", pool->exec->config->executor.run_dir, name.text);
    w->idle_end = (struct timer){.fire = on_idle_over, .arg = w};
    return w;
}

/* --- a job --- */

static bool is_last_job(const struct warm_worker *w)
{
    const struct config *c = w->pool->exec->config;
    return w->jobs + 1 >= c->executor.warm_jobs_max ||
           (w->runner && clock_boot_ms() - w->started_ms >= c->executor.warm_age_s * 1000);
}

struct runner_process *warm_worker_start(struct warm_worker *w, json_object *job,
                                         const struct runner_process_events *events, void *arg)
{
    json_object_object_add(job, "warm_dir", json_object_new_string(w->dir));
    json_object_object_add(job, "last", json_object_new_boolean(is_last_job(w)));
    if (w->runner) {
        w->pool->counts.warm_starts++;
        runner_process_next(w->runner, job, events, arg);
    } else {
        w->pool->counts.cold_starts++;
        w->started_ms = clock_boot_ms();
        w->runner = runner_process_start(w->pool->exec, &w->key.workspace, job, events, arg);
        if (w->runner)
            runner_process_set_handle(w->runner, &w->runner);
    }
    w->jobs++;
    return w->runner;
}

bool warm_worker_is_used(const struct warm_worker *w)
{
    return w->jobs > 1;
}

const char *warm_worker_dir(const struct warm_worker *w)
{
    return w->dir;
}

void warm_worker_give_back(struct warm_worker *w, bool reusable)
{
    static const struct runner_process_events idle = {.ended = on_idle_exit};
    if (!w)
        return;
    struct warm_pool *pool = w->pool;
    if (!reusable || !w->runner || !executor_may_record(pool->exec) ||
        pool->exec->config->executor.warm_idle_max == 0) {
        if (w->runner)
            runner_process_abandon(w->runner, NULL);
        talloc_free(w);
        return;
    }
    bound_idle(pool, &w->key.workspace);
    TAILQ_INSERT_TAIL(&pool->idle, w, link);
    pool->counts.idle++;
    runner_process_set_events(w->runner, &idle, w);
    timer_set(pool->exec->timers, &w->idle_end,
              clock_boot_ms() + pool->exec->config->executor.warm_idle_s * 1000);
}

void warm_worker_forget(struct warm_worker *w)
{
    talloc_free(w);
}

struct warm_pool_counts warm_pool_count(const struct warm_pool *pool)
{
    return pool->counts;
}
