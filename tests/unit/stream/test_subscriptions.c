/* A test without MariaDB and Redis: the database thread is replaced, the Redis socket does not exist. */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <talloc.h>

#include "replaced_db_thread.h"
#include "stream/subscriptions.h"

static int delivered;
static const struct run_progress *last_progress;

static void on_ready(struct run_subscriber *subscriber)
{
}

static void on_progress(struct run_subscriber *subscriber, const struct run_progress *progress)
{
    delivered++;
    last_progress = progress;
}

/* The query of the executions succeeded, that of the keys failed. */
Test(subscriptions, progress_of_a_failed_poll_is_not_kept)
{
    static const struct run_subscriber_callbacks callbacks = {.on_ready = on_ready,
                                                              .on_progress = on_progress};
    void *ctx = talloc_new(NULL);
    struct event_base *base = event_base_new();
    struct subscriptions *subs = subscriptions_new(ctx, base, "/nonexistent/redis.sock", NULL);
    struct run_subscriber subscriber = {.callbacks = &callbacks};
    id execution = id_new();
    id workspace = id_new();
    subscriptions_add(subs, &execution, &workspace, &subscriber);
    subscriptions_poll_run(subs, &subscriber);
    struct stream_db_job *job = first_submitted(STREAM_DB_PROGRESS, NULL);
    cr_assert_not_null(job);
    job->progress = talloc_zero(job, struct run_progress);
    job->progress[0] = (struct run_progress){.execution_id = execution, .workspace_id = workspace};
    job->progress_n = 1;
    finish_submitted(job, ERR_UNAVAILABLE);
    cr_expect_eq(delivered, 0);

    subscriptions_poll_run(subs, &subscriber);
    job = first_submitted(STREAM_DB_PROGRESS, NULL);
    cr_assert_not_null(job);
    finish_submitted(job, OK);
    cr_expect_eq(delivered, 1);
    cr_expect_null(last_progress, "the execution no longer exists");
    subscriptions_remove(subs, &subscriber);
    talloc_free(ctx);
    event_base_free(base);
}
