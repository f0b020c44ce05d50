/* Counts for GET /metrics, read from MariaDB without locks. Unless a comment says otherwise, they take a few
 * milliseconds, however many runs are queued. */
#pragma once

#include "mariadb/db.h"
#include "run/bulk_item.h"
#include "run/occurrence.h"
#include "run/states.h"

enum {
    METRICS_RECENT_MS = 60000,
    /* queued runs whose age is read: those accepted first. More than the runs that the executors of an
     * installation return to the queue when they stop. */
    METRICS_QUEUE_READ_MAX = 4096,
};

/* At present. Counted by scans of an index, which take seconds for millions. */
struct store_load {
    /* `running` includes `parked`. */
    int64_t queued, running, parked;
    /* Runs that wait for their start. */
    int64_t delayed;
    /* Of the parked ones, those that wait for a signal. */
    int64_t signal_waits;
};
enum err store_metrics_load(struct db *db, struct store_load *load_r) WARN_UNUSED;
/* Whether more runs than `most` are queued, or wait. Takes no longer for more. */
enum err store_metrics_are_many(struct db *db, int64_t most, bool *many_r) WARN_UNUSED;

struct store_metrics {
    /* How long the parked run that is due for the longest time has been due; 0: none is. */
    int64_t wake_lag_ms;
    /* How long a queued run has been claimable, at most: since its acceptance, or since an executor returned
     * it to the queue. 0: none is queued. */
    int64_t oldest_queued_ms;
    /* Runs accepted within the last METRICS_RECENT_MS, by their present state. */
    int64_t recent[STATE_STOPPED + 1];
    /* How often executors were lost, summed over the runs of the last METRICS_RECENT_MS. */
    int64_t lost_count;
    int64_t executors, executors_lost;
    /* Of the living executors, at their last heartbeats. */
    int64_t http_in_flight, http_waiting, http_max, commands;
    /* Schedules that are due, and how long the first of them has been. */
    int64_t schedules_due, schedule_lag_ms;
    /* Occurrences decided within the last METRICS_RECENT_MS, by their state. */
    int64_t occurrences[OCCURRENCE_REFUSED + 1];
    /* Of webhooks: messages without deliveries, and messages that were set aside (at most 10,000 of each
     * are counted), pending deliveries, endpoints and hosts that fail, endpoints that Millrace has disabled.
     */
    int64_t webhook_messages, webhook_set_aside, webhook_pending, webhook_failing, webhook_disabled;
    /* How long the oldest message, or an endpoint that does not fail, has waited; 0: none waits. */
    int64_t webhook_lag_ms;
    /* Bulk jobs that have not ended, by state, and their items that are not decided yet. */
    int64_t bulk_jobs[BULK_PAUSED + 1], bulk_items_pending;
};

/* Of the database server, at present. */
struct store_server {
    int64_t connections_max, connections;
    /* Transactions that wait for a lock of a row. */
    int64_t lock_waits;
    /* Its clock. */
    int64_t now_ms;
};
enum err store_metrics_server(struct db *db, struct store_server *s_r) WARN_UNUSED;

/* A row of run_counts, see run/run_counts.h. */
struct store_run_count {
    int measure, kind, place, reason;
    /* sum_ms: in the unit of the measure */
    int64_t n, sum_ms;
};
/* By measure, kind, place and reason. Rows of unknown measures are left out. */
enum err store_metrics_counts(struct db *db, void *ctx, struct store_run_count **list_r,
                              size_t *n_r) WARN_UNUSED;

enum err store_metrics_read(struct db *db, struct store_metrics *m_r) WARN_UNUSED;
