/* Counters of a host's workers, in the shared mapping. Workers add without locks; GET /metrics reads. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { METRICS_ROUTES = 128, METRICS_STATUSES = 600 };

/* enum budget_scope of lib/spending/budget.h, and 0: the run matches too many budgets */
enum { METRICS_BUDGET_SCOPES = 6 };
enum batch_item_result { BATCH_ITEM_ACCEPTED, BATCH_ITEM_REPLAYED, BATCH_ITEM_REJECTED, BATCH_ITEM_RESULTS };

struct metrics {
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
/* Prometheus text, allocated from ctx. `names` are the labels of the routes. */
char *metrics_text(void *ctx, struct metrics *m, const char *const *names, unsigned names_n);
