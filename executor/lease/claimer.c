#include "executor/lease/claimer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
#include "redis/run_queue.h"

enum { BLOCK_S = 1, SCAN_MS = 1000, AWAY_MS = 50 };

struct claims {
    struct executor *x;
    struct writer *writer;
    struct redis *redis; /* the thread's */
    pthread_t thread;
    struct timer scan;
    atomic_int fd; /* of the thread's connection to Redis, -1 while there is none */
    bool ended;
};

/* Touches the writer and its own Redis connection only. */
static void *run(void *arg)
{
    struct claims *c = arg;
    struct redis *redis = c->redis;
    id ids[WRITER_BATCH_MAX];
    for (int slots; (slots = writer_await_slots(c->writer)) > 0;) {
        enum err e = queue_wait(redis, BLOCK_S, ids);
        atomic_store(&c->fd, redis_fd(redis));
        if (e == OK) { /* the first one does not wait for the look whether there are more */
            writer_hint(c->writer, ids, 1);
            size_t n = queue_take(redis, ids, (size_t)slots - 1);
            if (n > 0)
                writer_hint(c->writer, ids, n);
        } else if (e == ERR_BUSY) {
            struct timespec pause = {.tv_nsec = AWAY_MS * 1000000L};
            writer_scan(c->writer);
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void on_scan(void *arg)
{
    struct claims *c = arg;
    writer_scan(c->writer);
    timer_set(c->x->timers, &c->scan, clock_boot_ms() + SCAN_MS);
}

struct claims *claims_start(void *ctx, struct executor *x)
{
    struct claims *c = talloc_zero(ctx, struct claims);
    sigset_t all;
    sigset_t old;
    c->x = x;
    c->writer = x->writer;
    c->redis = redis_new(c, x->config->redis.socket);
    atomic_init(&c->fd, -1);
    c->scan = (struct timer){.fire = on_scan, .arg = c};
    writer_add_slots(x->writer, (int)x->config->executor.max_active);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&c->thread, NULL, run, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        return NULL;
    on_scan(c);
    return c;
}

void claims_end(struct claims *c)
{
    if (!c || c->ended)
        return;
    c->ended = true;
    timer_clear(c->x->timers, &c->scan);
    writer_end_claims(c->writer);
}

void claims_join(struct claims *c)
{
    if (!c)
        return;
    int fd = atomic_load(&c->fd);
    redis_hush(c->redis);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR); /* ends a wait that has just begun */
    pthread_join(c->thread, NULL);
}
