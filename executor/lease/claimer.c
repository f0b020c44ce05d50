#include "executor/lease/claimer.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
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
    struct timer scan_timer, wake_timer;
    bool ended;
};

/* The thread uses the database thread and its own Redis connection; it never accesses the loop's data. */
static void *claimer_main(void *arg)
{
    struct claimer *c = arg;
    struct redis *redis = c->redis;
    id ids[COMMIT_BATCH_MAX];
    for (int slots; (slots = db_thread_await_slots(c->db_thread)) > 0;) {
        size_t n;
        enum err e = run_queue_take(redis, POP_WAIT_S, ids, (size_t)slots, &n);
        atomic_store(&c->fd, redis_fd(redis));
        if (e == OK) {
            db_thread_queue_ids(c->db_thread, ids, n);
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

struct claimer *claimer_start(void *ctx, struct executor *exec)
{
    struct claimer *c = talloc_zero(ctx, struct claimer);
    c->exec = exec;
    c->db_thread = exec->db_thread;
    c->redis = redis_new(c, exec->config->redis.socket);
    atomic_init(&c->fd, -1);
    c->scan_timer = (struct timer){.fire = on_scan_timer, .arg = c};
    c->wake_timer = (struct timer){.fire = on_wake_timer, .arg = c};
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
