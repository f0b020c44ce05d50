#include "stream/subscriptions.h"

#include <string.h>
#include <talloc.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/keys.h"
#include "redis/subscriber.h"
#include "run/event_json.h"
#include "service/state_dump.h"

enum {
    /* runs in one query: a few milliseconds of the database thread */
    POLL_RUNS_MAX = 1024,
    /* publishers do not use Redis for a second after a failure */
    DISTRUST_MS = 5000,
    /* after a gap of a publisher that is back: one or two polls of all runs */
    GAP_MS = 1500,
};

struct watched_run {
    id execution, workspace;
    LIST_HEAD(run_subscriber_list, run_subscriber) subscribers;
    int waiters;
    /* Redis has confirmed the subscription */
    bool subscribed;
    /* in the poll list */
    bool needs_poll;
    /* while the results of a poll are delivered */
    const struct run_progress *progress;
    /* valid while needs_poll */
    LIST_ENTRY(watched_run) poll_entry;
    UT_hash_handle hh;
};

struct subscriptions {
    struct stream_db_thread *db_thread;
    /* by execution */
    struct watched_run *runs;
    /* runs to be polled next */
    LIST_HEAD(watched_run_list, watched_run) poll_list;
    /* a poll is in flight */
    bool poll_in_flight;
    struct redis_subscriber *redis;
    /* the channel of publishers that have dropped messages */
    struct redis_arg gaps, shares;
    void (*on_share_question)(void *arg, const struct share_question *question);
    void *share_arg;
    /* until then (boot time) publishers may not have noticed that Redis is back, or have dropped messages */
    int64_t distrust_until_ms;
};

const id *watched_run_execution(const struct watched_run *run)
{
    return &run->execution;
}

const id *watched_run_workspace(const struct watched_run *run)
{
    return &run->workspace;
}

static struct watched_run *find_watched_run(struct subscriptions *subs, const char *execution)
{
    struct watched_run *run;
    HASH_FIND(hh, subs->runs, execution, ID_LENGTH, run);
    return run;
}

/* --- polling MariaDB --- */

static void poll_next(struct subscriptions *subs);

static void mark_for_poll(struct subscriptions *subs, struct watched_run *run)
{
    if (run->needs_poll)
        return;
    run->needs_poll = true;
    LIST_INSERT_HEAD(&subs->poll_list, run, poll_entry);
}

static void deliver_progress(struct stream_db_job *job, struct watched_run *run)
{
    const struct run_progress *progress = run->progress;
    run->progress = NULL;
    struct run_subscriber *next;
    for (struct run_subscriber *subscriber = LIST_FIRST(&run->subscribers); subscriber; subscriber = next) {
        next = LIST_NEXT(subscriber, entry);
        bool key_checked = subscriber->check_key && id_is_in(job->keys, job->keys_n, &subscriber->key);
        if (key_checked)
            subscriber->check_key = false;
        if (key_checked && !id_is_in(job->live_keys, job->live_keys_n, &subscriber->key))
            subscriber->callbacks->on_revoked(subscriber);
        else
            subscriber->callbacks->on_progress(subscriber, progress);
    }
}

static void on_poll_done(struct stream_db_job *job)
{
    struct subscriptions *subs = job->owner;
    subs->poll_in_flight = false;
    for (size_t i = 0; i < job->progress_n && job->error == OK; i++) {
        struct watched_run *run = find_watched_run(subs, job->progress[i].execution_id.text);
        if (run && id_equal(&run->workspace, &job->progress[i].workspace_id))
            run->progress = &job->progress[i];
    }
    for (size_t i = 0; i < job->executions_n && job->error == OK; i++) {
        struct watched_run *run = find_watched_run(subs, job->executions[i].text);
        if (run)
            deliver_progress(job, run);
    }
    if (job->error != OK)
        log_debug("stream.poll_failed", "runs=%zu error=%s", job->executions_n, err_name(job->error));
    poll_next(subs);
}

static void add_keys_to_check(struct stream_db_job *job, const struct watched_run *run)
{
    const struct run_subscriber *subscriber;
    LIST_FOREACH(subscriber, &run->subscribers, entry)
    {
        if (!subscriber->check_key || id_is_in(job->keys, job->keys_n, &subscriber->key))
            continue;
        job->keys = talloc_realloc(job, job->keys, id, job->keys_n + 1);
        job->keys[job->keys_n++] = subscriber->key;
    }
}

