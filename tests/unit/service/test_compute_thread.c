#include <criterion/criterion.h>
#include <semaphore.h>
#include <talloc.h>

#include "service/compute_thread.h"

/* The thread waits in the first job until the test lets it go on, so that the others gather. */
struct numbered_job {
    struct compute_job compute; /* first */
    int number;
};

static struct event_base *base;
static struct compute_thread *compute;
static sem_t may_go_on, returned;
static int order[16];
static size_t order_n, done_n, freed_n;

static void note_order(struct compute_job *job)
{
    int number = ((struct numbered_job *)job)->number;
    if (number == 0)
        sem_wait(&may_go_on);
    else
        order[order_n++] = number;
}

static int count_freed(struct numbered_job *job)
{
    (void)job;
    freed_n++;
    return 0;
}

static void on_done(struct compute_job *job)
{
    done_n++;
    talloc_free(job);
}

static void on_returned(struct compute_job *job)
{
    talloc_free(job);
    sem_post(&returned);
}

static struct numbered_job *job_new(const id *workspace, int number)
{
    struct numbered_job *job = talloc_zero(NULL, struct numbered_job);
    job->compute = (struct compute_job){.workspace_id = *workspace, .work = note_order, .done = on_done};
    job->number = number;
    talloc_set_destructor(job, count_freed);
    return job;
}

static void submit(const id *workspace, int number)
{
    compute_submit(compute, &job_new(workspace, number)->compute);
}

static void start(void)
{
    sem_init(&may_go_on, 0, 0);
    sem_init(&returned, 0, 0);
    base = event_base_new();
    compute = compute_thread_start(NULL, base);
    cr_assert(compute);
}

static void stop(void)
{
    compute_thread_end(compute);
    compute_thread_free(compute);
    event_base_free(base);
}

static void await_done(size_t n)
{
    while (done_n < n)
        event_base_loop(base, EVLOOP_ONCE);
}

Test(compute_thread, serves_workspaces_in_rotation_and_each_in_order)
{
    static const int expected[] = {10, 20, 30, 11, 21, 12, 13};
    id none = id_new(), a = id_new(), b = id_new(), c = id_new();
    start();
    submit(&none, 0);
    for (int n = 10; n < 14; n++)
        submit(&a, n);
    submit(&b, 20);
    submit(&c, 30);
    submit(&b, 21);
    cr_expect_eq(compute_queued(compute), 8U);
    sem_post(&may_go_on);
    await_done(8);
    cr_assert_eq(order_n, 7U);
    for (size_t i = 0; i < order_n; i++)
        cr_expect_eq(order[i], expected[i], "%zu: %d", i, order[i]);
    cr_expect_eq(compute_queued(compute), 0U);
    stop();
}

Test(compute_thread, hands_jobs_to_other_threads_and_frees_what_is_discarded)
{
    id workspace = id_new();
    struct memory_budget memory;
    start();
    struct numbered_job *job = job_new(&workspace, 1);
    job->compute.returned = on_returned;
    compute_submit(compute, &job->compute);
    sem_wait(&returned);
    memory_budget_init(&memory, 100);
    memory_budget_add(&memory, 7);
    compute_discard(compute, &workspace, job_new(&workspace, 2), &memory, 7);
    submit(&workspace, 3);
    await_done(1);
    cr_expect_eq(freed_n, 3U);
    cr_expect_eq(memory_budget_used(&memory), 0U);
    stop();
}

Test(compute_thread, frees_what_has_not_come_back)
{
    id workspace = id_new();
    start();
    submit(&workspace, 0);
    submit(&workspace, 1);
    sem_post(&may_go_on);
    compute_thread_end(compute);
    submit(&workspace, 2);
    compute_discard(compute, &workspace, job_new(&workspace, 3), NULL, 0);
    cr_expect_eq(freed_n, 1U, "at once: the thread has ended");
    compute_thread_free(compute);
    cr_expect_eq(freed_n, 4U);
    cr_expect_eq(done_n, 0U);
    event_base_free(base);
}
