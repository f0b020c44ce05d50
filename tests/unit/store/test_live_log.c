#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "store/live_log.h"

static bool add(struct live_log *log, const char *json)
{
    return live_log_append(log, json, strlen(json));
}

static void expect_text(const struct live_log *log, const char *text)
{
    cr_expect_eq(log->size, strlen(text));
    cr_expect_str_eq(log->text ? log->text : "", text);
}

Test(live_log, pieces_are_joined_and_the_offset_is_skipped)
{
    void *ctx = talloc_new(NULL);
    for (int64_t skip = 0; skip <= 9; skip++) {
        struct live_log log = {.ctx = ctx, .skip = skip, .max = 100};
        cr_expect(add(&log, "{\"text\":\"one\\n\"}"));
        cr_expect(add(&log, "{\"text\":\"\"}"));
        cr_expect(add(&log, "{\"text\":\"\\u00e9lan\"}"));
        expect_text(&log, &"one\n\303\251lan"[skip]);
    }
    talloc_free(ctx);
}

Test(live_log, an_offset_beyond_the_end_is_an_empty_text)
{
    void *ctx = talloc_new(NULL);
    struct live_log log = {.ctx = ctx, .skip = 1000, .max = 100};
    cr_expect(add(&log, "{\"text\":\"one\"}"));
    expect_text(&log, "");
    talloc_free(ctx);
}

Test(live_log, it_ends_where_bytes_are_left_out)
{
    void *ctx = talloc_new(NULL);
    struct live_log log = {.ctx = ctx, .max = 100};
    cr_expect_not(add(&log, "{\"text\":\"one\",\"truncated\":true,\"omitted_bytes\":70}"));
    expect_text(&log, "one");
    talloc_free(ctx);
}

Test(live_log, it_ends_at_a_damaged_event)
{
    void *ctx = talloc_new(NULL);
    struct live_log log = {.ctx = ctx, .max = 100};
    cr_expect_not(add(&log, "not JSON"));
    expect_text(&log, "");
    talloc_free(ctx);
}

Test(live_log, it_has_at_most_so_many_bytes)
{
    void *ctx = talloc_new(NULL);
    struct live_log log = {.ctx = ctx, .max = 5};
    cr_expect(add(&log, "{\"text\":\"one\"}"));
    cr_expect_not(add(&log, "{\"text\":\"three\"}"));
    expect_text(&log, "oneth");
    talloc_free(ctx);
}

Test(live_log, a_nul_is_a_byte_as_others)
{
    void *ctx = talloc_new(NULL);
    struct live_log log = {.ctx = ctx, .max = 100};
    cr_expect(add(&log, "{\"text\":\"a\\u0000b\"}"));
    cr_expect_eq(log.size, 3);
    cr_expect_eq(log.text[2], 'b');
    talloc_free(ctx);
}

Test(live_log, a_log_is_live_until_it_is_stored)
{
    struct execution_log log = {.state = STATE_RUNNING};
    cr_expect(live_log_exists(&log));
    log.state = STATE_STOPPED;
    cr_expect(live_log_exists(&log));
    log.state = STATE_FAILED;
    cr_expect_not(live_log_exists(&log));
    log = (struct execution_log){.state = STATE_RUNNING, .has_log = true};
    cr_expect_not(live_log_exists(&log));
    log = (struct execution_log){.state = STATE_STOPPED, .is_purged = true};
    cr_expect_not(live_log_exists(&log));
}