static void poll_next(struct subscriptions *subs)
{
    if (subs->poll_in_flight || LIST_EMPTY(&subs->poll_list))
        return;
    struct stream_db_job *job = stream_db_job_new(STREAM_DB_PROGRESS, subs, on_poll_done);
    job->executions = talloc_array(job, id, POLL_RUNS_MAX);
    while (!LIST_EMPTY(&subs->poll_list) && job->executions_n < POLL_RUNS_MAX) {
        struct watched_run *run = LIST_FIRST(&subs->poll_list);
        LIST_REMOVE(run, poll_entry);
        run->needs_poll = false;
        job->executions[job->executions_n++] = run->execution;
        add_keys_to_check(job, run);
    }
    subs->poll_in_flight = true;
    stream_db_thread_submit(subs->db_thread, job);
}

void subscriptions_poll_run(struct subscriptions *subs, struct run_subscriber *subscriber)
{
    mark_for_poll(subs, subscriber->run);
    poll_next(subs);
}

/* --- messages from Redis --- */

static void start_subscribers(struct watched_run *run)
{
    struct run_subscriber *next;
    for (struct run_subscriber *subscriber = LIST_FIRST(&run->subscribers); subscriber; subscriber = next) {
        next = LIST_NEXT(subscriber, entry);
        if (subscriber->is_started)
            continue;
        subscriber->is_started = true;
        subscriber->callbacks->on_ready(subscriber);
    }
}

/* Without Redis, subscribers start at once: subscriptions_tick() polls MariaDB every second. */
static void on_redis_lost(void *arg)
{
    struct subscriptions *subs = arg;
    struct watched_run *run, *next;
    HASH_ITER(hh, subs->runs, run, next)
    {
        run->subscribed = false;
        start_subscribers(run);
    }
}

static void subscribe_run(struct subscriptions *subs, struct watched_run *run)
{
    void *scratch = talloc_new(NULL);
    redis_subscriber_add(subs->redis, redis_channel_events(scratch, &run->execution));
    talloc_free(scratch);
}

static void deliver_event(struct subscriptions *subs, struct watched_run *run,
                          const struct redis_arg *message)
{
    int seq;
    enum event_type type;
    if (!event_json_read(message->bytes, message->size, &run->execution, &seq, &type)) {
        mark_for_poll(subs, run);
        return;
    }
    struct run_subscriber *next;
    for (struct run_subscriber *subscriber = LIST_FIRST(&run->subscribers); subscriber; subscriber = next) {
        next = LIST_NEXT(subscriber, entry);
        subscriber->callbacks->on_event(subscriber, seq, type, message->bytes, message->size);
    }
}

/* The name of a channel ends with the id of its run. */
static struct watched_run *find_channel_run(struct subscriptions *subs, struct redis_arg channel)
{
    return channel.size < ID_LENGTH ? NULL : find_watched_run(subs, channel.bytes + channel.size - ID_LENGTH);
}

static void distrust(struct subscriptions *subs, int for_ms)
{
    int64_t until_ms = clock_boot_ms() + for_ms;
    if (subs->distrust_until_ms < until_ms)
        subs->distrust_until_ms = until_ms;
}

static bool is_channel(struct redis_arg channel, struct redis_arg name)
{
    return channel.size == name.size && memcmp(channel.bytes, name.bytes, channel.size) == 0;
}

static void on_redis_message(void *arg, struct redis_arg channel, struct redis_arg message)
{
    struct subscriptions *subs = arg;
    struct share_question question;
    if (is_channel(channel, subs->gaps))
        distrust(subs, GAP_MS);
    if (is_channel(channel, subs->shares) && subs->on_share_question &&
        share_question_parse(message.bytes, message.size, &question))
        subs->on_share_question(subs->share_arg, &question);
    struct watched_run *run = find_channel_run(subs, channel);
    if (!run)
        return;
    deliver_event(subs, run, &message);
    poll_next(subs);
}

static void on_redis_subscribed(void *arg, struct redis_arg channel)
{
    struct subscriptions *subs = arg;
    struct watched_run *run = find_channel_run(subs, channel);
    if (!run)
        return;
    run->subscribed = true;
    if (LIST_FIRST(&run->subscribers)->is_started)
        mark_for_poll(subs, run); /* events may have been published while Redis was unreachable */
    start_subscribers(run);
    poll_next(subs);
}

static const struct redis_subscriber_callbacks redis_callbacks = {
    .on_subscribed = on_redis_subscribed, .on_message = on_redis_message, .on_lost = on_redis_lost};

