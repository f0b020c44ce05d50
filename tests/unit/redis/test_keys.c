#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "redis/keys.h"

static const id workspace = {"01890000-0000-7000-8000-000000000001"};
static const id other = {"01890000-0000-7000-8000-000000000002"};

static void expect_name(struct redis_arg key, const char *name)
{
    cr_expect_eq(key.size, strlen(name), "%s", name);
    cr_expect_str_eq(key.bytes, name);
}

Test(redis_keys, begin_with_the_prefix)
{
    void *ctx = talloc_new(NULL);
    expect_name(redis_key_run_queue(ctx), "millrace:work");
    redis_keys_set_prefix("test-");
    expect_name(redis_key_run_queue(ctx), "test-work");
    expect_name(redis_key_credits(ctx, &workspace), "test-credits:01890000-0000-7000-8000-000000000001");
    expect_name(redis_key_rate(ctx, &workspace), "test-rate:01890000-0000-7000-8000-000000000001");
    expect_name(redis_channel_events(ctx, &workspace), "test-events:01890000-0000-7000-8000-000000000001");
    expect_name(redis_channel_stops(ctx), "test-stops");
    expect_name(redis_channel_children(ctx), "test-children");
    expect_name(redis_channel_gaps(ctx), "test-gaps");
    expect_name(redis_pattern_replays(ctx), "test-replay:*");
    talloc_free(ctx);
}

Test(redis_keys, hash_an_idempotency_key)
{
    void *ctx = talloc_new(NULL);
    static const char key[] = "a\0b\n\xff";
    struct redis_arg a = redis_key_replay(ctx, &workspace, key, 5);
    struct redis_arg same = redis_key_replay(ctx, &workspace, key, 5);
    struct redis_arg shorter = redis_key_replay(ctx, &workspace, key, 1);
    struct redis_arg elsewhere = redis_key_replay(ctx, &other, key, 5);
    cr_expect_str_eq(a.bytes, same.bytes);
    cr_expect_str_neq(a.bytes, shorter.bytes);
    cr_expect_str_neq(a.bytes, elsewhere.bytes);
    cr_expect_eq(a.size, strlen("millrace:replay:") + ID_LENGTH + 1 + 32);
    for (size_t i = 0; i < a.size; i++)
        cr_expect(a.bytes[i] > ' ' && a.bytes[i] < 127, "a printable name");
    talloc_free(ctx);
}
