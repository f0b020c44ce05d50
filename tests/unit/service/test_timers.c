#include <criterion/criterion.h>
#include <stdlib.h>
#include <talloc.h>

#include "service/timers.h"

enum { MANY = 2000 };

struct fired {
    struct timers *all;
    struct timer timer;
    int times;
};
static struct fired *log_of[MANY];
static size_t logged;

static void on_fire(void *arg)
{
    struct fired *f = arg;
    f->times++;
    log_of[logged++] = f;
}

Test(timers, fire_in_order_once_each)
{
    struct timers *all = timers_new(NULL, NULL);
    struct fired *f = talloc_zero_array(all, struct fired, MANY);
    srand(7);
    for (int i = 0; i < MANY; i++) {
        f[i].timer = (struct timer){.fire = on_fire, .arg = &f[i]};
        timer_set(all, &f[i].timer, rand() % 500);
    }
    for (int i = 0; i < MANY; i += 3) /* moved, both ways */
        timer_set(all, &f[i].timer, rand() % 500);
    int cleared = 0;
    for (int i = 1; i < MANY; i += 5, cleared++)
        timer_clear(all, &f[i].timer);
    cr_assert_leq(timers_next_ms(all), 5);
    timers_run(all, 250);
    for (size_t i = 0; i < logged; i++)
        cr_assert_leq(log_of[i]->timer.at_ms, 250);
    cr_assert_gt(timers_next_ms(all), 250);
    timers_run(all, 1000);
    cr_assert_eq(logged, (size_t)(MANY - cleared));
    for (size_t i = 1; i < logged; i++)
        cr_assert_leq(log_of[i - 1]->timer.at_ms, log_of[i]->timer.at_ms);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(f[i].times, i % 5 == 1 ? 0 : 1);
        cr_assert_not(timer_is_set(&f[i].timer));
    }
    cr_assert_eq(timers_next_ms(all), INT64_MAX);
    talloc_free(all);
}

static void rearm_now(void *arg)
{
    struct fired *f = arg;
    f->times++;
    timer_set(f->all, &f->timer, 0);
}

Test(timers, a_timer_rearmed_in_the_past_fires_on_the_next_run)
{
    struct timers *all = timers_new(NULL, NULL);
    struct fired f = {.all = all, .timer = {.fire = rearm_now, .arg = &f}};
    timer_set(all, &f.timer, 0);
    timers_run(all, 100);
    cr_assert_eq(f.times, 1);
    cr_assert(timer_is_set(&f.timer));
    timers_run(all, 100);
    cr_assert_eq(f.times, 2);
    talloc_free(all);
}

static void clear_other(void *arg)
{
    struct fired *f = arg;
    f->times++;
    timer_clear(f->all, &f[1].timer);
}

Test(timers, a_timer_can_clear_another_due_timer)
{
    struct timers *all = timers_new(NULL, NULL);
    struct fired *f = talloc_zero_array(all, struct fired, 2);
    f[0] = (struct fired){.all = all, .timer = {.fire = clear_other, .arg = f}};
    f[1].timer = (struct timer){.fire = on_fire, .arg = &f[1]};
    timer_set(all, &f[0].timer, 1);
    timer_set(all, &f[1].timer, 2);
    timers_run(all, 10);
    cr_assert_eq(f[0].times, 1);
    cr_assert_eq(f[1].times, 0);
    talloc_free(all);
}

/* On a real loop: the timerfd is armed, moved and disarmed. */
static void break_loop(void *arg)
{
    event_base_loopbreak(arg);
}

Test(timers, wakes_the_event_loop, .timeout = 10)
{
    struct event_base *base = event_base_new();
    struct timers *all = timers_new(NULL, base);
    struct fired late = {.timer = {.fire = on_fire, .arg = &late}};
    struct timer end = {.fire = break_loop, .arg = base};
    cr_assert_not_null(all);
    timer_set(all, &late.timer, 0);
    timer_clear(all, &late.timer);
    timer_set(all, &end, INT64_MAX / 2);
    timer_set(all, &end, 1); /* long ago, on CLOCK_BOOTTIME */
    event_base_dispatch(base);
    cr_assert_eq(late.times, 0);
    talloc_free(all);
    event_base_free(base);
}
