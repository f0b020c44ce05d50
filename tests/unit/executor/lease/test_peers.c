#include <criterion/criterion.h>
#include <string.h>

#include "executor/lease/peers.h"

/* 12 s of the observer's clock, over at least three observations. */
Test(peers, are_lost_after_12_s_and_three_observations)
{
    static const struct {
        struct {
            int64_t heartbeat, now_ms;
            bool lost;
        } observations[6];
        const char *what;
    } cases[] = {
        {{{1, 0, false}, {1, 3000, false}, {1, 6000, false}, {1, 9000, false}, {1, 12000, true}},
         "a dead process"},
        {{{1, 0, false},
          {2, 3000, false},
          {3, 6000, false},
          {4, 9000, false},
          {5, 12000, false},
          {6, 15000, false}},
         "a living process"},
        {{{1, 0, false}, {1, 60000, false}, {1, 60100, false}, {1, 60200, true}},
         "the observer slept: three observations are needed"},
        {{{1, 0, false},
          {1, 60000, false},
          {2, 60100, false},
          {2, 60200, false},
          {2, 60300, false},
          {2, 72101, true}},
         "the counter changes, and the count restarts"},
        {{{1, 0, false}, {1, 4000, false}, {1, 8000, false}, {1, 11999, false}, {1, 12000, true}},
         "exactly 12 s"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct peer_heartbeat p = {.executor = 1, .heartbeat = 0};
        for (size_t i = 0; i < 6 && cases[c].observations[i].heartbeat; i++)
            cr_expect_eq(peer_is_lost(&p,
                                      &(struct executor_peer){.executor = 1,
                                                              .beat = cases[c].observations[i].heartbeat,
                                                              .lease_ms = 10000},
                                      cases[c].observations[i].now_ms),
                         cases[c].observations[i].lost, "%s, observation %zu", cases[c].what, i);
    }
}

Test(peers, are_lost_by_the_lease_that_their_row_names)
{
    struct peer_heartbeat p = {.executor = 1, .heartbeat = 0};
    const struct executor_peer row = {.executor = 1, .beat = 1, .lease_ms = 20000};
    for (int64_t now_ms = 0; now_ms < 22000; now_ms += 3000)
        cr_expect_not(peer_is_lost(&p, &row, now_ms), "at %lld", (long long)now_ms);
    cr_expect_not(peer_is_lost(&p, &row, 21999));
    cr_expect(peer_is_lost(&p, &row, 22000));
}

struct lost_list {
    uint64_t executors[4];
    size_t n;
};

static void add_lost(void *arg, const struct executor_peer *row)
{
    struct lost_list *lost = arg;
    lost->executors[lost->n++] = row->executor;
}

Test(peers, observes_all_but_itself)
{
    static struct peer_heartbeat peers[PEERS_MAX];
    struct executor_peer rows[] = {{.executor = 1, .beat = 5, .lease_ms = 10000},
                                   {.executor = 2, .beat = 5, .lease_ms = 10000},
                                   {.executor = 3, .beat = 5, .lease_ms = 10000}};
    struct lost_list lost = {0};
    for (int64_t now_ms = 0; now_ms <= 12000; now_ms += 3000) {
        rows[2].beat++;
        cr_expect_eq(lost.n, 0U);
        peers_observe(peers, rows, 3, 1, now_ms, add_lost, &lost);
    }
    cr_assert_eq(lost.n, 1U, "1 is the observer, 3 lives");
    cr_expect_eq(lost.executors[0], 2U);
}

Test(peers, forgets_processes_without_a_row)
{
    static struct peer_heartbeat peers[PEERS_MAX];
    struct lost_list lost = {0};
    const struct executor_peer row = {.executor = 2, .beat = 5, .lease_ms = 10000};
    for (int i = 0; i < 5; i++)
        peers_observe(peers, &row, 1, 1, 3000 * i, add_lost, &lost);
    cr_assert_eq(lost.n, 1U);
    peers_observe(peers, NULL, 0, 1, 15000, add_lost, &lost);
    for (size_t i = 0; i < PEERS_MAX; i++)
        cr_expect_eq(peers[i].executor, 0U);
    peers_observe(peers, &row, 1, 1, 18000, add_lost, &lost);
    cr_expect_eq(lost.n, 1U, "it is observed from the beginning");
}

Test(peers, watches_no_more_than_it_has_entries_for)
{
    static struct peer_heartbeat peers[PEERS_MAX];
    static struct executor_peer rows[PEERS_MAX + 1];
    struct lost_list lost = {0};
    for (size_t i = 0; i <= PEERS_MAX; i++)
        rows[i] = (struct executor_peer){.executor = i + 1, .beat = 1, .lease_ms = 10000};
    for (int64_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < PEERS_MAX; k++)
            rows[k].beat++;
        peers_observe(peers, rows, PEERS_MAX + 1, 1, 3000 * i, add_lost, &lost);
    }
    cr_expect_eq(lost.n, 0U, "the last one stands still, and is not watched");
}
