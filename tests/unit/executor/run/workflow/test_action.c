#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/run/workflow/action.h"
#include "workflow/program_compile.h"
#include "json/json.h"

/* One run with a group of actions, without threads. The claim of the run stays unsettled, so that nothing is
 * submitted. */
struct action_fixture {
    struct executor exec; /* first */
    struct turn turn;
    void *ctx;
    struct claimed_run claim;
    struct active_run *run;
    struct action_group group;
    const struct program *program;
    bool lease_held;
    int ends, progresses;
    struct action_end end; /* the last one */
};

static bool may_act(const struct executor *exec)
{
    return ((const struct action_fixture *)exec)->lease_held;
}

static void on_end(void *arg, const struct action_end *end)
{
    struct action_fixture *f = arg;
    f->ends++;
    f->end = *end;
}

static void on_progress(void *arg)
{
    ((struct action_fixture *)arg)->progresses++;
}

static const struct program *compile_step(void *ctx, const char *step)
{
    struct json_problems *problems = json_problems_new(ctx);
    struct program *program;
    json_object *document;
    const char *why;
    char *text = talloc_asprintf(ctx, "{'steps':[%s]}", step);
    for (char *p = text; (p = strchr(p, '\''));)
        *p = '"';
    cr_assert_eq(json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &document, &why), OK, "%s", why);
    enum err e = program_compile(ctx, document, NULL, &program, problems);
    cr_assert_eq(e, OK, "%s", problems->total ? problems->list[0].message : "");
    return program;
}

static struct action_fixture *make_fixture(const char *step)
{
    struct action_fixture *f = talloc_zero(NULL, struct action_fixture);
    f->ctx = f;
    f->exec.timers = timers_new(f, NULL);
    f->exec.turns = turns_new(f, f->exec.timers, clock_boot_us);
    f->turn = (struct turn){.turns = f->exec.turns, .until_us = INT64_MAX};
    f->exec.may_act = may_act;
    f->lease_held = true;
    f->program = compile_step(f, step);
    f->run = talloc_zero(f, struct active_run);
    f->run->exec = &f->exec;
    f->run->claim = &f->claim;
    f->group = (struct action_group){.run = f->run, .on_end = on_end, .on_progress = on_progress, .arg = f};
    TAILQ_INIT(&f->group.actions);
    return f;
}

static void free_fixture(struct action_fixture *f)
{
    actions_cancel(&f->group);
    talloc_free(f->run->pending);
    talloc_free(f);
}

static struct action *begin_action(struct action_fixture *f, const struct stored_step *stored)
{
    const char *why = NULL;
    struct action *a = action_new(&f->group, &f->program->steps[0], -1, NULL, stored, &why);
    cr_assert_not_null(a, "%s", why);
    return a;
}

static const struct run_step *written_row(const struct action_fixture *f)
{
    cr_assert_eq(f->run->pending->steps_n, 1U);
    return &f->run->pending->steps[0];
}

static void write_rows(struct action_fixture *f)
{
    struct commit *c = f->run->pending;
    f->run->pending = NULL;
    actions_on_written(&f->group, c);
    talloc_free(c);
}

Test(action, starts_only_after_its_row_is_written)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':0}");
    begin_action(f, NULL);
    cr_assert(actions_any_in(&f->group, ACTION_WRITING));
    cr_assert(written_row(f)->status == STEP_STATUS_RUNNING && written_row(f)->tries == 1);
    actions_run_ready(&f->group, &f->turn);
    cr_assert_eq(f->ends, 0);
    write_rows(f);
    cr_assert(actions_any_in(&f->group, ACTION_READY));
    actions_run_ready(&f->group, &f->turn);
    cr_assert(f->ends == 1 && !f->end.error && f->end.item == -1 && f->end.tries == 1);
    cr_assert(TAILQ_EMPTY(&f->group.actions));
    free_fixture(f);
}

