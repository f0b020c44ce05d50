/* Counters of a host's workers, in the shared mapping: added to without locks, read by GET /metrics. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { METRICS_ROUTES = 64, METRICS_STATUSES = 600 };

struct metrics {
    atomic_uint_fast64_t requests[METRICS_ROUTES][METRICS_STATUSES];
    atomic_uint_fast64_t us[METRICS_ROUTES];
    atomic_uint_fast64_t refused_late;
    atomic_int workers;
    atomic_uint_fast64_t respawns;
    /* what the workers did without, or once more */
    atomic_uint_fast64_t redis_fallbacks, db_lost, db_settled;
};

/* `route` is the row of the table of routes, or one beyond its last for requests that met none. */
void metrics_count(struct metrics *m, unsigned route, int status, int64_t us);
/* Prometheus text of ctx; `names` are the routes' labels. */
char *metrics_text(void *ctx, struct metrics *m, const char *const *names, unsigned names_n);
