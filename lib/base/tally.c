#include "base/tally.h"

#include <stddef.h>

/* The sizes of a measure, and its first cell. */
struct shape {
    int kinds, places, reasons, first;
};

enum { REASONS = 32, STATES = 16, KINDS = 3, TYPES = 16, OUTCOMES = 3, LEDGER_KINDS = 8 };
enum {
    AT_ENDS = 0,
    AT_QUEUED = AT_ENDS + KINDS * STATES * REASONS,
    AT_RUNNING = AT_QUEUED + KINDS * TALLY_BUCKETS,
    AT_STEP = AT_RUNNING + KINDS * TALLY_BUCKETS,
    AT_WEBHOOK = AT_STEP + TYPES * TALLY_BUCKETS * OUTCOMES,
    AT_MONEY = AT_WEBHOOK + OUTCOMES * TALLY_BUCKETS,
    AT_COMMIT = AT_MONEY + LEDGER_KINDS,
    AT_END = AT_COMMIT + TALLY_PROGRAMS * TALLY_BUCKETS,
};
_Static_assert((int)AT_END <= (int)TALLY_CELLS, "TALLY_CELLS is too small");

static const struct shape shapes[TALLY_MEASURES] = {
    [MEASURE_ENDS] = {KINDS, STATES, REASONS, AT_ENDS},
    [MEASURE_QUEUED] = {KINDS, TALLY_BUCKETS, 1, AT_QUEUED},
    [MEASURE_RUNNING] = {KINDS, TALLY_BUCKETS, 1, AT_RUNNING},
    [MEASURE_STEP] = {TYPES, TALLY_BUCKETS, OUTCOMES, AT_STEP},
    [MEASURE_WEBHOOK] = {OUTCOMES, TALLY_BUCKETS, 1, AT_WEBHOOK},
    [MEASURE_MONEY] = {LEDGER_KINDS, 1, 1, AT_MONEY},
    [MEASURE_COMMIT] = {TALLY_PROGRAMS, TALLY_BUCKETS, 1, AT_COMMIT},
};

static const int64_t bounds_ms[TALLY_BUCKETS - 1] = {2,    5,    10,   25,    50,    100,    250,    500,
                                                     1000, 2500, 5000, 10000, 60000, 600000, 3600000};
static const int64_t bounds_us[TALLY_BUCKETS - 1] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

static struct tally own;
static struct tally *tally = &own;
static enum tally_program this_program = TALLY_OTHER;

const int64_t *tally_bounds(enum tally_measure measure)
{
    return measure == MEASURE_COMMIT ? bounds_us : bounds_ms;
}

int64_t tally_units_per_second(enum tally_measure measure)
{
    return measure == MEASURE_COMMIT ? 1000000 : 1000;
}

void tally_share(struct tally *shared, enum tally_program program)
{
    tally = shared ? shared : &own;
    this_program = program;
}

static struct tally_cell *find_cell(enum tally_measure measure, int kind, int place, int reason)
{
    const struct shape *s = &shapes[measure];
    if (kind < 0 || kind >= s->kinds || place < 0 || place >= s->places || reason < 0 || reason >= s->reasons)
        return NULL;
    return &tally->cells[s->first + (kind * s->places + place) * s->reasons + reason];
}

void tally_add(enum tally_measure measure, int kind, int place, int reason, uint64_t n, int64_t sum)
{
    struct tally_cell *cell = find_cell(measure, kind, place, reason);
    if (!cell || n == 0)
        return;
    atomic_fetch_add_explicit(&cell->sum, (unsigned long long)(sum > 0 ? sum : 0), memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->n, n, memory_order_relaxed);
    atomic_store(&tally->counted, true);
}

void tally_time(enum tally_measure measure, int kind, int reason, int64_t time)
{
    const int64_t *bounds = tally_bounds(measure);
    int bucket = 0;
    while (bucket < TALLY_BUCKETS - 1 && time > bounds[bucket])
        bucket++;
    tally_add(measure, kind, bucket, reason, 1, time);
}

void tally_commit(int64_t us)
{
    tally_time(MEASURE_COMMIT, (int)this_program, 0, us);
}

static void take_measure(enum tally_measure measure, tally_take *take, void *arg)
{
    const struct shape *s = &shapes[measure];
    struct tally_cell *cell = &tally->cells[s->first];
    for (int kind = 0; kind < s->kinds; kind++) {
        for (int place = 0; place < s->places; place++) {
            for (int reason = 0; reason < s->reasons; reason++, cell++) {
                unsigned long long n = atomic_exchange_explicit(&cell->n, 0, memory_order_relaxed);
                if (n > 0)
                    take(arg, measure, kind, place, reason, n,
                         atomic_exchange_explicit(&cell->sum, 0, memory_order_relaxed));
            }
        }
    }
}

void tally_take_all(tally_take *take, void *arg)
{
    if (!atomic_exchange(&tally->counted, false))
        return;
    for (int measure = MEASURE_ENDS; measure < TALLY_MEASURES; measure++)
        take_measure((enum tally_measure)measure, take, arg);
}
