#include <criterion/criterion.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "executor/run/workflow/scope_memory.h"
#include "json/json.h"

static json_object *parsed(void *ctx, const char *text)
{
    json_object *value = NULL;
    const char *why;
    cr_assert_eq(json_parse(ctx, text, strlen(text), TEMPLATE_DEPTH_MAX, &value, &why), OK, "%s", text);
    return value;
}

Test(scope_memory, gives_the_same_values_back)
{
    static const char inputs[] =
        "{\"a\":[1,-2,3.5,1e300,0.1,18446744073709551615,true,null,\"\\u0000\\u00e9/\"],"
        "\"b\":{\"\":{}}}";
    void *ctx = talloc_new(NULL);
    struct scope_memory m = {0};
    struct template_scope scope = {0};
    void *scratch = talloc_new(ctx);
    scope_memory_init(&m, ctx, &scope, parsed(scratch, inputs));
    talloc_free(scratch);
    json_object *deep = json_object_new_array();
    for (int i = 1; i < TEMPLATE_DEPTH_MAX; i++) {
        json_object *outer = json_object_new_array();
        json_object_array_add(outer, deep);
        deep = outer;
    }
    json_object *view = json_object_new_object();
    json_object_object_add(view, "result", deep);
    json_object_object_add(scope.steps, "s", view);
    char *before = talloc_asprintf(ctx, "%s %s", json_text(scope.inputs, NULL), json_text(scope.steps, NULL));
    for (int i = 0; i < 3; i++) {
        scope_memory_drop(&m, &scope, NULL);
        scope_memory_drop(&m, &scope, NULL);
        cr_assert(!scope.inputs && scope_memory_bytes(&m) < 1000);
        cr_assert_eq(scope_memory_restore(&m, &scope, NULL), OK);
        cr_assert_eq(scope_memory_restore(&m, &scope, NULL), OK);
    }
    cr_assert_str_eq(
        talloc_asprintf(ctx, "%s %s", json_text(scope.inputs, NULL), json_text(scope.steps, NULL)), before);
    talloc_free(ctx);
}

/* --- large scopes --- */

struct large_scope {
    struct scope_memory m;
    struct template_scope scope;
    struct scope_owner owner;
    struct event_base *base;
    int returned;
};

static void on_returned(void *arg)
{
    ((struct large_scope *)arg)->returned++;
}

static char *many_objects(void *ctx, size_t n)
{
    static const char first[] = "{\"l\":[{}";
    char *text = talloc_array(ctx, char, sizeof first + 3 * n + 3), *end = stpcpy(text, first);
    for (size_t i = 1; i < n; i++)
        end = stpcpy(end, ",{}");
    stpcpy(end, "]}");
    return text;
}

/* With the stored result of a step. */
static struct large_scope *large_scope_new(void)
{
    static const struct stored_step stored[] = {{.item = -1, .result = "[7]"}, {.step = 1, .item = -1}};
    struct large_scope *s = talloc_zero(NULL, struct large_scope);
    s->base = event_base_new();
    static struct memory_budget memory;
    memory_budget_init(&memory, 1000000);
    s->owner = (struct scope_owner){.compute = compute_thread_start(NULL, s->base),
                                    .memory = &memory,
                                    .workspace_id = id_new(),
                                    .on_returned = on_returned,
                                    .arg = s};
    char *text = many_objects(NULL, 30000);
    scope_memory_init_text(&s->m, s, text);
    scope_memory_add_stored(&s->m, stored, 2);
    talloc_free(text);
    return s;
}

static void await_returns(struct large_scope *s, int n)
{
    while (s->returned < n)
        event_base_loop(s->base, EVLOOP_ONCE);
}

static void leave_and_stop(struct large_scope *s)
{
    struct event_base *base = s->base;
    struct compute_thread *compute = s->owner.compute;
    struct scope_owner owner = s->owner;
    struct memory_budget *memory = owner.memory;
    scope_memory_leave(&s->m, s, 1000, &owner);

    while (compute_queued(compute) > 0)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    compute_thread_end(compute);
    cr_expect_eq(memory_budget_used(memory), 0U, "counted until it is freed");
    compute_thread_free(compute);
    event_base_free(base);
}

Test(scope_memory, large_scopes_are_parsed_and_dropped_by_the_compute_thread)
{
    struct large_scope *s = large_scope_new();
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY);
        cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY, "one job");
        await_returns(s, 2 * i + 1);
        cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), OK);
        json_object *list = json_get(s->scope.inputs, "l");
        cr_assert_eq(json_object_array_length(list), 30000U);
        size_t bytes = scope_memory_bytes(&s->m);
        cr_assert(i > 0 || (s->m.stored_values && !s->m.stored_values[1]));
        cr_assert(i > 0 || strcmp(json_text(s->m.stored_values[0], NULL), "[7]") == 0);
        scope_memory_drop(&s->m, &s->scope, &s->owner);
        cr_assert_eq(scope_memory_bytes(&s->m), 0U, "the job counts them");
        cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY, "the job is out");
        await_returns(s, 2 * i + 2);
        cr_assert(scope_memory_bytes(&s->m) > 0 && scope_memory_bytes(&s->m) < bytes / 100);
        cr_assert_eq(memory_budget_used(s->owner.memory), 0U);
    }
    leave_and_stop(s);
}

Test(scope_memory, a_run_may_leave_while_its_scope_is_out)
{
    struct large_scope *s = large_scope_new();
    cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY);
    leave_and_stop(s);
    s = large_scope_new();
    cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY);
    await_returns(s, 1);
    scope_memory_drop(&s->m, &s->scope, &s->owner);
    leave_and_stop(s);
    s = large_scope_new();
    cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY);
    await_returns(s, 1);
    leave_and_stop(s);
}

Test(scope_memory, text_that_is_no_json_is_reported)
{
    struct large_scope *s = large_scope_new();
    char *text = talloc_strdup(NULL, s->m.inputs);
    text[strlen(text) - 1] = ' ';
    s->m.inputs = text;
    cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_RETRY);
    await_returns(s, 1);
    cr_assert_eq(scope_memory_restore(&s->m, &s->scope, &s->owner), ERR_INTERNAL);
    leave_and_stop(s);
    talloc_free(text);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MALLOC_IS_REPLACED 1
#endif
#endif
#ifndef MALLOC_IS_REPLACED
#define MALLOC_IS_REPLACED 0
#endif

/* The estimate is within a factor of two of what malloc gave out. */
Test(scope_memory, estimates_what_a_tree_takes, .disabled = MALLOC_IS_REPLACED)
{
    static const char *const parts[] = {"1",         "{}",  "[]",     "\"text of thirty-two characters..\"",
                                        "{\"a\":1}", "1.5", "[1,2,3]"};
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *text = talloc_strdup(ctx, "{\"l\":[0");
        for (int n = 0; n < 20000; n++)
            text = talloc_asprintf_append_buffer(text, ",%s", parts[i]);
        text = talloc_strdup_append_buffer(text, "]}");
        size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
        void *tree = talloc_new(ctx);
        json_object *value = parsed(tree, text);
        size_t took = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        size_t estimate = json_tree_bytes(value);
        cr_expect(estimate < 2 * took && took < 2 * estimate, "%s: %zu, took %zu", parts[i], estimate, took);
        size_t of_text = json_tree_estimate(text, strlen(text));
        cr_expect(of_text < 2 * took && took <= of_text, "%s: %zu by its text, took %zu", parts[i], of_text,
                  took);
        talloc_free(tree);
    }
    talloc_free(ctx);
}
