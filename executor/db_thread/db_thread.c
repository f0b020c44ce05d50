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
    HINTS_MAX = 256,
    BATCH_BYTES = 4 * 1024 * 1024, /* of a transaction: one that takes seconds keeps the beats waiting */
    OFFER_MS = 200,                /* rows are locked, and a transaction that idles for a second is ended */
};

struct job_list {
    struct job *first, **last;
};

struct writer {
    struct writer_settings settings;
    pthread_t thread;

    pthread_mutex_t lock; /* of all down to here → */
    pthread_cond_t more, slots_came, offer_ended;
    struct job_list urgent, queue, done;
    id hints[HINTS_MAX];
    size_t hints_n;
    bool scan, claims_ended, ending;
    int slots; /* ← free ones */

    size_t pending; /* the loop's */
    int fd;
    struct event *event;

    /* the thread's own */
    struct writer_hands hands;
    struct job_list kept; /* commits and children still to be written */
    struct limited limited;
};

struct claimed_job { /* carries what was claimed to the loop */
    struct job job;
    struct writer *writer;
    struct claimed *runs;
    size_t n;
};

/* Asks the loop to begin what is being claimed. Whoever comes second frees it: the thread where the loop has
 * taken it up, else the loop. */
struct offer {
    struct job job;
    struct writer *writer;
    struct claimed *runs;
    size_t n;
    bool taken, ended, withdrawn; /* under the writer's lock */
};

static void list_init(struct job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct job_list *l, struct job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
}

static struct job *list_take(struct job_list *l)
{
    struct job *job = l->first;
    if (job) {
        l->first = job->next;
        if (!l->first)
            l->last = &l->first;
    }
    return job;
}

static void list_move(struct job_list *to, struct job_list *from)
{
    for (struct job *job; (job = list_take(from));)
        list_add(to, job);
}

/* --- the thread --- */

static void give_back(struct writer *w, struct job *job)
{
    pthread_mutex_lock(&w->lock);
    bool first = !w->done.first;
    list_add(&w->done, job);
    pthread_mutex_unlock(&w->lock);
    uint64_t one = 1;
    if (first && write(w->fd, &one, sizeof one) < 0)
        log_error("writer.eventfd", "job=%d", (int)job->kind);
}

/* What one turn has to do. */
struct turn {
    struct job_list urgent, calls;
    id hints[HINTS_MAX];
    size_t hints_n;
    bool scan, ending;
    int slots;
};

static bool has_claims(const struct writer *w)
{
    return (w->hints_n > 0 || w->scan) && w->slots > 0 && !w->claims_ended;
}

static bool has_work(const struct writer *w)
{
    return w->urgent.first || w->queue.first || has_claims(w) || w->ending;
}

