#include "store/metrics.h"

#include <talloc.h>

#include "base/clock.h"
#include "run/run_counts.h"

static enum err count_runs(struct db *db, void *scratch, struct store_load *l)
{
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_RUNS, NULL, 0, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        bool running = db_int(rows, r, METRICS_RUNS_STATE) == STATE_RUNNING;
        *(running ? &l->running : &l->queued) = db_int(rows, r, METRICS_RUNS_N);
    }
    return e;
}

static enum err count_waits(struct db *db, void *scratch, struct store_load *l)
{
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_WAITS, NULL, 0, &rows);
    if (e != OK || rows->count != 1)
        return e;
    l->delayed = db_int(rows, 0, METRICS_WAITS_DELAYED_N);
    l->signal_waits = db_int(rows, 0, METRICS_WAITS_SIGNALS_N);
    l->parked = db_int(rows, 0, METRICS_WAITS_N) - l->delayed;
    l->running += l->parked;
    return OK;
}

enum err store_metrics_load(struct db *db, struct store_load *load_r)
{
    void *scratch = talloc_new(NULL);
    *load_r = (struct store_load){0};
    enum err e = count_runs(db, scratch, load_r);
    if (e == OK)
        e = count_waits(db, scratch, load_r);
    talloc_free(scratch);
    return e;
}

enum err store_metrics_are_many(struct db *db, int64_t most, bool *many_r)
{
    struct db_value limits[] = {db_number(most + 1), db_number(most + 1)};
    struct db_rows *rows;
    void *scratch = talloc_new(NULL);
    enum err e = db_run(db, scratch, SQL_METRICS_MANY, limits, 2, &rows);
    *many_r = e == OK && rows->count == 1 &&
              (db_int(rows, 0, METRICS_MANY_QUEUED_N) > most || db_int(rows, 0, METRICS_MANY_WAITS_N) > most);
    talloc_free(scratch);
    return e;
}

static enum err read_queue(struct db *db, void *scratch, struct store_metrics *m)
{
    struct db_value most = db_number(METRICS_QUEUE_READ_MAX);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_QUEUE, &most, 1, &rows);
    if (e == OK && rows->count == 1 && db_int(rows, 0, METRICS_QUEUE_CLAIMABLE_MS) > 0) {
        int64_t age_ms = clock_wall_ms() - db_int(rows, 0, METRICS_QUEUE_CLAIMABLE_MS);
        m->oldest_queued_ms = age_ms > 0 ? age_ms : 0;
    }
    return e;
}

static enum err read_wakes(struct db *db, void *scratch, struct store_metrics *m)
{
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_WAKES, NULL, 0, &rows);
    if (e != OK || rows->count != 1)
        return e;
    int64_t lag_ms = db_int(rows, 0, METRICS_WAKES_LAG_MS);
    m->wake_lag_ms = lag_ms > 0 ? lag_ms : 0;
    return OK;
}

static enum err read_recent(struct db *db, void *scratch, struct store_metrics *m)
{
    id since = id_floor(clock_wall_ms() - METRICS_RECENT_MS);
    struct db_value value = db_id(&since);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_RECENT, &value, 1, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        int64_t state = db_int(rows, r, METRICS_RECENT_STATE);
        if (state >= 0 && state <= STATE_STOPPED)
            m->recent[state] = db_int(rows, r, METRICS_RECENT_N);
        m->lost_count += db_int(rows, r, METRICS_RECENT_LOST_COUNT);
    }
    return e;
}

static enum err read_executors(struct db *db, void *scratch, struct store_metrics *m)
{
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_EXECUTORS, NULL, 0, &rows);
    if (e == OK && rows->count == 1) {
        m->executors = db_int(rows, 0, METRICS_EXECUTORS_ALIVE);
        m->executors_lost = db_int(rows, 0, METRICS_EXECUTORS_LOST);
        m->http_in_flight = db_int(rows, 0, METRICS_EXECUTORS_HTTP_IN_FLIGHT);
        m->http_waiting = db_int(rows, 0, METRICS_EXECUTORS_HTTP_WAITING);
        m->http_max = db_int(rows, 0, METRICS_EXECUTORS_HTTP_MAX);
        m->commands = db_int(rows, 0, METRICS_EXECUTORS_COMMANDS);
    }
    return e;
}

static enum err read_schedules(struct db *db, void *scratch, struct store_metrics *m)
{
    int64_t since_ms = clock_wall_ms() - METRICS_RECENT_MS;
    id since = id_floor(since_ms);
    struct db_value args[] = {db_id(&since), db_number(since_ms)};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_SCHEDULES, NULL, 0, &rows);
    if (e == OK && rows->count == 1) {
        m->schedules_due = db_int(rows, 0, METRICS_SCHEDULES_DUE_N);
        m->schedule_lag_ms = db_int(rows, 0, METRICS_SCHEDULES_LAG_MS);
    }
    if (e == OK)
        e = db_run(db, scratch, SQL_METRICS_OCCURRENCES, args, 2, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        int64_t state = db_int(rows, r, METRICS_OCCURRENCES_STATE);
        if (state >= 0 && state <= OCCURRENCE_REFUSED)
            m->occurrences[state] += db_int(rows, r, METRICS_OCCURRENCES_N);
    }
    return e;
}

