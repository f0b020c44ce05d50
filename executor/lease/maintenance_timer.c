#include "executor/lease/maintenance_timer.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "maintenance/retention.h"
#include "maintenance/tasks.h"
#include "run/store_executor.h"

enum {
    LOOK_MS = 1000,
    ROUNDS_MAX = 20,
    /* of 500 rows, in one go: the database thread has other work */ RETENTION_BATCHES_MAX = 4,
};

struct upkeep {
    struct executor *x;
    struct blob_store *blobs;
    struct timer next;
    bool ensured, ended;
};

struct upkeep_job {
    struct job job;
    int max_losses;
    struct blob_store *blobs; /* NULL: files.dir cannot be used */
};

typedef enum err task_work(struct upkeep_job *j, struct writer_hands *hands, uint64_t *n_r);

static enum err expire_keys(struct upkeep_job *j, struct writer_hands *hands, uint64_t *n_r)
{
    enum err e = OK;
    uint64_t n = UPKEEP_ROWS_MAX;
    *n_r = 0;
    for (int i = 0; e == OK && n == UPKEEP_ROWS_MAX && i < ROUNDS_MAX; i++) {
        e = upkeep_expire_keys(hands->db, &n);
        *n_r += n;
    }
    return e;
}

static enum err forget_executors(struct upkeep_job *j, struct writer_hands *hands, uint64_t *n_r)
{
    return upkeep_forget_executors(hands->db, n_r);
}

/* All of them in one go: whatever Redis has lost or missed is right again afterwards. */
static enum err refresh_credits(struct upkeep_job *j, struct writer_hands *hands, uint64_t *n_r)
{
    id after = {{0}};
    enum err e = OK;
    uint64_t n = UPKEEP_ROWS_MAX;
    for (int i = 0; e == OK && n == UPKEEP_ROWS_MAX && i < ROUNDS_MAX; i++)
        e = upkeep_refresh_credits(hands->db, hands->redis, &after, &n);
    *n_r = 0; /* nothing that anybody wants to read of */
    return e;
}

static enum err lose_orphans(struct upkeep_job *j, struct writer_hands *hands, uint64_t *n_r)
{
    size_t n;
    enum err e = executor_lose_orphans(hands->db, hands->redis, j->max_losses, &n);
    *n_r = n;
    return e;
}

/* A few batches a second, far from any request; where there is much to do it is done by and by. */
static enum err keep_or_not(struct upkeep_job *j, struct writer_hands *hands, uint64_t *n_r)
{
    enum err e = OK;
    *n_r = 0;
    for (int i = 0; e == OK && i < RETENTION_BATCHES_MAX; i++) {
        size_t n;
        e = retention_step(hands->db, hands->redis, j->blobs, &n);
        *n_r += n;
    }
    return e == ERR_NOT_FOUND ? OK : e;
}

static const struct upkeep_task tasks[] = {
    {"lose_orphans", 5000},        {"refresh_credits", 5000}, {"expire_keys", 60000},
    {"forget_executors", 3600000}, {"retention", 1000},
};
enum { TASKS = sizeof tasks / sizeof *tasks };
static task_work *const works[TASKS] = {lose_orphans, refresh_credits, expire_keys, forget_executors,
                                        keep_or_not};

static void do_task(struct upkeep_job *j, struct writer_hands *hands, size_t t)
{
    uint64_t n = 0;
    if (upkeep_take(hands->db, &tasks[t]) != OK)
        return;
    enum err e = works[t](j, hands, &n);
    if (n > 0)
        log_info("upkeep.done", "task=%s rows=%llu", tasks[t].name, (unsigned long long)n);
    if (e != OK && e != ERR_BUSY)
        log_error("upkeep.failed", "task=%s error=%s", tasks[t].name, err_name(e));
}

static void work(struct job *job, struct writer_hands *hands)
{
    bool is_due[TASKS];
    job->e = upkeep_look(hands->db, tasks, TASKS, is_due);
    for (size_t t = 0; job->e == OK && t < TASKS; t++) {
        if (is_due[t])
            do_task((struct upkeep_job *)job, hands, t);
    }
}

static void ensure(struct job *job, struct writer_hands *hands)
{
    job->e = OK;
    for (size_t t = 0; job->e == OK && t < TASKS; t++)
        job->e = upkeep_ensure(hands->db, tasks[t].name);
}

static void on_done(struct job *job)
{
    struct upkeep *u = job->arg;
    u->ensured = u->ensured || job->e == OK;
    talloc_free(job);
    if (!u->ended)
        timer_set(u->x->timers, &u->next, clock_boot_ms() + LOOK_MS);
}

static void on_next(void *arg)
{
    struct upkeep *u = arg;
    struct upkeep_job *j = talloc_zero(NULL, struct upkeep_job);
    j->job = (struct job){.kind = JOB_CALL, .work = u->ensured ? work : ensure, .done = on_done, .arg = u};
    j->max_losses = (int)u->x->config->executor.max_losses;
    j->blobs = u->blobs;
    writer_submit(u->x->writer, &j->job);
}

struct upkeep *upkeep_start(void *ctx, struct executor *x)
{
    struct upkeep *u = talloc_zero(ctx, struct upkeep);
    u->x = x;
    u->blobs = blob_store_open(u, x->config->files.dir);
    u->next = (struct timer){.fire = on_next, .arg = u};
    on_next(u);
    return u;
}

void upkeep_end(struct upkeep *u)
{
    if (!u || u->ended)
        return;
    u->ended = true;
    timer_clear(u->x->timers, &u->next);
}
