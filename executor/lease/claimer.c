#include "executor/lease/claimer.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/db_thread/claim_pace.h"
#include "redis/run_queue.h"

enum { POP_WAIT_S = 1, SCAN_MS = 1000, WAKE_MS = 250, REDIS_RETRY_MS = 50 };

struct claimer {
    struct executor *exec;
    struct db_thread *db_thread;
    pthread_t thread;
    /* The thread's own. */
    struct redis *redis;
    /* Of the thread's connection to Redis; -1: not connected. */
    atomic_int fd;
    struct timer scan_timer, wake_timer, pace_timer;
    struct claim_pace pace;
    bool ended;
};

/* The thread uses the database thread and its own Redis connection; it never accesses the loop's data. */
static void *claimer_main(void *arg)
{
    struct claimer *c = arg;
    struct redis *redis = c->redis;
    id ids[COMMIT_BATCH_MAX];
    for (int slots; (slots = db_thread_await_slots(c->db_thread)) > 0;) {
        size_t n, short_n;
        enum err e = run_queue_take(redis, POP_WAIT_S, ids, (size_t)slots, &n, &short_n);
        atomic_store(&c->fd, redis_fd(redis));
        if (e == OK) {
            db_thread_queue_ids(c->db_thread, ids, n, short_n);
        } else if (e == ERR_UNAVAILABLE) {
            struct timespec pause = {.tv_nsec = REDIS_RETRY_MS * 1000000L};
            db_thread_scan_queued(c->db_thread);
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void on_scan_timer(void *arg)
{
    struct claimer *c = arg;
    db_thread_scan_queued(c->db_thread);
    timer_set(c->exec->timers, &c->scan_timer, clock_boot_ms() + SCAN_MS);
}

static void on_wake_timer(void *arg)
{
    struct claimer *c = arg;
    db_thread_wake_due(c->db_thread);
    timer_set(c->exec->timers, &c->wake_timer, clock_boot_ms() + WAKE_MS);
}

static void on_pace_timer(void *arg)
{
    struct claimer *c = arg;
    int64_t now_ms = clock_boot_ms();
    int64_t oldest_ms;
    int64_t claimed = db_thread_take_claimed(c->db_thread, &oldest_ms);
    bool was_limited = c->pace.limited;
    db_thread_allow_claims(c->db_thread, claim_pace_allow(&c->pace, claimed, oldest_ms, now_ms));
    if (c->pace.limited != was_limited)
        log_debug("claims.pace", "limited=%d accept_latency_us=%lld queue_age_ms=%lld", c->pace.limited,
                  (long long)c->pace.latency_us, (long long)claim_pace_queue_age(&c->pace));
    if (claim_pace_is_active(&c->pace, now_ms))
        timer_set(c->exec->timers, &c->pace_timer, now_ms + CLAIM_PACE_TICK_MS);
}

void claimer_note_latency(struct claimer *c, int64_t latency_us)
{
    int64_t now_ms = clock_boot_ms();
    if (!c || c->ended)
        return;
    bool was_active = claim_pace_is_active(&c->pace, now_ms);
    claim_pace_report(&c->pace, latency_us, now_ms);
    if (!was_active && claim_pace_is_active(&c->pace, now_ms))
        on_pace_timer(c);
}

const struct claim_pace *claimer_pace(const struct claimer *c)
{
    return c ? &c->pace : NULL;
}

struct claimer *claimer_start(void *ctx, struct executor *exec)
{
    struct claimer *c = talloc_zero(ctx, struct claimer);
    c->exec = exec;
    c->db_thread = exec->db_thread;
    c->redis = redis_new(c, exec->config->redis.socket);
    atomic_init(&c->fd, -1);
    c->scan_timer = (struct timer){.fire = on_scan_timer, .arg = c};
    c->wake_timer = (struct timer){.fire = on_wake_timer, .arg = c};
    c->pace_timer = (struct timer){.fire = on_pace_timer, .arg = c};
    claim_pace_init(&c->pace, exec->config->executor.accept_latency_ms,
                    exec->config->executor.queue_age_max_s);
    db_thread_add_slots(exec->db_thread, (int)exec->config->executor.max_active);
    if (!thread_start(&c->thread, claimer_main, c))
        return NULL;
    on_scan_timer(c);
    on_wake_timer(c);
    return c;
}

void claimer_end(struct claimer *c)
{
    if (!c || c->ended)
        return;
    c->ended = true;
    timer_clear(c->exec->timers, &c->scan_timer);
    timer_clear(c->exec->timers, &c->wake_timer);
    timer_clear(c->exec->timers, &c->pace_timer);
    db_thread_end_claims(c->db_thread);
}

void claimer_join(struct claimer *c)
{
    if (!c)
        return;
    int fd = atomic_load(&c->fd);
    redis_mute_disconnect(c->redis);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR); /* ends a BRPOP that has just begun */
    pthread_join(c->thread, NULL);
}
