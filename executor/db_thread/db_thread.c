#include "executor/db_thread/db_thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "executor/db_thread/accept_children.h"
#include "executor/db_thread/commit.h"

enum {
    RETRY_MS = 100,
    QUEUED_IDS_MAX = 256,
    BATCH_BYTES_MAX = 4 * 1024 * 1024, /* of a transaction: one that takes seconds keeps the beats waiting */
    BEGIN_IN_CLAIM_MS = 200, /* rows are locked, and a transaction that idles for a second is ended */
};

struct job_list {
    struct job *first, **last;
};

struct db_thread {
    struct db_thread_settings settings;
    pthread_t pthread;

    pthread_mutex_t lock; /* of all down to here → */
    pthread_cond_t jobs_added, slots_added, begin_ended;
    struct job_list urgent, queue, done;
    id queued_ids[QUEUED_IDS_MAX];
    size_t queued_ids_n;
    bool scan, claims_ended, ending;
    int free_slots; /* ← */

    size_t pending; /* the loop's */
    int fd;
    struct event *event;

    /* the thread's own */
    struct db_thread_ctx thread_ctx;
    struct job_list unwritten; /* commits and children still to be written */
    struct limited_workspaces limited_workspaces;
};

struct claimed_job { /* carries what was claimed to the loop */
    struct job job;
    struct db_thread *thread;
    struct claimed_run *runs;
    size_t n;
};

/* Asks the loop to begin what is being claimed. Whoever comes second frees it: the thread where the loop has
 * taken it up, else the loop. */
struct claim_begin {
    struct job job;
    struct db_thread *thread;
    struct claimed_run *runs;
    size_t n;
    bool taken, ended, withdrawn; /* under the writer's lock */
};