static enum err read_webhooks(struct db *db, void *scratch, struct store_metrics *m)
{
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_WEBHOOKS, NULL, 0, &rows);
    if (e != OK || rows->count != 1)
        return e;
    int64_t now_ms = clock_wall_ms();
    int64_t since[] = {db_int(rows, 0, METRICS_WEBHOOKS_FIRST_MESSAGE_MS),
                       db_int(rows, 0, METRICS_WEBHOOKS_FIRST_DUE_MS)};
    m->webhook_messages = db_int(rows, 0, METRICS_WEBHOOKS_MESSAGES);
    m->webhook_set_aside = db_int(rows, 0, METRICS_WEBHOOKS_SET_ASIDE);
    m->webhook_pending = db_int(rows, 0, METRICS_WEBHOOKS_PENDING);
    m->webhook_failing = db_int(rows, 0, METRICS_WEBHOOKS_FAILING);
    m->webhook_disabled = db_int(rows, 0, METRICS_WEBHOOKS_DISABLED);
    for (int i = 0; i < 2; i++) {
        if (since[i] > 0 && now_ms - since[i] > m->webhook_lag_ms)
            m->webhook_lag_ms = now_ms - since[i];
    }
    return OK;
}

static enum err read_bulk_jobs(struct db *db, void *scratch, struct store_metrics *m)
{
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_METRICS_BULK, NULL, 0, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        int64_t state = db_int(rows, r, METRICS_BULK_STATE);
        if (state >= 0 && state <= BULK_PAUSED)
            m->bulk_jobs[state] = db_int(rows, r, METRICS_BULK_N);
        m->bulk_items_pending += db_int(rows, r, METRICS_BULK_PENDING);
    }
    return e;
}

enum err store_metrics_read(struct db *db, struct store_metrics *m_r)
{
    void *scratch = talloc_new(NULL);
    *m_r = (struct store_metrics){0};
    enum err e = read_queue(db, scratch, m_r);
    if (e == OK)
        e = read_wakes(db, scratch, m_r);
    if (e == OK)
        e = read_recent(db, scratch, m_r);
    if (e == OK)
        e = read_executors(db, scratch, m_r);
    if (e == OK)
        e = read_schedules(db, scratch, m_r);
    if (e == OK)
        e = read_webhooks(db, scratch, m_r);
    if (e == OK)
        e = read_bulk_jobs(db, scratch, m_r);
    talloc_free(scratch);
    return e;
}

enum err store_metrics_counts(struct db *db, void *ctx, struct store_run_count **list_r, size_t *n_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_METRICS_COUNTS, NULL, 0, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct store_run_count, rows->count + 1);
    *n_r = 0;
    for (size_t r = 0; r < rows->count; r++) {
        struct store_run_count c = {.measure = (int)db_int(rows, r, METRICS_COUNTS_MEASURE),
                                    .kind = (int)db_int(rows, r, METRICS_COUNTS_KIND),
                                    .place = (int)db_int(rows, r, METRICS_COUNTS_PLACE),
                                    .reason = (int)db_int(rows, r, METRICS_COUNTS_REASON),
                                    .n = db_int(rows, r, METRICS_COUNTS_N),
                                    .sum_ms = db_int(rows, r, METRICS_COUNTS_SUM_MS)};
        if (c.measure >= MEASURE_ENDS && c.measure < TALLY_MEASURES && c.place >= 0 &&
            c.place < TALLY_BUCKETS)
            (*list_r)[(*n_r)++] = c;
    }
    return OK;
}

enum err store_metrics_server(struct db *db, struct store_server *s_r)
{
    struct db_rows *rows;
    void *scratch = talloc_new(NULL);
    enum err e = db_run(db, scratch, SQL_METRICS_DATABASE, NULL, 0, &rows);
    if (e == OK && rows->count != 1)
        e = ERR_INTERNAL;
    if (e == OK)
        *s_r = (struct store_server){.connections_max = db_int(rows, 0, METRICS_DATABASE_MOST),
                                     .connections = db_int(rows, 0, METRICS_DATABASE_CONNECTED),
                                     .lock_waits = db_int(rows, 0, METRICS_DATABASE_LOCK_WAITS),
                                     .now_ms = db_int(rows, 0, METRICS_DATABASE_NOW_MS)};
    talloc_free(scratch);
    return e;
}
