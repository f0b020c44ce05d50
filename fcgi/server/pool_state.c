#include "fcgi/server/pool_state.h"

#include <inttypes.h>

#include "base/clock.h"

static void log_admission(void *arg)
{
    struct fcgi_shared *s = arg;
    int64_t now_ms = clock_boot_ms();
    int64_t delayed_since_ms = atomic_load(&s->admission.delayed_since_ms);
    state_log("state.admission",
              "started=%" PRIuFAST64 " delayed_ms=%lld overload_left_ms=%lld rejected_late=%" PRIuFAST64
              " accept_latency_us=%lld",
              atomic_load(&s->admission.started),
              (long long)(delayed_since_ms > 0 ? now_ms - delayed_since_ms : 0),
              (long long)admission_overload_ms(&s->admission, now_ms), atomic_load(&s->metrics.refused_late),
              (long long)accept_latency_us(&s->accept_latency, now_ms));
}

static void log_shared_cache(const char *name, const struct shared_cache *cache)
{
    struct shared_cache_counts counts = shared_cache_count(cache);
    state_log("state.cache", "cache=%s entries=%u entries_max=%u", name, counts.used, counts.entries);
}

static void log_shared_caches(void *arg)
{
    const struct fcgi_shared *s = arg;
    log_shared_cache("api_keys", s->keys);
    log_shared_cache("unknown_api_keys", s->unknown_keys);
    log_shared_cache("workflows", s->workflows);
}

static void log_accept_group(void *arg)
{
    const struct fcgi_shared *s = arg;
    struct accept_group_counters counters = accept_group_counters(s->accept_group);
    state_log("state.accept_group",
              "batches=%" PRIu64 " runs=%" PRIu64 " alone=%" PRIu64 " settled=%" PRIu64 " withdrawn=%" PRIu64
              " postponed=%" PRIu64 " leader_pid=%d",
              counters.batches, counters.runs, counters.alone, counters.settled, counters.withdrawn,
              counters.postponed, (int)accept_group_leader(s->accept_group));
}

void pool_state_add(struct state_dump *dump, struct fcgi_shared *shared)
{
    state_dump_add(dump, log_admission, shared);
    state_dump_add(dump, log_shared_caches, shared);
    state_dump_add(dump, log_accept_group, shared);
}
