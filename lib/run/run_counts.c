#include "run/run_counts.h"

#include <talloc.h>

_Static_assert((int)KIND_SKILL < 3 && (int)STATE_STOPPED < 16, "the sizes in lib/base/tally.c are too small");

void run_counts_claim(enum responder_kind kind, int64_t queued_ms)
{
    tally_time(MEASURE_QUEUED, (int)kind, 0, queued_ms);
}

void run_counts_end(enum responder_kind kind, enum run_state state, enum failure_reason reason,
                    int64_t running_ms)
{
    tally_add(MEASURE_ENDS, (int)kind, (int)state, (int)reason, 1, 0);
    if (running_ms >= 0)
        tally_time(MEASURE_RUNNING, (int)kind, 0, running_ms);
}

/* --- adding to MariaDB --- */

struct flush {
    struct db_value *values;
    size_t rows, room;
};

static void take_cell(void *arg, enum tally_measure measure, int kind, int place, int reason,
                      unsigned long long n, unsigned long long sum)
{
    struct flush *f = arg;
    if (f->rows == f->room) {
        f->room += 64;
        f->values = talloc_realloc(NULL, f->values, struct db_value, f->room * RUN_COUNTS_ADD_SET_COUNT);
    }
    struct db_value *v = &f->values[f->rows++ * RUN_COUNTS_ADD_SET_COUNT];
    v[RUN_COUNTS_ADD_SET_MEASURE] = db_number(measure);
    v[RUN_COUNTS_ADD_SET_KIND] = db_number(kind);
    v[RUN_COUNTS_ADD_SET_PLACE] = db_number(place);
    v[RUN_COUNTS_ADD_SET_REASON] = db_number(reason);
    v[RUN_COUNTS_ADD_SET_N] = db_number((int64_t)n);
    v[RUN_COUNTS_ADD_SET_SUM_MS] = db_number((int64_t)sum);
}

static void give_back(const struct flush *f)
{
    for (size_t r = 0; r < f->rows; r++) {
        const struct db_value *v = &f->values[r * RUN_COUNTS_ADD_SET_COUNT];
        tally_add((enum tally_measure)v[RUN_COUNTS_ADD_SET_MEASURE].number,
                  (int)v[RUN_COUNTS_ADD_SET_KIND].number, (int)v[RUN_COUNTS_ADD_SET_PLACE].number,
                  (int)v[RUN_COUNTS_ADD_SET_REASON].number, (uint64_t)v[RUN_COUNTS_ADD_SET_N].number,
                  v[RUN_COUNTS_ADD_SET_SUM_MS].number);
    }
}

void run_counts_flush(struct db *db)
{
    struct flush f = {0};
    tally_take_all(take_cell, &f);
    enum err e = f.rows == 0 ? OK
                             : db_run_each(db, f.values, SQL_RUN_COUNTS_ADD, NULL, 0, f.values,
                                           RUN_COUNTS_ADD_SET_COUNT, f.rows, NULL);
    if (e != OK)
        give_back(&f);
    talloc_free(f.values);
}