Test(action, waits_until_it_is_due)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':60}");
    begin_action(f, NULL);
    cr_assert_gt(written_row(f)->due_ms, clock_wall_ms() + 50000);
    write_rows(f);
    cr_assert(actions_any_in(&f->group, ACTION_WAITING));
    timers_run(f->exec.timers, clock_boot_ms() + 50000);
    cr_assert_eq(f->progresses, 0);
    timers_run(f->exec.timers, clock_boot_ms() + 61000);
    cr_assert(f->progresses == 1 && actions_any_in(&f->group, ACTION_READY));
    actions_run_ready(&f->group, &f->turn);
    cr_assert(f->ends == 1 && !f->end.error);
    free_fixture(f);
}

Test(action, a_resumed_action_only_waits_for_the_rest)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':60}");
    struct stored_step stored = {.item = -1, .tries = 1, .due_ms = clock_wall_ms() + 5000, .started_ms = 1};
    struct action *a = begin_action(f, &stored);
    cr_assert(a->resumed && written_row(f)->due_ms == stored.due_ms && written_row(f)->started_ms == 1);
    write_rows(f);
    timers_run(f->exec.timers, clock_boot_ms() + 6000);
    cr_assert(actions_any_in(&f->group, ACTION_READY));
    free_fixture(f);
}

Test(action, does_not_start_without_the_lease)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':0}");
    begin_action(f, NULL);
    write_rows(f);
    f->lease_held = false;
    actions_run_ready(&f->group, &f->turn);
    cr_assert(f->ends == 0 && actions_any_in(&f->group, ACTION_WAITING));
    free_fixture(f);
}

Test(action, the_longest_wait_for_a_retry_is_that_of_a_step)
{
    struct action_fixture *f =
        make_fixture("{'name':'a','type':'http','request':{'method':'GET','url':'http://127.0.0.1/'},"
                     "'retry':{'max_attempts':2,'backoff_seconds':1}}");
    struct action *a = begin_action(f, NULL);
    struct action_failure failure = {
        .error = "no luck", .retry = true, .retry_after_ms = INT64_C(86400) * 1000};
    action_fail(a, &failure);
    int64_t wait_ms = written_row(f)->due_ms - clock_wall_ms();
    cr_assert(wait_ms > 3500 * 1000 && wait_ms <= PROGRAM_BACKOFF_SECONDS_MAX * 1000, "%lld",
              (long long)wait_ms);
    free_fixture(f);
}

Test(action, a_failure_is_retried_while_tries_are_left)
{
    struct action_fixture *f =
        make_fixture("{'name':'a','type':'http','request':{'method':'GET','url':'http://127.0.0.1/'},"
                     "'retry':{'max_attempts':3,'backoff_seconds':10}}");
    struct action *a = begin_action(f, NULL);
    struct action_failure failure = {.error = "no luck", .retry = true, .answered = true};
    action_fail(a, &failure);
    cr_assert(f->ends == 0 && f->progresses == 1);
    cr_assert(written_row(f)->tries == 2 && written_row(f)->answers == 1);
    int64_t wait_ms = written_row(f)->due_ms - clock_wall_ms();
    cr_assert(wait_ms > 7000 && wait_ms <= 12000, "%lld", (long long)wait_ms);
    failure.retry_after_ms = 30000;
    failure.answered = false;
    action_fail(a, &failure);
    cr_assert(written_row(f)->tries == 3 && written_row(f)->answers == 1);
    cr_assert_gt(written_row(f)->due_ms - clock_wall_ms(), 29000, "Retry-After is longer than the back-off");
    action_fail(a, &failure);
    cr_assert(f->ends == 1 && f->end.tries == 3 && f->end.reason == REASON_STEP_FAILED);
    cr_assert_str_eq(f->end.error, "no luck");
    free_fixture(f);
}

