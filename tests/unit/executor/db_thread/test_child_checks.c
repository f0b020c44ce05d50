#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <talloc.h>

#include "executor/db_thread/child_checks.h"

static sem_t checked;
static pthread_t checked_on;
static struct event_base *base;
static struct compute_thread *compute;

static void on_checked(void *arg)
{
    checked_on = pthread_self();
    sem_post(arg);
}

static struct child_checks *start(void)
{
    sem_init(&checked, 0, 0);
    base = event_base_new();
    compute = compute_thread_start(NULL, base);
    cr_assert(compute);
    return child_checks_new(NULL, compute, on_checked, &checked);
}

static void stop(struct child_checks *all)
{
    compute_thread_end(compute);
    child_checks_free(all);
    compute_thread_free(compute);
    event_base_free(base);
}

static struct schema *schema_of(void *ctx, const char *text)
{
    struct schema *schema;
    struct schema_problems problems;
    json_object *document;
    const char *why;
    cr_assert_eq(json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &document, &why), OK);
    cr_assert_eq(schema_compile(ctx, document, NULL, &schema, &problems), OK);
    return schema;
}

static struct child_job *child_new(const char *inputs)
{
    struct child_job *j = talloc_zero(NULL, struct child_job);
    j->request.input = span_text(talloc_strdup(j, inputs));
    return j;
}

/* Inputs of `n` different items, of few bytes. */
static struct child_job *child_with_items(int n, bool twice)
{
    char *text = talloc_strdup(NULL, "{\"l\": [0");
    for (int i = 1; i < n; i++)
        text = talloc_asprintf_append_buffer(text, ",%d", i);
    text = talloc_asprintf_append_buffer(text, "%s]}", twice ? ",0" : "");
    struct child_job *j = child_new(text);
    talloc_free(text);
    return j;
}

/* Each item is tried by every member of anyOf: 100 checks and more for a few bytes. */
static char *costly_schema(void *ctx, const char *item)
{
    char *text = talloc_strdup(ctx, "{\"properties\": {\"l\": {\"items\": {\"anyOf\": [");
    for (int i = 0; i < 100; i++)
        text = talloc_asprintf_append_buffer(text, "{\"type\": \"string\"},");
    return talloc_asprintf_append_buffer(text, "%s]}}}}", item);
}

static struct child_schema by_schema(const struct schema *schema)
{
    return (struct child_schema){.responder = id_new(), .version = 1, .schema = schema, .what = "workflow"};
}

Test(child_checks, small_validations_are_done_at_once)
{
    void *ctx = talloc_new(NULL);
    struct child_schema by = by_schema(schema_of(ctx, "{\"properties\": {\"l\": {\"uniqueItems\": true}}}"));
    struct child_job *good = child_with_items(100, false), *bad = child_with_items(100, true);
    cr_assert(child_check_now(good, &by) && child_check_now(bad, &by));
    cr_expect(good->check.e == OK && good->check.version == 1 &&
              id_equal(&good->check.responder, &by.responder));
    cr_expect_eq(bad->check.e, ERR_INVALID);
    cr_assert(bad->check.why);
    cr_expect(strstr(bad->check.why, "the inputs are not valid for the workflow: /l"), "%s", bad->check.why);
    talloc_free(good);
    talloc_free(bad);
    talloc_free(ctx);
}

/* By the number of checks, and by the number of bytes before anything is parsed. */
Test(child_checks, what_takes_longer_is_left_to_the_compute_thread)
{
    void *ctx = talloc_new(NULL);
    struct child_checks *all = start();
    const char *costly = costly_schema(ctx, "{\"type\": \"integer\"}");
    struct child_schema by = by_schema(schema_of(ctx, costly)), none = by_schema(NULL);
    struct child_job *many = child_with_items(1000, false), *large = child_with_items(4000, false);
    cr_assert(many->request.input.size < COMPUTE_INLINE_MAX &&
              large->request.input.size > COMPUTE_INLINE_MAX);
    cr_expect_not(child_check_now(many, &by));
    cr_expect_not(child_check_now(large, &none), "no schema, and yet too much to parse");
    cr_expect(many->check.version == 0 && large->check.version == 0, "nothing is decided");
    child_check_submit(all, many, &by);
    child_check_submit(all, large, &none);
    for (int i = 0; i < 2; i++) {
        sem_wait(&checked);
        struct child_job *j = child_check_take(all);
        cr_assert(j == (i == 0 ? many : large));
        cr_expect_eq(j->check.e, OK);
        cr_expect_eq(j->check.version, 1);
        cr_expect_not(pthread_equal(checked_on, pthread_self()));
        talloc_free(j);
    }
    cr_expect_not(child_check_take(all));
    stop(all);
    talloc_free(ctx);
}

Test(child_checks, the_compute_thread_says_what_is_wrong)
{
    void *ctx = talloc_new(NULL);
    struct child_checks *all = start();
    struct child_schema by = by_schema(schema_of(ctx, costly_schema(ctx, "{\"type\": \"null\"}")));
    struct child_job *wrong = child_with_items(1000, false);
    child_check_submit(all, wrong, &by);
    sem_wait(&checked);
    cr_assert(child_check_take(all) == wrong);
    cr_expect_eq(wrong->check.e, ERR_INVALID);
    cr_assert(wrong->check.why);
    cr_expect(strstr(wrong->check.why, "/l/0"), "%s", wrong->check.why);
    talloc_free(wrong);
    stop(all);
    talloc_free(ctx);
}

Test(child_checks, a_validation_beyond_the_budget_names_the_limit)
{
    void *ctx = talloc_new(NULL);
    struct child_checks *all = start();
    struct child_schema by = by_schema(schema_of(ctx, costly_schema(ctx, "{\"type\": \"integer\"}")));
    struct child_job *j = child_with_items(20000, false);
    child_check_submit(all, j, &by);
    sem_wait(&checked);
    cr_assert(child_check_take(all) == j);
    cr_expect_eq(j->check.e, ERR_LIMIT);
    cr_expect_eq(j->check.reason, REASON_LIMIT_EXCEEDED);
    cr_assert(j->check.why);
    cr_expect(strstr(j->check.why, "limit"), "%s", j->check.why);
    talloc_free(j);
    stop(all);
    talloc_free(ctx);
}

Test(child_checks, frees_what_nobody_takes)
{
    struct child_checks *all = start();
    struct child_schema by = by_schema(NULL);
    child_check_submit(all, child_new("{}"), &by);
    child_check_submit(all, child_new("[1"), &by);
    sem_wait(&checked);
    compute_thread_end(compute);
    child_check_submit(all, child_new("{}"), &by);
    child_checks_free(all);
    compute_thread_free(compute);
    event_base_free(base);
}
