#include "executor/lease/liveness.h"

#include <stdlib.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/lease/peers.h"
#include "store/executor.h"

enum {
    RETRY_MS = 200,
    /* Between two looks at the loop and the database thread. */
    WATCH_MS = 1000,
    /* The longest time that one look counts; the thread itself may have waited for MariaDB. */
    LOOK_MAX_MS = 4000,
    STALL_REPORT_MS = 3000,
};

struct watched_thread {
    const char *name;
    struct progress *progress;
    struct stall stall;
};

struct liveness {
    struct thread_queue *queue;
    struct liveness_callbacks callbacks;
    atomic_bool heartbeats_ended;

    /* Only its numbers for GET /metrics. */
    struct executor *exec;

    /* --- the thread's own --- */
    struct db *db;
    struct lease_clock *clock;
    struct peer_heartbeat *peers;
    uint64_t executor_id;
    int64_t next_ms, watched_ms;
    struct stall_limits limits;
    struct watched_thread watched[2];
};

enum liveness_event_kind { LIVENESS_REGISTERED, LIVENESS_PEER_LOST, LIVENESS_OVER };

/* What the thread reports to the loop. */
struct liveness_event {
    struct thread_job queued; /* first */
    enum liveness_event_kind kind;
    uint64_t executor_id;
};

static void report_event(struct liveness *l, enum liveness_event_kind kind, uint64_t executor_id)
{
    struct liveness_event *event = talloc_zero(NULL, struct liveness_event);
    event->kind = kind;
    event->executor_id = executor_id;
    thread_queue_return(l->queue, &event->queued);
}

static void on_liveness_event(struct thread_job *queued, void *arg)
{
    const struct liveness *l = arg;
    struct liveness_event *event = (struct liveness_event *)queued;
    enum liveness_event_kind kind = event->kind;
    uint64_t executor_id = event->executor_id;
    talloc_free(event);
    switch (kind) {
    case LIVENESS_REGISTERED:
        l->callbacks.on_registered(l->callbacks.arg, executor_id);
        break;
    case LIVENESS_PEER_LOST:
        l->callbacks.on_peer_lost(l->callbacks.arg, executor_id);
        break;
    case LIVENESS_OVER:
        l->callbacks.on_over(l->callbacks.arg);
        break;
    }
}

/* --- heartbeats --- */

static void end_lease(struct liveness *l)
{
    lease_clock_end(l->clock);
    atomic_store(&l->heartbeats_ended, true);
    report_event(l, LIVENESS_OVER, l->executor_id);
}

static enum err register_process(struct liveness *l)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    int64_t sent_ms = clock_boot_ms();
    enum err e = executor_register(l->db, host, (int)getpid(), l->clock->lease_ms, &l->executor_id);
    if (e != OK)
        return e;
    /* A registration that took longer than the lease begins over. */
    lease_clock_renew(l->clock, sent_ms, clock_boot_ms());
    log_info("executor.registered", "executor=%llu", (unsigned long long)l->executor_id);
    report_event(l, LIVENESS_REGISTERED, l->executor_id);
    return OK;
}

static void mark_peer_lost(void *arg, const struct executor_peer *row)
{
    struct liveness *l = arg;
    if (executor_mark_lost(l->db, row->executor, row->beat) == OK)
        report_event(l, LIVENESS_PEER_LOST, row->executor);
}

static enum err observe_peers(struct liveness *l)
{
    void *scratch = talloc_new(NULL);
    struct executor_peer *rows;
    size_t n;
    enum err e = executor_peers(l->db, scratch, &rows, &n);
    if (e == OK)
        peers_observe(l->peers, rows, n, l->executor_id, clock_boot_ms(), mark_peer_lost, l);
    talloc_free(scratch);
    return e;
}

/* An expired lease is not renewed: side effects were held back since it expired. */
static enum err send_heartbeat(struct liveness *l)
{
    int64_t sent_ms = clock_boot_ms();
    if (lease_clock_is_over(l->clock, sent_ms)) {
        end_lease(l);
        return OK;
    }
    const struct executor_load load = {.http_in_flight = atomic_load(&l->exec->http_in_flight_seen),
                                       .http_waiting = atomic_load(&l->exec->http_waiting_seen),
                                       .http_max = l->exec->config->executor.max_http_in_flight,
                                       .commands = atomic_load(&l->exec->commands_seen)};
    enum err e = executor_heartbeat(l->db, l->executor_id, &load);
    if (e == ERR_CONFLICT || (e == OK && !lease_clock_renew(l->clock, sent_ms, clock_boot_ms()))) {
        end_lease(l); /* ERR_CONFLICT: another process has marked this one as lost */
        return OK;
    }
    return e == OK ? observe_peers(l) : e;
}

