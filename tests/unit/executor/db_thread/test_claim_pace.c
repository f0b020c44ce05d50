#include <criterion/criterion.h>

#include "executor/db_thread/claim_pace.h"

/* Of a model: each run that is claimed costs the machine time that accepting needs. */
enum { LATENCY_MAX_MS = 50, AGE_MAX_S = 10, START = 1000000 };

struct model {
    struct claim_pace pace;
    int64_t now_ms;
    int allowed;
    /* Runs that come and runs that an executor can claim, in one tick; those that wait. */
    int64_t come, can, waiting;
    int64_t claimed, age_ms;
};

static struct model model_new(int64_t come, int64_t can)
{
    struct model m = {.now_ms = START, .allowed = -1, .come = come, .can = can};
    claim_pace_init(&m.pace, LATENCY_MAX_MS, AGE_MAX_S);
    return m;
}

/* One tick with a report (0: none) every fifth time. Returns what was claimed. */
static int64_t tick(struct model *m, int64_t latency_ms)
{
    m->waiting += m->come;
    int64_t n = m->allowed < 0 || m->allowed > m->can ? m->can : m->allowed;
    n = n > m->waiting ? m->waiting : n;
    m->waiting -= n;
    m->claimed += n;
    m->age_ms = m->come ? m->waiting / m->come * CLAIM_PACE_TICK_MS : 0;
    m->now_ms += CLAIM_PACE_TICK_MS;
    if (latency_ms > 0 && m->now_ms / CLAIM_PACE_TICK_MS % 5 == 0)
        claim_pace_report(&m->pace, latency_ms * 1000, m->now_ms);
    m->allowed = claim_pace_allow(&m->pace, n, n > 0 ? m->age_ms : 0, m->now_ms);
    return n;
}

static int64_t ticks(struct model *m, int n, int64_t latency_ms)
{
    int64_t claimed = 0;
    for (int i = 0; i < n; i++)
        claimed += tick(m, latency_ms);
    return claimed;
}

Test(claim_pace, does_not_limit_without_reports_or_below_the_setting)
{
    struct model m = model_new(50, 60);
    cr_assert_eq(ticks(&m, 100, 0), 5000);
    cr_assert_eq(ticks(&m, 100, LATENCY_MAX_MS), 5000);
    cr_assert(!m.pace.limited && m.allowed == -1);
}

Test(claim_pace, claims_less_while_accepting_is_slow_and_then_more_again)
{
    struct model m = model_new(50, 100);
    ticks(&m, 20, 10);
    int64_t first = ticks(&m, 20, 80), second = ticks(&m, 20, 80);
    cr_assert_lt(first, 20 * 50);
    cr_assert_lt(second, first);
    cr_assert(m.pace.limited);
    int64_t waiting = m.waiting;
    ticks(&m, 200, 10);
    cr_assert_lt(m.waiting, waiting, "the backlog drains");
    cr_assert_eq(m.waiting, 0);
    cr_assert(!m.pace.limited);
}

Test(claim_pace, claims_the_least_rate_whatever_is_reported)
{
    struct model m = model_new(5, 100);
    m.pace.age_max_ms = INT64_MAX; /* never reached */
    ticks(&m, 200, 1000000);
    cr_assert_eq(ticks(&m, 1000 / CLAIM_PACE_TICK_MS * 10, 1000000), 10 * CLAIM_PACE_LEAST);
}

/* Transactions that last for ten ticks claim what was allowed at their beginning, and are counted at their
 * end. */
Test(claim_pace, claims_the_least_rate_however_long_a_transaction_takes)
{
    struct model m = model_new(0, 0);
    m.pace.age_max_ms = INT64_MAX;
    ticks(&m, 40, 1000000);
    cr_assert(m.pace.limited);
    int64_t claimed = 0, in_flight = 0;
    for (int i = 0; i < 2000 / CLAIM_PACE_TICK_MS * 10; i++) {
        int64_t ended = i % 10 == 0 ? in_flight : 0;
        m.now_ms += CLAIM_PACE_TICK_MS;
        claim_pace_report(&m.pace, 1000000000, m.now_ms);
        m.allowed = claim_pace_allow(&m.pace, ended, 0, m.now_ms);
        claimed += ended;
        if (i % 10 == 0)
            in_flight = m.allowed;
    }
    cr_assert_geq(claimed, 18 * CLAIM_PACE_LEAST, "%lld in 20 s", (long long)claimed);
    cr_assert_leq(claimed, 22 * CLAIM_PACE_LEAST, "%lld in 20 s", (long long)claimed);
}

Test(claim_pace, does_not_make_the_queue_older_than_its_setting)
{
    struct model m = model_new(50, 100);
    int64_t oldest_ms = 0, limited = 0;
    for (int i = 0; i < 2000; i++) {
        tick(&m, 500);
        oldest_ms = m.age_ms > oldest_ms ? m.age_ms : oldest_ms;
        limited += m.pace.limited;
    }
    cr_assert_gt(oldest_ms, AGE_MAX_S * 1000 / 4, "it was limited");
    cr_assert_lt(oldest_ms, AGE_MAX_S * 1000);
    cr_assert_gt(limited, 100, "again and again");
    cr_assert_geq(m.claimed, (2000 - AGE_MAX_S * 1000 / CLAIM_PACE_TICK_MS) * 50,
                  "all but what is in the queue");
}

Test(claim_pace, forgets_a_report_after_its_time)
{
    struct model m = model_new(50, 100);
    ticks(&m, 40, 500);
    cr_assert(m.pace.limited && claim_pace_is_active(&m.pace, m.now_ms));
    ticks(&m, CLAIM_PACE_REPORT_MS / CLAIM_PACE_TICK_MS + 2, 0);
    cr_assert(!m.pace.limited && m.allowed == -1);
    cr_assert_not(claim_pace_is_active(&m.pace, m.now_ms));
}

/* Nobody asks while no report comes, so the first count is of all that time. */
Test(claim_pace, does_not_count_what_was_claimed_before_the_reports_began)
{
    struct model m = model_new(50, 100);
    claim_pace_report(&m.pace, 500000, m.now_ms);
    claim_pace_allow(&m.pace, 1000000, 60000, m.now_ms);
    cr_assert_eq(claim_pace_queue_age(&m.pace), 0);
    ticks(&m, 10, 500);
    cr_assert(m.pace.limited);
    cr_assert_lt(m.pace.rate, 1000);
}

Test(claim_pace, follows_the_slowest_of_several_hosts)
{
    struct model m = model_new(50, 100);
    for (int i = 0; i < 40; i++) {
        claim_pace_report(&m.pace, 90000, m.now_ms);
        claim_pace_report(&m.pace, 1000, m.now_ms);
        tick(&m, 0);
    }
    cr_assert(m.pace.limited);
    cr_assert_gt(m.waiting, 0);
}

Test(claim_pace, is_off_with_a_latency_of_zero)
{
    struct model m = model_new(50, 100);
    claim_pace_init(&m.pace, 0, AGE_MAX_S);
    cr_assert_eq(ticks(&m, 100, 5000), 5000);
    cr_assert_not(claim_pace_is_active(&m.pace, m.now_ms));
}