static void job_list_init(struct job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void job_list_add(struct job_list *l, struct job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct job *job_list_take(struct job_list *l)
{
    struct job *job = l->first;
    if (job) {
        l->first = job->next;
        if (!l->first)
            l->last = &l->first;
    }
    return job;
}

static void job_list_move(struct job_list *to, struct job_list *from)
{
    for (struct job *job; (job = job_list_take(from));)
        job_list_add(to, job);
}

/* --- the thread --- */

static void return_finished_job(struct db_thread *t, struct job *job)
{
    pthread_mutex_lock(&t->lock);
    bool first = !t->done.first;
    job_list_add(&t->done, job);
    pthread_mutex_unlock(&t->lock);
    uint64_t one = 1;
    if (first && write(t->fd, &one, sizeof one) < 0)
        log_error("writer.eventfd", "job=%d", (int)job->kind);
}

/* What one turn has to do. */
struct db_thread_cycle {
    struct job_list urgent, calls;
    id queued_ids[QUEUED_IDS_MAX];
    size_t queued_ids_n;
    bool scan, ending;
    int slots;
};

static bool has_claimable(const struct db_thread *t)
{
    return (t->queued_ids_n > 0 || t->scan) && t->free_slots > 0 && !t->claims_ended;
}

static bool has_jobs(const struct db_thread *t)
{
    return t->urgent.first || t->queue.first || has_claimable(t) || t->ending;
}

static struct timespec deadline_in_ms(long ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += ms * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static void await_jobs(struct db_thread *t)
{
    if (!t->unwritten.first) {
        while (!has_jobs(t))
            pthread_cond_wait(&t->jobs_added, &t->lock);
        return;
    }
    struct timespec until = deadline_in_ms(RETRY_MS);
    while (!t->urgent.first && !t->ending && pthread_cond_timedwait(&t->jobs_added, &t->lock, &until) == 0)
        ;
}

static void collect_jobs(struct db_thread *t, struct db_thread_cycle *cycle)
{
    job_list_init(&cycle->urgent);
    job_list_init(&cycle->calls);
    pthread_mutex_lock(&t->lock);
    await_jobs(t);
    job_list_move(&cycle->urgent, &t->urgent);
    for (struct job *job; (job = job_list_take(&t->queue));)
        job_list_add(job->kind == JOB_CALL ? &cycle->calls : &t->unwritten, job);
    cycle->queued_ids_n = 0;
    cycle->scan = false;
    cycle->slots = t->claims_ended ? 0 : t->free_slots;
    if (has_claimable(t)) {
        memcpy(cycle->queued_ids, t->queued_ids, sizeof *t->queued_ids * t->queued_ids_n);
        cycle->queued_ids_n = t->queued_ids_n;
        cycle->scan = t->scan;
        t->queued_ids_n = 0;
        t->scan = false;
        pthread_cond_signal(&t->slots_added);
    }
    cycle->ending = t->ending;
    pthread_mutex_unlock(&t->lock);
}

static void run_calls(struct db_thread *t, struct job_list *calls)
{
    for (struct job *job; (job = job_list_take(calls));) {
        job->work(job, &t->thread_ctx);
        return_finished_job(t, job);
    }
}

/* --- claims --- */

static void on_claim_begin(struct job *base)
{
    struct claim_begin *o = (struct claim_begin *)base;
    struct db_thread *t = o->thread;
    t->pending++; /* it was never submitted, and counts down all the same */
    pthread_mutex_lock(&t->lock);
    o->taken = !o->withdrawn;
    pthread_mutex_unlock(&t->lock);
    if (!o->taken) {
        talloc_free(o);
        return;
    }
    t->settings.on_claiming(t->settings.arg, o->runs, o->n);
    pthread_mutex_lock(&t->lock);
    o->ended = true;
    pthread_cond_signal(&t->begin_ended);
    pthread_mutex_unlock(&t->lock);
}

/* In the claim's transaction. What the loop has taken up is waited for, as it keeps its share small; an offer
 * that it does not come to is withdrawn, and those runs begin when their claim is written. */
static bool begin_in_claim(struct commit_batch *b)
{
    struct db_thread *t = b->arg;
    struct claim_begin *o = talloc_zero(NULL, struct claim_begin);
    struct timespec until = deadline_in_ms(BEGIN_IN_CLAIM_MS);
    *o = (struct claim_begin){.job = {.kind = JOB_CALL, .done = on_claim_begin},
                              .thread = t,
                              .runs = b->claimed,
                              .n = b->claimed_n};
    return_finished_job(t, &o->job);
    pthread_mutex_lock(&t->lock);
    t->free_slots -= (int)b->claimed_n;
    while (!o->ended && (o->taken || !t->ending) &&
           pthread_cond_timedwait(&t->begin_ended, &t->lock, &until) == 0)
        ;
    while (o->taken && !o->ended)
        pthread_cond_wait(&t->begin_ended, &t->lock);
    o->withdrawn = !o->taken;
    bool refused = o->withdrawn && t->ending; /* nobody is there any more to take them */
    if (refused)
        t->free_slots += (int)b->claimed_n;
    bool mine = o->taken;
    pthread_mutex_unlock(&t->lock);
    if (mine)
        talloc_free(o);
    return !refused;
}

static void return_claims(struct db_thread *t, struct claimed_job *job, struct commit_batch *b, enum err e)
{
    if (b->claimed_n == 0) {
        talloc_free(job);
        return;
    }
    job->runs = b->claimed;
    job->n = b->claimed_n;
    job->job.e = e;
    return_finished_job(t, &job->job);
}

static void on_claims_returned(struct job *base)
{
    struct claimed_job *job = (struct claimed_job *)base;
    job->thread->pending++; /* as an offer */
    job->thread->settings.on_claimed(job->thread->settings.arg, job->runs, job->n, job->job.e);
    talloc_free(job);
}

static void set_claim_limit(struct commit_batch *b, const struct db_thread_cycle *cycle)
{
    size_t room = COMMIT_BATCH_MAX - b->commits_n;
    size_t slots = cycle->slots > 0 ? (size_t)cycle->slots : 0;
    b->queued_ids = cycle->queued_ids;
    b->queued_ids_n = cycle->queued_ids_n < COMMIT_BATCH_MAX ? cycle->queued_ids_n : COMMIT_BATCH_MAX;
    b->scan = cycle->scan;
    b->first_commits_bytes_max = BATCH_BYTES_MAX;
    b->claim_limit = cycle->queued_ids_n > 0 || cycle->scan ? (slots < room ? slots : room) : 0;
}

static void requeue_commits(struct db_thread *t, struct commit_batch *b)
{
    struct job_list rest;
    job_list_init(&rest);
    job_list_move(&rest, &t->unwritten);
    for (size_t i = 0; i < b->commits_n; i++)
        job_list_add(&t->unwritten, &b->commits[i]->job);
    job_list_move(&t->unwritten, &rest);
}

/* One of them cannot be written: which one shows when each goes by itself. */
static bool write_one_by_one(struct db_thread *t, struct commit_batch *b)
{
    for (size_t i = 0; i < b->commits_n; i++) {
        struct commit_batch one = {.thread_ctx = b->thread_ctx, .programs = b->programs, .commits_n = 1};
        one.commits[0] = b->commits[i];
        one.holder = b->holder;
        enum err e = commit_batch_write(&one);
        if (e == ERR_BUSY || e == ERR_UNCERTAIN) {
            memmove(b->commits, b->commits + i, sizeof(struct commit *) * (b->commits_n - i));
            b->commits_n -= i;
            return false;
        }
        b->commits[i]->job.e = e;
        return_finished_job(t, &b->commits[i]->job);
    }
    b->commits_n = 0;
    return true;
}

/* What was claimed in a batch that cannot be written, without anything that could be the reason: a first
 * commit that is shows when it goes by itself. */
static enum err retry_claims_alone(struct commit_batch *b)
{
    b->write_first_commits_separately = true;
    return b->claimed_n > 0 || b->claim_limit > 0 ? commit_batch_write(b) : OK;
}

/* Writes what `b` holds. False where MariaDB is away: then it is kept. */
static bool write_commit_batch(struct db_thread *t, struct commit_batch *b)
{
    struct claimed_job *job = talloc_zero(NULL, struct claimed_job);
    *job = (struct claimed_job){.job = {.kind = JOB_CALL, .done = on_claims_returned}, .thread = t};
    b->thread_ctx = &t->thread_ctx;
    b->programs = t->settings.programs;
    b->limited_workspaces = &t->limited_workspaces;
    b->holder = job;
    b->begin_in_claim = begin_in_claim;
    b->arg = t;
    enum err e = commit_batch_write(b);
    bool done = e == OK || (e == ERR_INTERNAL && write_one_by_one(t, b));
    if (!done)
        requeue_commits(t, b);
    for (size_t i = 0; e == OK && i < b->commits_n; i++)
        return_finished_job(t, &b->commits[i]->job);
    if (e == ERR_INTERNAL && done)
        e = retry_claims_alone(b);
    return_claims(t, job, b, e);
    return done;
}

static bool write_tree_commit(struct db_thread *t, struct commit *c)
{
    struct commit_batch b = {
        .thread_ctx = &t->thread_ctx, .programs = t->settings.programs, .commits_n = 1, .commits = {c}};
    enum err e = commit_batch_write_tree(&b, c);
    if (e == ERR_BUSY || e == ERR_UNCERTAIN) {
        requeue_commits(t, &b);
        return false;
    }
    c->job.e = e;
    return_finished_job(t, &c->job);
    return true;
}

/* Children are accepted in a transaction of their own kind. False where MariaDB is away. */
static bool accept_child_jobs(struct db_thread *t, struct job_list *children)
{
    struct child_job *jobs[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (struct job *job; n < ACCEPT_BATCH_MAX && (job = job_list_take(children));)
        jobs[n++] = (struct child_job *)job;
    bool decided = n == 0 || accept_children(&t->thread_ctx, t->settings.programs, jobs, n);
    for (size_t i = 0; i < n; i++) {
        if (child_is_decided(jobs[i]))
            return_finished_job(t, &jobs[i]->job);
        else
            job_list_add(&t->unwritten, &jobs[i]->job);
    }
    job_list_move(&t->unwritten, children);
    return decided;
}

/* Takes what makes the next transactions out of what is kept: ordinary commits, at most one that ends a tree,
 * children. */
static void pick_next_batch(struct db_thread *t, struct commit_batch *b, struct commit **tree_r,
                            struct job_list *children)
{
    size_t bytes = 0;
    *tree_r = NULL;
    job_list_init(children);
    while (t->unwritten.first && b->commits_n < COMMIT_BATCH_MAX && bytes < BATCH_BYTES_MAX && !*tree_r) {
        struct job *job = job_list_take(&t->unwritten);
        if (job->kind == JOB_ACCEPT_CHILD) {
            job_list_add(children, job);
            continue;
        }
        struct commit *c = (struct commit *)job;
        bytes += c->bytes;
        if (c->stop_descendants)
            *tree_r = c;
        else
            b->commits[b->commits_n++] = c;
    }
}

/* Beats that came since the turn began: many batches must not make the others take us for lost. */
static void run_urgent_jobs(struct db_thread *t)
{
    struct job_list urgent;
    job_list_init(&urgent);
    pthread_mutex_lock(&t->lock);
    job_list_move(&urgent, &t->urgent);
    pthread_mutex_unlock(&t->lock);
    run_calls(t, &urgent);
}

static void write_commits(struct db_thread *t, struct db_thread_cycle *cycle)
{
    bool reachable = true;
    bool claims = cycle->queued_ids_n > 0 || cycle->scan;
    for (; reachable && (t->unwritten.first || claims); run_urgent_jobs(t)) {
        struct commit_batch b = {0};
        struct job_list children;
        struct commit *tree;
        pick_next_batch(t, &b, &tree, &children);
        if (claims)
            set_claim_limit(&b, cycle);
        claims = false;
        if (b.commits_n > 0 || b.claim_limit > 0)
            reachable = write_commit_batch(t, &b);
        if (tree && !reachable)
            job_list_add(&t->unwritten, &tree->job);
        else if (tree)
            reachable = write_tree_commit(t, tree);
        reachable = accept_child_jobs(t, &children) && reachable;
    }
}

static void *run_db_thread(void *arg)
{
    struct db_thread *t = arg;
    struct db_thread_cycle *cycle = talloc_zero(NULL, struct db_thread_cycle);
    do {
        collect_jobs(t, cycle);
        run_calls(t, &cycle->urgent);
        write_commits(t, cycle);
        run_calls(t, &cycle->calls);
    } while (!cycle->ending);
    talloc_free(cycle);
    talloc_free(t->thread_ctx.db);
    talloc_free(t->thread_ctx.redis);
    return NULL;
}

/* --- the loop's side --- */

static void on_jobs_done(evutil_socket_t fd, short what, void *arg)
{
    struct db_thread *t = arg;
    struct job_list done;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    job_list_init(&done);
    pthread_mutex_lock(&t->lock);
    job_list_move(&done, &t->done);
    pthread_mutex_unlock(&t->lock);
    for (struct job *job; (job = job_list_take(&done));) {
        job->done(job);
        t->pending--;
    }
}

static bool db_thread_spawn(struct db_thread *t)
{
    pthread_condattr_t attributes;
    sigset_t all, old;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->jobs_added, &attributes);
    pthread_cond_init(&t->slots_added, &attributes);
    pthread_cond_init(&t->begin_ended, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&t->pthread, NULL, run_db_thread, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

struct db_thread *db_thread_start(void *ctx, struct event_base *base,
                                  const struct db_thread_settings *settings)
{
    struct db_thread *t = talloc_zero(ctx, struct db_thread);
    t->settings = *settings;
    t->thread_ctx.db = db_new(NULL, settings->db);
    t->thread_ctx.redis = redis_new(NULL, settings->redis_socket);
    job_list_init(&t->urgent);
    job_list_init(&t->queue);
    job_list_init(&t->done);
    job_list_init(&t->unwritten);
    t->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    t->event = t->fd >= 0 ? event_new(base, t->fd, EV_READ | EV_PERSIST, on_jobs_done, t) : NULL;
    if (!t->event || event_add(t->event, NULL) != 0 || !db_thread_spawn(t))
        return NULL;
    return t;
}

/* Of a process that ends fenced: nobody hears of them any more. */
static void free_job_list(struct job_list *l)
{
    for (struct job *job; (job = job_list_take(l));)
        talloc_free(job);
}

void db_thread_stop(struct db_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    t->claims_ended = true;
    pthread_cond_signal(&t->jobs_added);
    pthread_cond_broadcast(&t->slots_added);
    pthread_cond_signal(&t->begin_ended);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->pthread, NULL);
    free_job_list(&t->urgent);
    free_job_list(&t->queue);
    free_job_list(&t->unwritten);
    free_job_list(&t->done);
    event_free(t->event);
    close(t->fd);
}

void db_thread_submit(struct db_thread *t, struct job *job)
{
    t->pending++;
    pthread_mutex_lock(&t->lock);
    job_list_add(job->kind == JOB_HEARTBEAT ? &t->urgent : &t->queue, job);
    pthread_cond_signal(&t->jobs_added);
    pthread_mutex_unlock(&t->lock);
}

size_t db_thread_pending(const struct db_thread *t)
{
    return t->pending;
}

/* --- slots and queued_ids --- */

void db_thread_add_slots(struct db_thread *t, int n)
{
    pthread_mutex_lock(&t->lock);
    t->free_slots += n;
    if (t->free_slots > 0) {
        pthread_cond_signal(&t->slots_added);
        if (has_claimable(t))
            pthread_cond_signal(&t->jobs_added);
    }
    pthread_mutex_unlock(&t->lock);
}

bool db_thread_take_slot(struct db_thread *t)
{
    pthread_mutex_lock(&t->lock);
    bool taken = t->free_slots > 0;
    if (taken)
        t->free_slots--;
    pthread_mutex_unlock(&t->lock);
    return taken;
}

int db_thread_await_slots(struct db_thread *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->claims_ended && (t->free_slots <= (int)t->queued_ids_n || t->queued_ids_n >= COMMIT_BATCH_MAX))
        pthread_cond_wait(&t->slots_added, &t->lock);
    int room = COMMIT_BATCH_MAX - (int)t->queued_ids_n;
    int n = t->free_slots - (int)t->queued_ids_n;
    if (t->claims_ended)
        n = 0;
    pthread_mutex_unlock(&t->lock);
    return n < room ? n : room;
}

void db_thread_queue_ids(struct db_thread *t, const id *ids, size_t n)
{
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < n && t->queued_ids_n < QUEUED_IDS_MAX; i++)
        t->queued_ids[t->queued_ids_n++] = ids[i];
    pthread_cond_signal(&t->jobs_added);
    pthread_mutex_unlock(&t->lock);
}

void db_thread_scan_queued(struct db_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->scan = true;
    if (has_claimable(t))
        pthread_cond_signal(&t->jobs_added);
    pthread_mutex_unlock(&t->lock);
}

void db_thread_end_claims(struct db_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->claims_ended = true;
    pthread_cond_broadcast(&t->slots_added);
    pthread_mutex_unlock(&t->lock);
}
