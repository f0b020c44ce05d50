#include "executor/process/process_state.h"

#include <inttypes.h>

#include "base/clock.h"
#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "executor/db_thread/claim_pace.h"
#include "executor/io/disk_thread.h"
#include "executor/io/http_client.h"
#include "executor/lease/claimer.h"
#include "executor/lease/lease.h"
#include "executor/run/active_run.h"
#include "executor/run/child_watch.h"
#include "executor/run/skill/warm_pool.h"
#include "otlp/otlp.h"
#include "service/compute_thread.h"

/* Counts of the runs of one kind. */
struct run_counts {
    size_t in_memory, claiming, with_slot, queued_for_slot, ending, pending_commits, commits_in_flight;
};

static void count_run(struct run_counts *counts, const struct active_run *run)
{
    counts->in_memory++;
    counts->claiming += run->claim != NULL;
    counts->with_slot += run->slot.held;
    counts->queued_for_slot += run->slot.queued;
    counts->ending += run->ending;
    counts->pending_commits += run->pending != NULL;
    counts->commits_in_flight += run->in_flight != NULL;
}

static struct run_counts count_runs(const struct executor *exec, const struct run_kind *kind)
{
    struct run_counts counts = {0};
    const struct active_run *run;
    size_t cursor = 0;
    while ((run = id_map_next(exec->runs, &cursor))) {
        if (run->kind == kind)
            count_run(&counts, run);
    }
    return counts;
}

static void log_runs_of_kind(const struct executor *exec, const char *name, const struct run_kind *kind)
{
    struct run_counts counts = count_runs(exec, kind);
    state_log(
        "state.runs",
        "kind=%s in_memory=%zu claiming=%zu with_slot=%zu without_slot=%zu queued_for_slot=%zu ending=%zu "
        "pending_commits=%zu commits_in_flight=%zu",
        name, counts.in_memory, counts.claiming, counts.with_slot, counts.in_memory - counts.with_slot,
        counts.queued_for_slot, counts.ending, counts.pending_commits, counts.commits_in_flight);
}

static void log_runs(void *arg)
{
    const struct executor *exec = arg;
    log_runs_of_kind(exec, "workflow", exec->kinds->workflow);
    log_runs_of_kind(exec, "skill", exec->kinds->skill);
    log_runs_of_kind(exec, "model", exec->kinds->model);
}

static void log_lease(void *arg)
{
    const struct executor *exec = arg;
    uint64_t executor_id = lease_executor_id(exec->lease);
    state_log("state.lease", "executor=%llu lease_age_ms=%lld holds_lease=%d fenced=%d stopping=%d",
              (unsigned long long)executor_id, executor_id ? (long long)lease_age_ms(exec->lease) : -1,
              executor_holds_lease(exec), exec->fenced, exec->stopping);
}

/* Slots that are not free are held by runs and by runners that outlive their runs. */
static void log_slots(void *arg)
{
    struct executor *exec = arg;
    /* there are none before the process is registered */
    int64_t slots = lease_executor_id(exec->lease) ? exec->config->executor.max_active : 0;
    int64_t free_slots = db_thread_free_slots(exec->db_thread);
    state_log("state.slots",
              "slots=%lld used=%lld free=%lld waiting_bytes=%zu memory_bytes=%zu "
              "memory_max=%zu",
              (long long)slots, (long long)(slots - free_slots), (long long)free_slots,
              slots_bytes(exec->slots), memory_budget_used(&exec->memory), exec->memory.max);
}

static void log_pace(void *arg)
{
    const struct executor *exec = arg;
    const struct claim_pace *p = claimer_pace(exec->claimer);
    struct claim_pace none = {0};
    if (!p)
        p = &none;
    bool is_active = claim_pace_is_active(p, clock_boot_ms());
    state_log("state.pace", "limited=%d claims_per_s=%lld accept_latency_us=%lld claimed_age_ms=%lld",
              p->limited, p->limited ? (long long)p->rate : -1LL, is_active ? (long long)p->latency_us : 0LL,
              (long long)claim_pace_queue_age(p));
}

static void log_queues(void *arg)
{
    const struct executor *exec = arg;
    state_log("state.queues",
              "db_thread_jobs=%zu unwritten_commits=%zu disk_thread_jobs=%zu compute_thread_jobs=%zu",
              db_thread_queued(exec->db_thread), db_thread_unwritten(exec->db_thread),
              disk_thread_queued(exec->disk_thread), compute_queued(exec->compute));
}

static void log_effects(void *arg)
{
    const struct executor *exec = arg;
    state_log("state.effects", "http_requests=%zu http_waiting=%zu runners=%lld children=%zu",
              http_calls_in_flight(exec->http_client), http_calls_waiting(exec->http_client),
              (long long)exec->active_runners, child_watch_count(exec->child_watch));
}

static void log_cache(const char *name, struct compiled_cache_counts counts)
{
    state_log("state.cache", "cache=%s entries=%zu entries_max=%d hits=%zu misses=%zu", name, counts.entries,
              COMPILED_MAX, counts.hits, counts.misses);
}

static void log_caches(void *arg)
{
    const struct executor *exec = arg;
    log_cache("programs", compiled_programs_count(exec->programs));
    log_cache("skills", compiled_skills_count(exec->skills));
}

static void log_warm_pool(void *arg)
{
    const struct executor *exec = arg;
    struct warm_pool_counts n = warm_pool_count(exec->warm_pool);
    state_log("state.warm", "idle=%zu cold_starts=%lld warm_starts=%lld ended_idle=%lld", n.idle,
              (long long)n.cold_starts, (long long)n.warm_starts, (long long)n.ended_idle);
}

static void log_spans(void *arg)
{
    const struct executor *exec = arg;
    const struct otlp_counters *c = otlp_counters(exec->otlp);
    state_log("state.spans",
              "queued=%zu queue_max=%d exported=%" PRIu64 " dropped_full=%" PRIu64 " dropped_limit=%" PRIu64
              " dropped_collector=%" PRIu64,
              otlp_queued(exec->otlp), OTLP_QUEUE_MAX, (uint64_t)atomic_load(&c->exported),
              (uint64_t)atomic_load(&c->dropped_full), (uint64_t)atomic_load(&c->dropped_limit),
              (uint64_t)atomic_load(&c->dropped_failed));
}

void process_state_add(struct state_dump *dump, struct executor *exec)
{
    state_dump_add(dump, log_lease, exec);
    state_dump_add(dump, log_runs, exec);
    state_dump_add(dump, log_slots, exec);
    state_dump_add(dump, log_pace, exec);
    state_dump_add(dump, log_queues, exec);
    state_dump_add(dump, log_effects, exec);
    state_dump_add(dump, log_warm_pool, exec);
    state_dump_add(dump, log_caches, exec);
    state_dump_add(dump, log_spans, exec);
}