static struct timespec in_ms(long ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void await_work(struct writer *w)
{
    if (!w->kept.first) {
        while (!has_work(w))
            pthread_cond_wait(&w->more, &w->lock);
        return;
    }
    struct timespec until = in_ms(RETRY_MS);
    while (!w->urgent.first && !w->ending && pthread_cond_timedwait(&w->more, &w->lock, &until) == 0)
        ;
}

static void gather(struct writer *w, struct turn *t)
{
    list_init(&t->urgent);
    list_init(&t->calls);
    pthread_mutex_lock(&w->lock);
    await_work(w);
    list_move(&t->urgent, &w->urgent);
    for (struct job *job; (job = list_take(&w->queue));)
        list_add(job->kind == JOB_CALL ? &t->calls : &w->kept, job);
    t->hints_n = 0;
    t->scan = false;
    t->slots = w->claims_ended ? 0 : w->slots;
    if (has_claims(w)) {
        memcpy(t->hints, w->hints, sizeof *w->hints * w->hints_n);
        t->hints_n = w->hints_n;
        t->scan = w->scan;
        w->hints_n = 0;
        w->scan = false;
        pthread_cond_signal(&w->slots_came);
    }
    t->ending = w->ending;
    pthread_mutex_unlock(&w->lock);
}

static void do_calls(struct writer *w, struct job_list *calls)
{
    for (struct job *job; (job = list_take(calls));) {
        job->work(job, &w->hands);
        give_back(w, job);
    }
}

/* --- claims --- */

static void on_offer(struct job *base)
{
    struct offer *o = (struct offer *)base;
    struct writer *w = o->writer;
    w->pending++; /* it was never submitted, and counts down all the same */
    pthread_mutex_lock(&w->lock);
    o->taken = !o->withdrawn;
    pthread_mutex_unlock(&w->lock);
    if (!o->taken) {
        talloc_free(o);
        return;
    }
    w->settings.on_claiming(w->settings.arg, o->runs, o->n);
    pthread_mutex_lock(&w->lock);
    o->ended = true;
    pthread_cond_signal(&w->offer_ended);
    pthread_mutex_unlock(&w->lock);
}

/* In the claim's transaction. What the loop has taken up is waited for, as it keeps its share small; an offer
 * that it does not come to is withdrawn, and those runs begin when their claim is written. */
static bool offer(struct batch *b)
{
    struct writer *w = b->arg;
    struct offer *o = talloc_zero(NULL, struct offer);
    struct timespec until = in_ms(OFFER_MS);
    *o = (struct offer){
        .job = {.kind = JOB_CALL, .done = on_offer}, .writer = w, .runs = b->claimed, .n = b->claimed_n};
    give_back(w, &o->job);
    pthread_mutex_lock(&w->lock);
    w->slots -= (int)b->claimed_n;
    while (!o->ended && (o->taken || !w->ending) &&
           pthread_cond_timedwait(&w->offer_ended, &w->lock, &until) == 0)
        ;
    while (o->taken && !o->ended)
        pthread_cond_wait(&w->offer_ended, &w->lock);
    o->withdrawn = !o->taken;
    bool refused = o->withdrawn && w->ending; /* nobody is there any more to take them */
    if (refused)
        w->slots += (int)b->claimed_n;
    bool mine = o->taken;
    pthread_mutex_unlock(&w->lock);
    if (mine)
        talloc_free(o);
    return !refused;
}

static void hand_over_claims(struct writer *w, struct claimed_job *job, struct batch *b, enum err e)
{
    if (b->claimed_n == 0) {
        talloc_free(job);
        return;
    }
    job->runs = b->claimed;
    job->n = b->claimed_n;
    job->job.e = e;
    give_back(w, &job->job);
}

static void on_claims_done(struct job *base)
{
    struct claimed_job *job = (struct claimed_job *)base;
    job->writer->pending++; /* as an offer */
    job->writer->settings.on_claimed(job->writer->settings.arg, job->runs, job->n, job->job.e);
    talloc_free(job);
}

static void claim_limit(struct batch *b, const struct turn *t)
{
    size_t room = WRITER_BATCH_MAX - b->commits_n;
    size_t slots = t->slots > 0 ? (size_t)t->slots : 0;
    b->hints = t->hints;
    b->hints_n = t->hints_n < WRITER_BATCH_MAX ? t->hints_n : WRITER_BATCH_MAX;
    b->scan = t->scan;
    b->bytes_max = BATCH_BYTES;
    b->claim_limit = t->hints_n > 0 || t->scan ? (slots < room ? slots : room) : 0;
}

static void keep_again(struct writer *w, struct batch *b)
{
    struct job_list rest;
    list_init(&rest);
    list_move(&rest, &w->kept);
    for (size_t i = 0; i < b->commits_n; i++)
        list_add(&w->kept, &b->commits[i]->job);
    list_move(&w->kept, &rest);
}

/* One of them cannot be written: which one shows when each goes by itself. */
static bool write_singly(struct writer *w, struct batch *b)
{
    for (size_t i = 0; i < b->commits_n; i++) {
        struct batch one = {.hands = b->hands, .programs = b->programs, .commits_n = 1};
        one.commits[0] = b->commits[i];
        one.holder = b->holder;
        enum err e = batch_write(&one);
        if (e == ERR_BUSY || e == ERR_UNCERTAIN) {
            memmove(b->commits, b->commits + i, sizeof(struct commit *) * (b->commits_n - i));
            b->commits_n -= i;
            return false;
        }
        b->commits[i]->job.e = e;
        give_back(w, &b->commits[i]->job);
    }
    b->commits_n = 0;
    return true;
}

/* What was claimed in a batch that cannot be written, without anything that could be the reason: a first
 * commit that is shows when it goes by itself. */
static enum err claim_apart(struct batch *b)
{
    b->firsts_apart = true;
    return b->claimed_n > 0 || b->claim_limit > 0 ? batch_write(b) : OK;
}

/* Writes what `b` holds. False where MariaDB is away: then it is kept. */
static bool write_batch(struct writer *w, struct batch *b)
{
    struct claimed_job *job = talloc_zero(NULL, struct claimed_job);
    *job = (struct claimed_job){.job = {.kind = JOB_CALL, .done = on_claims_done}, .writer = w};
    b->hands = &w->hands;
    b->programs = w->settings.programs;
    b->limited = &w->limited;
    b->holder = job;
    b->offer = offer;
    b->arg = w;
    enum err e = batch_write(b);
    bool done = e == OK || (e == ERR_INTERNAL && write_singly(w, b));
    if (!done)
        keep_again(w, b);
    for (size_t i = 0; e == OK && i < b->commits_n; i++)
        give_back(w, &b->commits[i]->job);
    if (e == ERR_INTERNAL && done)
        e = claim_apart(b);
    hand_over_claims(w, job, b, e);
    return done;
}

static bool write_tree(struct writer *w, struct commit *c)
{
    struct batch b = {.hands = &w->hands, .programs = w->settings.programs, .commits_n = 1, .commits = {c}};
    enum err e = batch_write_tree(&b, c);
    if (e == ERR_BUSY || e == ERR_UNCERTAIN) {
        keep_again(w, &b);
        return false;
    }
    c->job.e = e;
    give_back(w, &c->job);
    return true;
}

/* Children are accepted in a transaction of their own kind. False where MariaDB is away. */
static bool accept_children(struct writer *w, struct job_list *children)
{
    struct child_job *jobs[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (struct job *job; n < ACCEPT_BATCH_MAX && (job = list_take(children));)
        jobs[n++] = (struct child_job *)job;
    bool known = n == 0 || children_accept(&w->hands, w->settings.programs, jobs, n);
    for (size_t i = 0; i < n; i++) {
        if (child_is_known(jobs[i]))
            give_back(w, &jobs[i]->job);
        else
            list_add(&w->kept, &jobs[i]->job);
    }
    list_move(&w->kept, children);
    return known;
}

/* Takes what makes the next transactions out of what is kept: ordinary commits, at most one that ends a tree,
 * children. */
static void sort_kept(struct writer *w, struct batch *b, struct commit **tree_r, struct job_list *children)
{
    size_t bytes = 0;
    *tree_r = NULL;
    list_init(children);
    while (w->kept.first && b->commits_n < WRITER_BATCH_MAX && bytes < BATCH_BYTES && !*tree_r) {
        struct job *job = list_take(&w->kept);
        if (job->kind == JOB_CHILD) {
            list_add(children, job);
            continue;
        }
        struct commit *c = (struct commit *)job;
        bytes += c->bytes;
        if (c->tree)
            *tree_r = c;
        else
            b->commits[b->commits_n++] = c;
    }
}

/* Beats that came since the turn began: many batches must not make the others take us for lost. */
static void do_urgent(struct writer *w)
{
    struct job_list urgent;
    list_init(&urgent);
    pthread_mutex_lock(&w->lock);
    list_move(&urgent, &w->urgent);
    pthread_mutex_unlock(&w->lock);
    do_calls(w, &urgent);
}

static void do_commits(struct writer *w, struct turn *t)
{
    bool going = true;
    bool claims = t->hints_n > 0 || t->scan;
    for (; going && (w->kept.first || claims); do_urgent(w)) {
        struct batch b = {0};
        struct job_list children;
        struct commit *tree;
        sort_kept(w, &b, &tree, &children);
        if (claims)
            claim_limit(&b, t);
        claims = false;
        if (b.commits_n > 0 || b.claim_limit > 0)
            going = write_batch(w, &b);
        if (tree && !going)
            list_add(&w->kept, &tree->job);
        else if (tree)
            going = write_tree(w, tree);
        going = accept_children(w, &children) && going;
    }
}

static void *run(void *arg)
{
    struct writer *w = arg;
    struct turn *t = talloc_zero(NULL, struct turn);
    do {
        gather(w, t);
        do_calls(w, &t->urgent);
        do_commits(w, t);
        do_calls(w, &t->calls);
    } while (!t->ending);
    talloc_free(t);
    talloc_free(w->hands.db);
    talloc_free(w->hands.redis);
    return NULL;
}

/* --- the loop's side --- */

static void on_done(evutil_socket_t fd, short what, void *arg)
{
    struct writer *w = arg;
    struct job_list done;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0)
        return;
    list_init(&done);
    pthread_mutex_lock(&w->lock);
    list_move(&done, &w->done);
    pthread_mutex_unlock(&w->lock);
    for (struct job *job; (job = list_take(&done));) {
        job->done(job);
        w->pending--;
    }
}

static bool start_thread(struct writer *w)
{
    pthread_condattr_t attributes;
    sigset_t all, old;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->more, &attributes);
    pthread_cond_init(&w->slots_came, &attributes);
    pthread_cond_init(&w->offer_ended, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed == 0;
}

struct writer *writer_start(void *ctx, struct event_base *base, const struct writer_settings *settings)
{
    struct writer *w = talloc_zero(ctx, struct writer);
    w->settings = *settings;
    w->hands.db = db_new(NULL, settings->db);
    w->hands.redis = redis_new(NULL, settings->redis_socket);
    list_init(&w->urgent);
    list_init(&w->queue);
    list_init(&w->done);
    list_init(&w->kept);
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    w->event = w->fd >= 0 ? event_new(base, w->fd, EV_READ | EV_PERSIST, on_done, w) : NULL;
    if (!w->event || event_add(w->event, NULL) != 0 || !start_thread(w))
        return NULL;
    return w;
}

/* Of a process that ends fenced: nobody hears of them any more. */
static void drop_jobs(struct job_list *l)
{
    for (struct job *job; (job = list_take(l));)
        talloc_free(job);
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    w->claims_ended = true;
    pthread_cond_signal(&w->more);
    pthread_cond_broadcast(&w->slots_came);
    pthread_cond_signal(&w->offer_ended);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    drop_jobs(&w->urgent);
    drop_jobs(&w->queue);
    drop_jobs(&w->kept);
    drop_jobs(&w->done);
    event_free(w->event);
    close(w->fd);
}

void writer_submit(struct writer *w, struct job *job)
{
    w->pending++;
    pthread_mutex_lock(&w->lock);
    list_add(job->kind == JOB_BEAT ? &w->urgent : &w->queue, job);
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

size_t writer_pending(const struct writer *w)
{
    return w->pending;
}

/* --- slots and hints --- */

void writer_add_slots(struct writer *w, int n)
{
    pthread_mutex_lock(&w->lock);
    w->slots += n;
    if (w->slots > 0) {
        pthread_cond_signal(&w->slots_came);
        if (has_claims(w))
            pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
}

bool writer_take_slot(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool taken = w->slots > 0;
    if (taken)
        w->slots--;
    pthread_mutex_unlock(&w->lock);
    return taken;
}

int writer_await_slots(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->claims_ended && (w->slots <= (int)w->hints_n || w->hints_n >= WRITER_BATCH_MAX))
        pthread_cond_wait(&w->slots_came, &w->lock);
    int room = WRITER_BATCH_MAX - (int)w->hints_n;
    int n = w->slots - (int)w->hints_n;
    if (w->claims_ended)
        n = 0;
    pthread_mutex_unlock(&w->lock);
    return n < room ? n : room;
}

void writer_hint(struct writer *w, const id *ids, size_t n)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < n && w->hints_n < HINTS_MAX; i++)
        w->hints[w->hints_n++] = ids[i];
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void writer_scan(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->scan = true;
    if (has_claims(w))
        pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void writer_end_claims(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->claims_ended = true;
    pthread_cond_broadcast(&w->slots_came);
    pthread_mutex_unlock(&w->lock);
}
