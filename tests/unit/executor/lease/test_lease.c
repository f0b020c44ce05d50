#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "executor/db_thread/commit.h"
#include "executor/lease/lease.h"
#include "service/id_map.h"

enum { MANY = 3000 };

Test(executor_id_map, holds_entries_until_removed)
{
    void *ctx = talloc_new(NULL);
    struct id_map *t = id_map_new(ctx);
    id *ids = talloc_array(ctx, id, MANY);
    cr_assert_geq(sodium_init(), 0);
    for (int round = 0; round < 3; round++) { /* again and again: what was removed must not fill it up */
        for (int i = 0; i < MANY; i++) {
            ids[i] = id_new();
            id_map_put(t, &ids[i], &ids[i]);
        }
        id_map_put(t, &ids[0], &ids[1]);
        cr_assert_eq(id_map_get(t, &ids[0]), &ids[1], "replaced");
        cr_assert_eq(id_map_count(t), (size_t)MANY);
        for (int i = 0; i < MANY; i += 2)
            id_map_remove(t, &ids[i]);
        id_map_remove(t, &ids[0]);
        cr_assert_eq(id_map_count(t), (size_t)MANY / 2);
        size_t place = 0;
        size_t seen = 0;
        for (id *one; (one = id_map_next(t, &place)); seen++)
            cr_assert_eq((one - ids) % 2, 1);
        cr_assert_eq(seen, (size_t)MANY / 2);
        for (int i = 0; i < MANY; i++)
            cr_assert_eq(id_map_get(t, &ids[i]), i % 2 ? &ids[i] : NULL);
        for (int i = 1; i < MANY; i += 2)
            id_map_remove(t, &ids[i]);
        cr_assert_eq(id_map_count(t), 0);
    }
    talloc_free(ctx);
}

/* The rule of liveness.h: 12 s of one's own clock, over at least three looks. */
Test(executor_lease, detects_expired_leases)
{
    static const struct {
        struct {
            int64_t heartbeat, now_ms;
            bool lost;
        } looks[6];
        const char *what;
    } cases[] = {
        {{{1, 0, false}, {1, 3000, false}, {1, 6000, false}, {1, 9000, false}, {1, 12000, true}},
         "a dead one"},
        {{{1, 0, false},
          {2, 3000, false},
          {3, 6000, false},
          {4, 9000, false},
          {5, 12000, false},
          {6, 15000, false}},
         "a living one"},
        {{{1, 0, false}, {1, 60000, false}, {1, 60100, false}, {1, 60200, true}},
         "seen by one that slept itself: three looks are needed"},
        {{{1, 0, false},
          {1, 60000, false},
          {2, 60100, false},
          {2, 60200, false},
          {2, 60300, false},
          {2, 72101, true}},
         "it moved after all, and the count begins anew"},
        {{{1, 0, false}, {1, 4000, false}, {1, 8000, false}, {1, 11999, false}, {1, 12000, true}},
         "to the millisecond"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct peer_heartbeat p = {.executor = 1, .heartbeat = 0};
        for (size_t i = 0; i < 6 && cases[c].looks[i].heartbeat; i++)
            cr_expect_eq(peer_is_lost(&p, cases[c].looks[i].heartbeat, cases[c].looks[i].now_ms),
                         cases[c].looks[i].lost, "%s, look %zu", cases[c].what, i);
    }
}

Test(executor_commit, keeps_one_row_a_step_and_all_events)
{
    id run = {"00000000-0000-7000-8000-000000000001"};
    struct commit *c = commit_new(&run, &run, 3);
    char text[16];
    cr_assert(commit_is_empty(c));
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "[%d]", i);
        commit_put_step(c, &(struct run_step){.step = i % 2, .item = i % 5 - 1, .tries = i, .result = text});
        commit_add_event(c, EVENT_STEP_SUCCEEDED, i, text);
    }
    cr_assert_eq(c->steps_n, 10U);
    cr_assert_eq(c->events_n, 40U);
    for (size_t i = 0; i < c->steps_n; i++) { /* the last of each: 30 to 39 */
        cr_assert_geq(c->steps[i].tries, 30);
        snprintf(text, sizeof text, "[%d]", c->steps[i].tries);
        cr_assert_str_eq(c->steps[i].result, text);
    }
    cr_assert_not(c->side_effects_started);
    commit_add_event(c, EVENT_STEP_STARTED, 1, NULL);
    cr_assert(c->side_effects_started, "a step was started: no refund any more");
    snprintf(text, sizeof text, "why");
    commit_set_move(c, &(struct run_move){.move = MOVE_FAIL, .error = text});
    text[0] = 'x';
    cr_assert_str_eq(c->move.error, "why");
    cr_assert_not(commit_is_empty(c));
    talloc_free(c);
}