static void connect_redis(struct subscriptions *subs)
{
    if (redis_subscriber_connect(subs->redis) != OK)
        return;
    distrust(subs, DISTRUST_MS);
    redis_subscriber_add(subs->redis, subs->gaps);
    redis_subscriber_add(subs->redis, subs->shares);
    struct watched_run *run, *next;
    HASH_ITER(hh, subs->runs, run, next)
    {
        subscribe_run(subs, run);
    }
}

/* --- subscribers --- */

void subscriptions_on_share_question(struct subscriptions *subs,
                                     void (*on_question)(void *arg, const struct share_question *question),
                                     void *arg)
{
    subs->on_share_question = on_question;
    subs->share_arg = arg;
}

static int subscriptions_destroy(struct subscriptions *subs)
{
    HASH_CLEAR(hh, subs->runs);
    return 0;
}

struct subscriptions *subscriptions_new(void *ctx, struct event_base *base, const char *redis_socket,
                                        struct stream_db_thread *db_thread)
{
    struct subscriptions *subs = talloc_zero(ctx, struct subscriptions);
    subs->redis = redis_subscriber_new(subs, base, redis_socket, &redis_callbacks, subs);
    subs->db_thread = db_thread;
    subs->gaps = redis_channel_gaps(subs);
    subs->shares = redis_channel_shares(subs);
    talloc_set_destructor(subs, subscriptions_destroy);
    connect_redis(subs);
    return subs;
}

static struct watched_run *get_watched_run(struct subscriptions *subs, const id *execution,
                                           const id *workspace)
{
    struct watched_run *run = find_watched_run(subs, execution->text);
    if (run)
        return run;
    run = talloc_zero(subs, struct watched_run);
    run->execution = *execution;
    run->workspace = *workspace;
    HASH_ADD(hh, subs->runs, execution.text, ID_LENGTH, run);
    subscribe_run(subs, run);
    return run;
}

void subscriptions_add(struct subscriptions *subs, const id *execution, const id *workspace,
                       struct run_subscriber *subscriber)
{
    struct watched_run *run = get_watched_run(subs, execution, workspace);
    subscriber->run = run;
    LIST_INSERT_HEAD(&run->subscribers, subscriber, entry);
    run->waiters += subscriber->is_waiter;
    if (subscriber->is_started || (!run->subscribed && redis_subscriber_is_connected(subs->redis)))
        return; /* started by on_redis_lost before, or to be started when Redis confirms the subscription */
    subscriber->is_started = true;
    subscriber->callbacks->on_ready(subscriber);
}

static void remove_watched_run(struct subscriptions *subs, struct watched_run *run)
{
    void *scratch = talloc_new(NULL);
    redis_subscriber_remove(subs->redis, redis_channel_events(scratch, &run->execution));
    talloc_free(scratch);
    HASH_DEL(subs->runs, run);
    if (run->needs_poll)
        LIST_REMOVE(run, poll_entry);
    talloc_free(run);
}

void subscriptions_remove(struct subscriptions *subs, struct run_subscriber *subscriber)
{
    struct watched_run *run = subscriber->run;
    LIST_REMOVE(subscriber, entry);
    run->waiters -= subscriber->is_waiter;
    subscriber->run = NULL;
    if (LIST_EMPTY(&run->subscribers))
        remove_watched_run(subs, run);
}

void subscriptions_tick(struct subscriptions *subs)
{
    if (!redis_subscriber_is_connected(subs->redis))
        connect_redis(subs);
    bool distrusted = clock_boot_ms() < subs->distrust_until_ms;
    struct watched_run *run, *next;
    HASH_ITER(hh, subs->runs, run, next)
    {
        if (distrusted || run->waiters > 0 || !run->subscribed)
            mark_for_poll(subs, run);
    }
    poll_next(subs);
}

void subscriptions_log_state(void *arg)
{
    const struct subscriptions *subs = arg;
    size_t runs = 0, subscribed = 0, with_waiters = 0, to_poll = 0;
    const struct watched_run *run, *next;
    HASH_ITER(hh, subs->runs, run, next)
    {
        runs++;
        subscribed += run->subscribed;
        with_waiters += run->waiters > 0;
        to_poll += run->needs_poll;
    }
    state_log("state.subscriptions",
              "runs=%zu subscribed=%zu with_waiters=%zu to_poll=%zu poll_in_flight=%d redis_connected=%d",
              runs, subscribed, with_waiters, to_poll, subs->poll_in_flight,
              redis_subscriber_is_connected(subs->redis));
}
