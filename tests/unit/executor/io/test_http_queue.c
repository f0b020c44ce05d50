#include <criterion/criterion.h>
#include <stdio.h>
#include <talloc.h>

#include "executor/io/http_queue.h"

static int started_by[8];
static int freed;
static void *places;

static void on_start(void *arg)
{
    started_by[*(int *)arg]++;
}

static void on_free(void *arg)
{
    freed++;
}

static id workspace(int n)
{
    id w;
    snprintf(w.text, sizeof w.text, "00000000-0000-7000-8000-%012d", n);
    return w;
}

static int numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};

static struct http_place *enter(struct http_queue *q, int w, const char *host)
{
    id who = workspace(w);
    struct http_place *p = http_place_new(places, q, &who, host, on_start, &numbers[w]);
    http_queue_serve(q);
    return p;
}

static struct http_queue *queue_of(size_t total, size_t per_host, size_t least)
{
    places = talloc_new(NULL);
    return http_queue_new(
        NULL, &(struct http_queue_limits){.total = total, .per_host = per_host, .workspace_min = least},
        on_free, NULL);
}

Test(http_queue, leaves_the_last_quarter_to_workspaces_below_their_minimum)
{
    struct http_queue *q = queue_of(16, 16, 2);
    for (int i = 0; i < 20; i++)
        enter(q, 1, "a:80");
    cr_assert_eq(started_by[1], 12, "a burst ends at three quarters");
    cr_assert_eq(http_queue_waiting(q), 8U);
    enter(q, 2, "b:80");
    enter(q, 2, "b:80");
    enter(q, 2, "b:80");
    cr_assert_eq(started_by[2], 2, "the minimum");
    enter(q, 3, "c:80");
    enter(q, 3, "c:80");
    enter(q, 4, "d:80");
    cr_assert_eq(started_by[3], 2);
    cr_assert_eq(started_by[4], 0, "no place is left");
    cr_assert_eq(http_queue_granted(q), 16U);
    talloc_free(places);
    talloc_free(q);
}

Test(http_queue, serves_workspaces_in_turn)
{
    struct http_queue *q = queue_of(4, 4, 0);
    struct http_place *held[3];
    for (int i = 0; i < 3; i++)
        held[i] = enter(q, 0, "a:80");
    for (int i = 0; i < 30; i++)
        enter(q, 1, "a:80");
    for (int i = 0; i < 3; i++)
        enter(q, 2, i % 2 ? "a:80" : "b:80");
    cr_assert_eq(started_by[1] + started_by[2], 0);
    for (int i = 0; i < 3; i++)
        talloc_free(held[i]);
    cr_assert_eq(freed, 3, "others wait");
    http_queue_serve(q);
    cr_assert_eq(started_by[1], 2);
    cr_assert_eq(started_by[2], 1);
    talloc_free(places);
    talloc_free(q);
}

Test(http_queue, bounds_the_requests_to_one_host)
{
    struct http_queue *q = queue_of(100, 3, 1);
    for (int i = 0; i < 10; i++)
        enter(q, 1, "tarpit:80");
    enter(q, 1, "other:80");
    enter(q, 2, "other:80");
    cr_assert_eq(started_by[1], 4);
    cr_assert_eq(started_by[2], 1);
    cr_assert_eq(http_queue_waiting(q), 7U);
    talloc_free(places);
    talloc_free(q);
}

Test(http_queue, forgets_who_left)
{
    struct http_queue *q = queue_of(1, 1, 1);
    size_t before = talloc_total_blocks(q);
    struct http_place *first = enter(q, 1, "a:80");
    struct http_place *waits = enter(q, 2, "b:80");
    talloc_free(waits);
    talloc_free(first);
    cr_assert_eq(http_queue_waiting(q) + http_queue_granted(q), 0U);
    cr_assert_eq(talloc_total_blocks(q), before);
    talloc_free(places);
    talloc_free(q);
}

/* Workspace 1 may have three requests in flight, others as many as the shares allow. */
static size_t most_of(void *arg, const id *who)
{
    const id *limited = arg;
    return id_equal(limited, who) ? 3 : SIZE_MAX;
}

Test(http_queue, gives_a_workspace_no_more_than_its_own_limit)
{
    id limited = workspace(1);
    places = talloc_new(NULL);
    struct http_queue *q = http_queue_new(
        NULL,
        &(struct http_queue_limits){
            .total = 16, .per_host = 16, .workspace_min = 8, .workspace_max = {most_of, &limited}},
        on_free, NULL);
    for (int i = 0; i < 6; i++)
        enter(q, 1, "a:80");
    for (int i = 0; i < 6; i++)
        enter(q, 2, "a:80");
    cr_assert_eq(started_by[1], 3);
    cr_assert_eq(started_by[2], 6);
    talloc_free(places);
    talloc_free(q);
}

/* Workspace 1 has a minimum of three. */
static size_t minimum_of(void *arg, const id *who)
{
    const id *raised = arg;
    return id_equal(raised, who) ? 3 : 0;
}

Test(http_queue, a_raised_minimum_gives_the_last_quarter)
{
    id raised = workspace(1);
    places = talloc_new(NULL);
    struct http_queue *q = http_queue_new(
        NULL,
        &(struct http_queue_limits){
            .total = 16, .per_host = 16, .workspace_min = 1, .workspace_guaranteed = {minimum_of, &raised}},
        on_free, NULL);
    for (int i = 0; i < 16; i++)
        enter(q, 3, "a:80");
    for (int i = 0; i < 6; i++)
        enter(q, 1, "a:80");
    for (int i = 0; i < 6; i++)
        enter(q, 2, "a:80");
    cr_assert_eq(started_by[3], 12);
    cr_assert_eq(started_by[1], 3);
    cr_assert_eq(started_by[2], 1);
    talloc_free(places);
    talloc_free(q);
}
