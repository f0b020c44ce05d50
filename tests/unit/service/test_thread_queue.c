#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <talloc.h>
#include <time.h>

#include "service/thread_queue.h"

enum { JOBS = 2000 };

struct number_job {
    struct thread_job base; /* first */
    int number;
    bool seen_by_thread;
};

struct fixture {
    void *ctx;
    struct event_base *base;
    struct thread_queue *queue;
    int order[JOBS];
    int finished, wanted;
    atomic_int wait_ends, timeouts;
    atomic_bool open, signals_blocked;
};

static int freed;

static int count_free(struct number_job *job)
{
    freed++;
    return 0;
}

static struct thread_job *number_job(int number)
{
    struct number_job *job = talloc_zero(NULL, struct number_job);
    job->number = number;
    talloc_set_destructor(job, count_free);
    return &job->base;
}

static void on_number_finished(struct thread_job *base, void *arg)
{
    struct fixture *f = arg;
    struct number_job *job = (struct number_job *)base;
    cr_expect(job->seen_by_thread);
    f->order[f->finished++] = job->number;
    talloc_free(job);
    if (f->finished == f->wanted)
        event_base_loopbreak(f->base);
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000L};
    nanosleep(&pause, NULL);
}

static void run_one_by_one(struct thread_queue *q, void *arg)
{
    for (struct thread_job *job; (job = thread_queue_next(q, -1));) {
        ((struct number_job *)job)->seen_by_thread = true;
        thread_queue_return(q, job);
    }
}

static struct fixture *fixture_new(void (*run)(struct thread_queue *q, void *arg))
{
    struct fixture *f = talloc_zero(NULL, struct fixture);
    struct thread_queue_settings settings = {.run = run, .on_finished = on_number_finished, .arg = f};
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    f->base = event_base_new_with_config(config);
    event_config_free(config);
    freed = 0;
    f->queue = thread_queue_new(f, f->base, &settings);
    cr_assert(f->queue);
    return f;
}

static void fixture_free(struct fixture *f)
{
    event_base_free(f->base);
    talloc_free(f);
}

static void dispatch_until(struct fixture *f, int wanted)
{
    f->wanted = wanted;
    while (f->finished < wanted)
        cr_assert_eq(event_base_loop(f->base, EVLOOP_ONCE), 0);
}

Test(thread_queue, returns_jobs_in_order)
{
    struct fixture *f = fixture_new(run_one_by_one);
    cr_assert(thread_queue_start(f->queue));
    for (int i = 0; i < JOBS; i++)
        thread_queue_submit(f->queue, number_job(i));
    dispatch_until(f, JOBS);
    for (int i = 0; i < JOBS; i++)
        cr_assert_eq(f->order[i], i);
    cr_assert_eq(thread_queue_length(f->queue), 0U);
    thread_queue_stop(f->queue);
    cr_assert_eq(freed, JOBS);
    fixture_free(f);
}

Test(thread_queue, runs_urgent_jobs_first)
{
    struct fixture *f = fixture_new(run_one_by_one);
    thread_queue_submit(f->queue, number_job(3));
    thread_queue_submit_urgent(f->queue, number_job(1));
    thread_queue_submit(f->queue, number_job(4));
    thread_queue_submit_urgent(f->queue, number_job(2));
    cr_assert_eq(thread_queue_length(f->queue), 4U);
    cr_assert(thread_queue_start(f->queue));
    dispatch_until(f, 4);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(f->order[i], i + 1);
    thread_queue_stop(f->queue);
    fixture_free(f);
}

static void run_after_the_end(struct thread_queue *q, void *arg)
{
    while (!thread_queue_is_ending(q))
        thread_queue_wait_urgent(q, 1000);
    cr_expect_null(thread_queue_next(q, -1), "jobs that wait at the end are not given out");
}

Test(thread_queue, frees_waiting_and_finished_jobs_at_the_end)
{
    struct fixture *f = fixture_new(run_after_the_end);
    cr_assert(thread_queue_start(f->queue));
    for (int i = 0; i < 10; i++)
        thread_queue_submit(f->queue, number_job(i));
    thread_queue_stop(f->queue);
    cr_assert_eq(freed, 10);

    f->queue =
        thread_queue_new(f, f->base, &(struct thread_queue_settings){run_one_by_one, on_number_finished, f});
    cr_assert(thread_queue_start(f->queue));
    thread_queue_submit(f->queue, number_job(0));
    while (thread_queue_length(f->queue) > 0)
        pause_ms(1);
    thread_queue_stop(f->queue);
    cr_assert_eq(freed, 11, "a finished job that did not come back is freed");
    cr_assert_eq(f->finished, 0);
    fixture_free(f);
}

/* Takes everything at once, as a thread does that batches; waits only for urgent jobs until `open` is set. */
static void run_batches(struct thread_queue *q, void *arg)
{
    struct fixture *f = arg;
    struct thread_job_list list = STAILQ_HEAD_INITIALIZER(list);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    f->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGUSR2) == 1;
    while (!thread_queue_is_ending(q)) {
        if (f->open)
            thread_queue_wait_any(q, -1);
        else
            thread_queue_wait_urgent(q, 5);
        f->wait_ends++;
        thread_queue_take_urgent(q, &list);
        if (f->open)
            thread_queue_take_all(q, &list);
        for (struct thread_job *job; (job = STAILQ_FIRST(&list));) {
            STAILQ_REMOVE_HEAD(&list, next);
            ((struct number_job *)job)->seen_by_thread = true;
            thread_queue_return(q, job);
        }
    }
}

Test(thread_queue, waits_for_what_the_thread_asks_for)
{
    struct fixture *f = fixture_new(run_batches);
    cr_assert(thread_queue_start(f->queue));
    thread_queue_submit(f->queue, number_job(2));
    thread_queue_submit_urgent(f->queue, number_job(1));
    dispatch_until(f, 1);
    cr_assert_eq(f->order[0], 1, "only the urgent job is taken");
    cr_assert(f->signals_blocked);
    cr_assert_eq(thread_queue_length(f->queue), 1U);
    f->open = true; /* the wait for urgent jobs ends after 5 ms */
    dispatch_until(f, 2);
    cr_assert_eq(f->order[1], 2);
    for (int i = 0; i < 3; i++) { /* a wake-up ends a wait that found no job; it is not lost between waits */
        int before = f->wait_ends;
        thread_queue_wake(f->queue);
        while (f->wait_ends == before)
            pause_ms(1);
    }
    thread_queue_stop(f->queue);
    fixture_free(f);
}

static void run_with_timeout(struct thread_queue *q, void *arg)
{
    struct fixture *f = arg;
    while (!thread_queue_is_ending(q)) {
        struct thread_job *job = thread_queue_next(q, 2);
        if (!job) {
            f->timeouts++;
            continue;
        }
        ((struct number_job *)job)->seen_by_thread = true;
        thread_queue_return(q, job);
    }
}

Test(thread_queue, ends_a_wait_after_its_timeout)
{
    struct fixture *f = fixture_new(run_with_timeout);
    cr_assert(thread_queue_start(f->queue));
    while (f->timeouts < 3)
        pause_ms(1);
    thread_queue_submit(f->queue, number_job(7));
    dispatch_until(f, 1);
    cr_assert_eq(f->order[0], 7);
    thread_queue_stop(f->queue);
    fixture_free(f);
}
