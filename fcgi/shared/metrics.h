/* Counters of a host's workers, in the shared mapping. Workers add without locks; GET /metrics reads. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "objects/object_store.h"
#include "otlp/otlp.h"

enum { METRICS_ROUTES = 128, METRICS_STATUSES = 600 };

/* enum budget_scope of lib/spending/budget.h, and 0: the run matches too many budgets */
enum { METRICS_BUDGET_SCOPES = 6 };
enum batch_item_result { BATCH_ITEM_ACCEPTED, BATCH_ITEM_REPLAYED, BATCH_ITEM_REJECTED, BATCH_ITEM_RESULTS };

/* How a request that starts one run ended: 2xx, 2xx of an earlier request, 4xx, 5xx. */
enum accept_outcome {
    ACCEPT_ACCEPTED,
    ACCEPT_REPLAYED,
    ACCEPT_REJECTED,
    ACCEPT_UNAVAILABLE,
    ACCEPT_OUTCOMES
};
enum mcp_count {
    MCP_COUNT_INITIALIZE,
    MCP_COUNT_PING,
    MCP_COUNT_LIST,
    MCP_COUNT_CALL,
    MCP_COUNT_OTHER,
    MCP_COUNTS
};

enum { METRICS_BUCKETS = 13, METRICS_EXEMPLAR_BYTES = 112 };
/* Upper bounds in microseconds; one bucket more is for everything above. */
extern const int64_t metrics_second_bounds[METRICS_BUCKETS - 1];

/* An example of a bucket's values, shown to clients that accept OpenMetrics. */
struct metrics_exemplar {
    /* 1: a process writes or reads it. One that dies meanwhile ends the use of this exemplar. */
    atomic_int is_held;
    /* `execution_id="…"`, further labels separated by commas; empty: none */
    char labels[METRICS_EXEMPLAR_BYTES];
    int64_t value, at_ms;
};

struct metrics_histogram {
    atomic_uint_fast64_t n[METRICS_BUCKETS], sum;
    struct metrics_exemplar exemplars[METRICS_BUCKETS];
};

struct metrics {
    /* How long requests that start one run took, by enum accept_outcome; microseconds. */
    struct metrics_histogram accepts[ACCEPT_OUTCOMES];
    atomic_uint_fast64_t mcp[MCP_COUNTS];
    atomic_uint_fast64_t requests[METRICS_ROUTES][METRICS_STATUSES];
    atomic_uint_fast64_t us[METRICS_ROUTES];
    atomic_uint_fast64_t refused_late;
    /* Requests rejected because their address had looked up too many unknown keys or tickets. */
    atomic_uint_fast64_t refused_unknown;
    /* Requests with a session's cookie that a page of another origin may have sent. */
    atomic_uint_fast64_t refused_cross_site;
    /* Sessions of the console that were opened. */
    atomic_uint_fast64_t sessions;
    /* Runs that a budget did not allow, by its scope. */
    atomic_uint_fast64_t refused_budget[METRICS_BUDGET_SCOPES];
    /* Decided items of run-batch, by enum batch_item_result. */
    atomic_uint_fast64_t batch_items[BATCH_ITEM_RESULTS];
    struct object_counts objects;
    /* Spans of all workers. */
    struct otlp_counters spans;
    atomic_int workers;
    atomic_uint_fast64_t respawns;
    /* How often a worker had to do without Redis. */
    atomic_uint_fast64_t redis_fallbacks;
    /* Lost or refused connections to MariaDB; commits whose answer was lost and that were settled. */
    atomic_uint_fast64_t db_lost, db_settled;
};

/* Counts one answered request. `route` is the index in the table of routes, or one past the last route for a
 * request that matched none. */
void metrics_count(struct metrics *m, unsigned route, int status, int64_t us);
/* Counts `value` in its bucket. `execution` and `trace_id`: what the exemplar names; NULL keeps the last one.
 */
void metrics_time(struct metrics_histogram *h, const int64_t bounds[METRICS_BUCKETS - 1], int64_t value,
                  const char *execution, const char *trace_id, int64_t now_ms);
/* Appends the lines of a histogram whose values are 1/units of what is shown. `labels`: "" or `name="value"`.
 * With exemplars only for OpenMetrics. */
char *metrics_histogram_text(char *text, struct metrics_histogram *h, const int64_t *bounds, int64_t units,
                             const char *name, const char *labels, bool with_exemplars);
/* Appends one bucket, without the end of its line; `bound` is the text of its upper bound. */
char *metrics_bucket_text(char *text, const char *name, const char *labels, const char *bound, uint64_t n);
/* The text format of Prometheus as OpenMetrics: names of counters, and the end. */
char *metrics_open_text(void *ctx, const char *text);
/* Prometheus text, allocated from ctx. `names` are the labels of the routes. */
char *metrics_text(void *ctx, struct metrics *m, const char *const *names, unsigned names_n,
                   bool with_exemplars);
