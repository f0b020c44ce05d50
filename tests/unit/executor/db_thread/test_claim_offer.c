#include <criterion/criterion.h>
#include <stdatomic.h>
#include <talloc.h>
#include <time.h>

#include "executor/db_thread/claim_offer.h"

/* A database thread that makes one offer, and a loop that takes it up, is too busy, or has ended. */
struct fixture {
    void *ctx;
    struct event_base *base;
    struct thread_queue *queue;
    struct claim_offers *offers;
    struct claimed_run run;
    int begun;
    bool accepted;
    atomic_bool done;
};

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

static void begin_slowly(void *arg, struct claimed_run *runs, size_t n)
{
    struct fixture *f = arg;
    cr_expect_eq(runs, &f->run);
    cr_expect_eq(n, 1U);
    pause_ms(300); /* longer than an offer waits to be taken up */
    f->begun++;
}

static void make_one_offer(struct thread_queue *q, void *arg)
{
    struct fixture *f = arg;
    f->accepted = claim_offers_make(f->offers, q, &f->run, 1);
    f->done = true;
}

static void on_job(struct thread_job *queued, void *arg)
{
    struct job *job = (struct job *)queued;
    job->done(job);
}

static void start(struct fixture *f)
{
    struct thread_queue_settings settings = {.run = make_one_offer, .on_finished = on_job, .arg = f};
    f->ctx = talloc_new(NULL);
    f->base = event_base_new();
    f->offers = claim_offers_new(f->ctx, begin_slowly, f);
    f->queue = thread_queue_new(f->ctx, f->base, &settings);
    cr_assert(f->queue);
}

static void finish(struct fixture *f)
{
    thread_queue_stop(f->queue);
    event_base_free(f->base);
    talloc_free(f->ctx);
}

Test(claim_offer, waits_for_a_loop_that_has_taken_it_up)
{
    struct fixture f = {0};
    start(&f);
    cr_assert(thread_queue_start(f.queue));
    event_base_loop(f.base, EVLOOP_ONCE);
    finish(&f);
    cr_assert(f.accepted && f.begun == 1);
}

Test(claim_offer, is_withdrawn_from_a_busy_loop)
{
    struct fixture f = {0};
    start(&f);
    cr_assert(thread_queue_start(f.queue));
    while (!f.done)
        pause_ms(5);
    cr_assert(f.accepted, "the runs are claimed all the same");
    event_base_loop(f.base, EVLOOP_ONCE); /* the loop frees the offer and does not begin the runs */
    finish(&f);
    cr_assert_eq(f.begun, 0);
}

Test(claim_offer, is_refused_by_a_loop_that_has_ended)
{
    struct fixture f = {0};
    start(&f);
    claim_offers_refuse(f.offers);
    cr_assert(thread_queue_start(f.queue));
    finish(&f);
    cr_assert_not(f.accepted);
    cr_assert_eq(f.begun, 0);
}
