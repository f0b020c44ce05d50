/* What MariaDB knows of how things go, for GET /metrics: plain reads, a few milliseconds where few runs wait.
 */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

enum { METRICS_RECENT_MS = 60000 };

struct store_metrics {
    int64_t queued, running;  /* now */
    int64_t oldest_queued_ms; /* age; 0 where none waits */
    int64_t
        recent[STATE_STOPPED + 1]; /* runs accepted within the last METRICS_RECENT_MS, by their state now */
    int64_t lost_count;            /* of executors, summed over the runs of the last METRICS_RECENT_MS */
    int64_t executors, executors_lost;
};

enum err store_metrics_read(struct db *db, struct store_metrics *m_r) WARN_UNUSED;
