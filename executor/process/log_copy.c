#include "executor/process/log_copy.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "redis/keys.h"
#include "redis/log_stream.h"
#include "service/thread_queue.h"

enum {
    BUFFER_MAX = 256 * 1024,
    COLLECT_MS = 250,
    HOST_SIZE = 256,
};

struct log_copy {
    struct redis *redis;
    int64_t entries_max;
    char host[HOST_SIZE];
    /* processes that are forked later inherit the copy; they do not send */
    pid_t pid;
    pthread_t thread;
    /* of all below */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* each line is ended by a line end */
    char *lines;
    size_t size;
    uint64_t dropped;
    bool ending;
};

static struct log_copy *log_copy_new(void *ctx, const struct config *config)
{
    struct log_copy *c = talloc_zero(ctx, struct log_copy);
    c->pid = getpid();
    c->redis = redis_new(c, config->redis.socket);
    c->entries_max = config->executor.live_log_mib * (1 << 20) / LOG_STREAM_ENTRY_MAX;
    /* the rest is zeros */
    if (gethostname(c->host, sizeof c->host - 1) != 0)
        c->host[0] = '?';
    redis_keys_set_prefix(config->redis.prefix);
    return c;
}

/* --- sending --- */

/* The bytes of the first lines that fit into one entry; at least one line. */
static size_t entry_size(const char *lines, size_t size)
{
    size_t end = 0;
    while (end < size) {
        const char *stop = memchr(lines + end, '\n', size - end);
        size_t next = stop ? (size_t)(stop - lines) + 1 : size;
        if (end > 0 && next > LOG_STREAM_ENTRY_MAX)
            break;
        end = next;
    }
    return end;
}

static void send_lines(const struct log_copy *c, const char *lines, size_t size)
{
    for (size_t n; size > 0; lines += n, size -= n) {
        n = entry_size(lines, size);
        log_stream_queue(c->redis, c->entries_max, c->host, lines, n);
    }
    redis_flush(c->redis);
}

static void take_line(void *arg, const char *line, size_t size)
{
    struct log_copy *c = arg;
    if (getpid() != c->pid)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->size + size + 1 > BUFFER_MAX) {
        c->dropped++;
    } else {
        if (c->size == 0)
            pthread_cond_signal(&c->changed);
        memcpy(c->lines + c->size, line, size);
        c->size += size;
        c->lines[c->size++] = '\n';
    }
    pthread_mutex_unlock(&c->lock);
}

/* Waits for a line, and then for others that follow it. False: there is nothing more to send. */
static bool wait_for_lines(struct log_copy *c)
{
    struct timespec until;
    pthread_mutex_lock(&c->lock);
    while (c->size == 0 && !c->ending)
        pthread_cond_wait(&c->changed, &c->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += COLLECT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!c->ending && pthread_cond_timedwait(&c->changed, &c->lock, &until) == 0)
        ; /* woken early */
    bool is_any = c->size > 0;
    pthread_mutex_unlock(&c->lock);
    return is_any;
}

static void *run_log_copy(void *arg)
{
    struct log_copy *c = arg;
    char *taken = talloc_size(c, BUFFER_MAX);
    while (wait_for_lines(c)) {
        pthread_mutex_lock(&c->lock);
        char *lines = c->lines;
        size_t size = c->size;
        uint64_t dropped = c->dropped;
        c->lines = taken;
        c->size = 0;
        c->dropped = 0;
        pthread_mutex_unlock(&c->lock);
        taken = lines;
        send_lines(c, lines, size);
        if (dropped > 0)
            log_warn("executor.log_copy_dropped", "lines=%" PRIu64, dropped);
    }
    return NULL;
}

/* --- a process --- */

struct log_copy *log_copy_start(void *ctx, const struct config *config)
{
    pthread_condattr_t monotonic;
    log_set_copy(NULL, NULL); /* the master's */
    if (config->executor.live_log_mib == 0)
        return NULL;
    struct log_copy *c = log_copy_new(ctx, config);
    c->lines = talloc_size(c, BUFFER_MAX);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!thread_start(&c->thread, run_log_copy, c)) {
        log_warn("executor.log_copy_failed", "what=thread");
        talloc_free(c);
        return NULL;
    }
    log_set_copy(take_line, c);
    return c;
}

void log_copy_end(struct log_copy *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    log_set_copy(NULL, NULL); /* afterwards: the thread logs, too */
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    talloc_free(c);
}

/* --- the master --- */

static void send_line(void *arg, const char *line, size_t size)
{
    struct log_copy *c = arg;
    /* the connection itself logs when Redis is unreachable */
    if (getpid() != c->pid || c->ending)
        return;
    c->ending = true;
    char *lines = talloc_asprintf(c, "%.*s\n", (int)size, line);
    send_lines(c, lines, size + 1);
    talloc_free(lines);
    c->ending = false;
}

void log_copy_start_master(void *ctx, const struct config *config)
{
    if (config->executor.live_log_mib > 0)
        log_set_copy(send_line, log_copy_new(ctx, config));
}
