#include <criterion/criterion.h>
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
        scope_memory_drop(&m, &scope);
        scope_memory_drop(&m, &scope);
        cr_assert(!scope.inputs && scope_memory_bytes(&m) < 1000);
        cr_assert_eq(scope_memory_restore(&m, &scope), OK);
        cr_assert_eq(scope_memory_restore(&m, &scope), OK);
    }
    cr_assert_str_eq(
        talloc_asprintf(ctx, "%s %s", json_text(scope.inputs, NULL), json_text(scope.steps, NULL)), before);
    talloc_free(ctx);
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
        talloc_free(tree);
    }
    talloc_free(ctx);
}
