#include "executor/db_thread/compile_thread.h"

#include <pthread.h>
#include <sys/queue.h>
#include <talloc.h>

#include "service/thread_queue.h"

STAILQ_HEAD(compile_job_list, compile_job);

struct compile_thread {
    void (*on_compiled)(void *arg);
    void *arg;
    pthread_t thread;

    /* Protects everything below, and the runs of the jobs. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct compile_job_list waiting, finished;
    struct compile_job *current;
    bool ending;
};

/* With the lock held. NULL: the thread ends. */
static struct compile_job *await_job(struct compile_thread *t)
{
    while (!t->ending && STAILQ_EMPTY(&t->waiting))
        pthread_cond_wait(&t->changed, &t->lock);
    t->current = t->ending ? NULL : STAILQ_FIRST(&t->waiting);
    if (t->current)
        STAILQ_REMOVE_HEAD(&t->waiting, next);
    return t->current;
}

static void *compile_thread_main(void *arg)
{
    struct compile_thread *t = arg;
    pthread_mutex_lock(&t->lock);
    for (struct compile_job *job; (job = await_job(t));) {
        pthread_mutex_unlock(&t->lock);
        job->program = cached_program_compile(&job->workflow, job->version, job->text, job->size);
        pthread_mutex_lock(&t->lock);
        STAILQ_INSERT_TAIL(&t->finished, job, next);
        t->current = NULL;
        t->on_compiled(t->arg);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct compile_thread *compile_thread_start(void *ctx, void (*on_compiled)(void *arg), void *arg)
{
    struct compile_thread *t = talloc_zero(ctx, struct compile_thread);
    t->on_compiled = on_compiled;
    t->arg = arg;
    STAILQ_INIT(&t->waiting);
    STAILQ_INIT(&t->finished);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    if (thread_start(&t->thread, compile_thread_main, t))
        return t;
    talloc_free(t);
    return NULL;
}

void compile_thread_end(struct compile_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
}

void compile_thread_free(struct compile_thread *t)
{
    STAILQ_CONCAT(&t->waiting, &t->finished);
    for (struct compile_job *job; (job = STAILQ_FIRST(&t->waiting));) {
        STAILQ_REMOVE_HEAD(&t->waiting, next);
        cached_program_unref(job->program);
        talloc_free(job);
    }
    talloc_free(t);
}

static bool note_run(struct compile_job *job, const id *workflow, int version, const id *run)
{
    if (!job || job->version != version || !id_equal(&job->workflow, workflow))
        return false;
    for (size_t i = 0; i < job->runs_n; i++) {
        if (id_equal(&job->runs[i], run))
            return true;
    }
    if (job->runs_n < COMPILE_RUNS_MAX)
        job->runs[job->runs_n++] = *run;
    return true;
}

bool compile_thread_join(struct compile_thread *t, const id *workflow, int version, const id *run)
{
    struct compile_job *job;
    pthread_mutex_lock(&t->lock);
    bool noted = note_run(t->current, workflow, version, run);
    for (job = STAILQ_FIRST(&t->waiting); job && !noted; job = STAILQ_NEXT(job, next))
        noted = note_run(job, workflow, version, run);
    for (job = STAILQ_FIRST(&t->finished); job && !noted; job = STAILQ_NEXT(job, next))
        noted = note_run(job, workflow, version, run);
    pthread_mutex_unlock(&t->lock);
    return noted;
}

void compile_thread_submit(struct compile_thread *t, struct compile_job *job)
{
    pthread_mutex_lock(&t->lock);
    STAILQ_INSERT_TAIL(&t->waiting, job, next);
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

struct compile_job *compile_thread_take(struct compile_thread *t)
{
    pthread_mutex_lock(&t->lock);
    struct compile_job *job = STAILQ_FIRST(&t->finished);
    if (job)
        STAILQ_REMOVE_HEAD(&t->finished, next);
    pthread_mutex_unlock(&t->lock);
    return job;
}