Test(action, each_failed_try_adds_an_event)
{
    struct action_fixture *f =
        make_fixture("{'name':'a','type':'http','request':{'method':'GET','url':'http://127.0.0.1/'},"
                     "'retry':{'max_attempts':3,'backoff_seconds':0}}");
    struct action *a = begin_action(f, NULL);
    struct action_failure failure = {.error = "no luck", .retry = true};
    const struct commit *c = run_pending_commit(f->run);
    action_fail(a, &failure);
    action_fail(a, &failure);
    action_fail(a, &failure);
    cr_assert_eq(c->events_n, 2U, "the end of the last try is the end of the step");
    for (size_t i = 0; i < c->events_n; i++) {
        json_object *data;
        const char *why;
        cr_assert_eq(c->events[i].type, EVENT_STEP_RETRYING);
        cr_assert_eq(json_parse(f, c->events[i].data, strlen(c->events[i].data), 2, &data, &why), OK);
        cr_expect_eq(json_object_get_int(json_get(data, "attempt")), (int)i + 1);
        cr_expect_str_eq(json_get_text(data, "error"), "no luck");
        cr_expect_not_null(json_get_text(data, "retry_at"));
        cr_expect_null(json_get(data, "item"));
    }
    free_fixture(f);
}

Test(action, the_end_of_a_run_ends_its_items_and_counts_tries)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':9}");
    const char *why;
    struct action *whole = begin_action(f, NULL);
    whole->tries = 4;
    action_new(&f->group, &f->program->steps[0], 2, NULL, NULL, &why);
    write_rows(f);
    cr_assert_eq(actions_abort(&f->group, "late"), 4);
    const struct run_step *row = written_row(f);
    cr_expect(row->item == 2 && row->status == STEP_STATUS_FAILED);
    cr_expect_str_eq(row->error, "late");
    free_fixture(f);
}

Test(action, a_failure_that_is_final_is_not_retried)
{
    struct action_fixture *f =
        make_fixture("{'name':'a','type':'http','request':{'method':'GET','url':'http://127.0.0.1/'},"
                     "'retry':{'max_attempts':3,'backoff_seconds':10}}");
    struct action *a = begin_action(f, NULL);
    struct action_failure failure = {.error = "poor", .reason = REASON_INSUFFICIENT_CREDITS};
    action_fail(a, &failure);
    cr_assert(f->ends == 1 && f->end.tries == 1 && f->end.reason == REASON_INSUFFICIENT_CREDITS);
    free_fixture(f);
}

Test(action, times_out_while_it_waits_if_its_type_says_so)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':60,'timeout_seconds':1.5}");
    begin_action(f, NULL);
    write_rows(f);
    timers_run(f->exec.timers, clock_boot_ms() + 2000);
    actions_run_ready(&f->group, &f->turn);
    cr_assert_eq(f->ends, 1);
    cr_assert_str_eq(f->end.error, "timed out after 1.5 s");
    free_fixture(f);
}

Test(action, an_item_leaves_a_row_at_its_end_and_the_step_itself_does_not)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':0}");
    const char *why;
    json_object *result = json_own(f, json_object_new_int(7));
    struct action *item = action_new(&f->group, &f->program->steps[0], 4, NULL, NULL, &why);
    write_rows(f);
    action_succeed(item, result);
    cr_assert(f->ends == 1 && f->end.item == 4 && f->end.result == result);
    cr_assert(written_row(f)->item == 4 && written_row(f)->status == STEP_STATUS_COMPLETED);
    cr_assert_str_eq(written_row(f)->result, "7");
    write_rows(f);
    struct action *itself = begin_action(f, NULL);
    write_rows(f);
    action_succeed(itself, result);
    cr_assert(f->ends == 2 && !f->run->pending);
    free_fixture(f);
}

Test(action, a_result_that_is_too_large_fails_the_step)
{
    struct action_fixture *f = make_fixture("{'name':'a','type':'delay','seconds':0}");
    struct action *a = begin_action(f, NULL);
    char *text = talloc_size(f, PROGRAM_RESULT_MAX + 1);
    memset(text, 'x', PROGRAM_RESULT_MAX);
    text[PROGRAM_RESULT_MAX] = '\0';
    action_succeed(a, json_own(f, json_object_new_string(text)));
    cr_assert(f->ends == 1 && f->end.error && !f->end.result);
    free_fixture(f);
}
