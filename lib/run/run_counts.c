#include "run/run_counts.h"

#include <stdatomic.h>
#include <talloc.h>

enum { KINDS = KIND_SKILL + 1, REASONS = 32 };

const int64_t run_counts_bounds_ms[RUN_COUNTS_BUCKETS - 1] = {
    2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000, 600000, 3600000};

/* One row of run_counts. */
struct count {
    atomic_ullong n, sum_ms;
};

static struct count ends[KINDS][STATE_STOPPED + 1][REASONS];
/* Something was counted since it was added last. */
static atomic_bool counted;
static struct count times[RUN_MEASURES][KINDS][RUN_COUNTS_BUCKETS];

static void add(struct count *c, int64_t ms)
{
    atomic_fetch_add_explicit(&c->n, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->sum_ms, (unsigned long long)(ms > 0 ? ms : 0), memory_order_relaxed);
    atomic_store(&counted, true);
}

static void add_time(enum run_measure measure, enum responder_kind kind, int64_t ms)
{
    int bucket = 0;
    while (bucket < RUN_COUNTS_BUCKETS - 1 && ms > run_counts_bounds_ms[bucket])
        bucket++;
    add(&times[measure][kind][bucket], ms);
}

void run_counts_claim(enum responder_kind kind, int64_t queued_ms)
{
    add_time(MEASURE_QUEUED, kind, queued_ms);
}

void run_counts_end(enum responder_kind kind, enum run_state state, enum failure_reason reason,
                    int64_t running_ms)
{
    add(&ends[kind][state][(int)reason < REASONS ? (int)reason : 0], 0);
    if (running_ms >= 0)
        add_time(MEASURE_RUNNING, kind, running_ms);
}

/* --- adding to MariaDB --- */

struct flush {
    struct db_value *values;
    struct count **counts;
    unsigned long long *n, *sum_ms;
    size_t rows;
};

static void take(struct flush *f, struct count *c, enum run_measure measure, int kind, int place, int reason)
{
    unsigned long long n = atomic_exchange_explicit(&c->n, 0, memory_order_relaxed);
    if (n == 0)
        return;
    size_t r = f->rows++;
    f->counts[r] = c;
    f->n[r] = n;
    f->sum_ms[r] = atomic_exchange_explicit(&c->sum_ms, 0, memory_order_relaxed);
    struct db_value *v = &f->values[r * RUN_COUNTS_ADD_SET_COUNT];
    v[RUN_COUNTS_ADD_SET_MEASURE] = db_number(measure);
    v[RUN_COUNTS_ADD_SET_KIND] = db_number(kind);
    v[RUN_COUNTS_ADD_SET_PLACE] = db_number(place);
    v[RUN_COUNTS_ADD_SET_REASON] = db_number(reason);
    v[RUN_COUNTS_ADD_SET_N] = db_number((int64_t)n);
    v[RUN_COUNTS_ADD_SET_SUM_MS] = db_number((int64_t)f->sum_ms[r]);
}

static void take_all(struct flush *f)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int state = 0; state <= STATE_STOPPED; state++) {
            for (int reason = 0; reason < REASONS; reason++)
                take(f, &ends[kind][state][reason], MEASURE_ENDS, kind, state, reason);
        }
        for (int measure = MEASURE_QUEUED; measure < RUN_MEASURES; measure++) {
            for (int bucket = 0; bucket < RUN_COUNTS_BUCKETS; bucket++)
                take(f, &times[measure][kind][bucket], (enum run_measure)measure, kind, bucket, 0);
        }
    }
}

void run_counts_flush(struct db *db)
{
    enum { MOST = KINDS * ((STATE_STOPPED + 1) * REASONS + RUN_MEASURES * RUN_COUNTS_BUCKETS) };
    if (!atomic_exchange(&counted, false))
        return;
    void *scratch = talloc_new(NULL);
    struct flush f = {.values = talloc_array(scratch, struct db_value, MOST * RUN_COUNTS_ADD_SET_COUNT),
                      .counts = talloc_array(scratch, struct count *, MOST),
                      .n = talloc_array(scratch, unsigned long long, MOST),
                      .sum_ms = talloc_array(scratch, unsigned long long, MOST)};
    take_all(&f);
    enum err e = f.rows == 0 ? OK
                             : db_run_each(db, scratch, SQL_RUN_COUNTS_ADD, NULL, 0, f.values,
                                           RUN_COUNTS_ADD_SET_COUNT, f.rows, NULL);
    if (e != OK)
        atomic_store(&counted, true);
    for (size_t r = 0; e != OK && r < f.rows; r++) {
        atomic_fetch_add_explicit(&f.counts[r]->n, f.n[r], memory_order_relaxed);
        atomic_fetch_add_explicit(&f.counts[r]->sum_ms, f.sum_ms[r], memory_order_relaxed);
    }
    talloc_free(scratch);
}