static void act_if_due(struct liveness *l)
{
    if (atomic_load(&l->heartbeats_ended) || clock_boot_ms() < l->next_ms)
        return;
    bool registering = l->executor_id == 0;
    enum err e = registering ? register_process(l) : send_heartbeat(l);
    int64_t pause_ms = e != OK ? RETRY_MS : registering ? 0 : HEARTBEAT_MS;
    l->next_ms = clock_boot_ms() + pause_ms;
}

/* --- the other threads --- */

static void watch_thread(struct liveness *l, struct watched_thread *w, int64_t elapsed_ms)
{
    struct progress_seen seen = progress_look(w->progress);
    int64_t stalled_ms;
    switch (stall_observe(&w->stall, &l->limits, &seen, elapsed_ms, &stalled_ms)) {
    case STALL_NONE:
        break;
    case STALL_BEGAN:
        log_warn("executor.thread_stalled", "thread=%s stalled_ms=%lld doing=\"%s\" execution=%s", w->name,
                 (long long)stalled_ms, seen.doing, seen.run.text);
        break;
    case STALL_ENDED:
        log_warn("executor.thread_resumed", "thread=%s stalled_ms=%lld", w->name, (long long)stalled_ms);
        break;
    case STALL_DEAD:
        log_error("executor.thread_dead", "thread=%s stalled_ms=%lld doing=\"%s\" execution=%s", w->name,
                  (long long)stalled_ms, seen.doing, seen.run.text);
        abort();
    }
}

static void watch_threads(struct liveness *l)
{
    int64_t now_ms = clock_boot_ms();
    int64_t elapsed_ms = now_ms - l->watched_ms;
    if (elapsed_ms < WATCH_MS)
        return;
    l->watched_ms = now_ms;
    for (size_t i = 0; i < sizeof l->watched / sizeof *l->watched; i++)
        watch_thread(l, &l->watched[i], elapsed_ms);
}

/* Until the next heartbeat or look is due; the queue's end cuts it short. */
static void pause_liveness(struct liveness *l)
{
    int64_t now_ms = clock_boot_ms();
    int64_t until_ms = l->watched_ms + WATCH_MS;
    if (!atomic_load(&l->heartbeats_ended) && l->next_ms < until_ms)
        until_ms = l->next_ms;
    if (until_ms > now_ms)
        talloc_free(thread_queue_next(l->queue, (long)(until_ms - now_ms)));
}

static void run_liveness(struct thread_queue *q, void *arg)
{
    struct liveness *l = arg;
    while (!thread_queue_is_ending(q)) {
        act_if_due(l);
        watch_threads(l);
        pause_liveness(l);
    }
    TALLOC_FREE(l->db);
}

/* --- start and end --- */

static void set_up_liveness(struct liveness *l, struct executor *exec)
{
    l->exec = exec;
    l->db = db_new(NULL, exec->db_settings);
    l->peers = exec->peers;
    l->watched_ms = clock_boot_ms();
    l->limits = (struct stall_limits){.look_max = LOOK_MAX_MS,
                                      .report = STALL_REPORT_MS,
                                      .dead = exec->config->executor.stall_abort_s * 1000};
    l->watched[0] = (struct watched_thread){.name = "loop", .progress = &exec->loop_progress};
    l->watched[1] = (struct watched_thread){.name = "database", .progress = &exec->db_thread_progress};
}

struct liveness *liveness_start(void *ctx, struct executor *exec, struct lease_clock *clock,
                                const struct liveness_callbacks *callbacks)
{
    struct liveness *l = talloc_zero(ctx, struct liveness);
    struct thread_queue_settings queue = {.run = run_liveness, .on_finished = on_liveness_event, .arg = l};
    l->callbacks = *callbacks;
    l->clock = clock;
    set_up_liveness(l, exec);
    l->queue = thread_queue_new(l, exec->base, &queue);
    if (l->queue && thread_queue_start(l->queue))
        return l;
    log_error("liveness.start_failed", "what=thread");
    talloc_free(l->db);
    talloc_free(l);
    return NULL;
}

void liveness_end_heartbeats(struct liveness *l)
{
    atomic_store(&l->heartbeats_ended, true);
}

void liveness_stop(struct liveness *l)
{
    if (!l)
        return;
    thread_queue_stop(l->queue);
    talloc_free(l);
}
