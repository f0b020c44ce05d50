#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "stream/log_text.h"

static const char *text_of(void *ctx, enum event_type type, const char *json)
{
    char *out = talloc_strdup(ctx, "");
    log_text_append(&out, type, json, strlen(json));
    return out;
}

Test(log_text, only_the_texts_of_the_log_are_sent)
{
    void *ctx = talloc_new(NULL);
    cr_expect_str_eq(text_of(ctx, EVENT_LOG, "{\"data\":{\"text\":\"one\\ntwo \\u00e9\\n\"}}"),
                     "one\ntwo \u00e9\n");
    cr_expect_str_eq(text_of(ctx, EVENT_PROGRESS, "{\"data\":{\"text\":\"one\"}}"), "");
    cr_expect_str_eq(text_of(ctx, EVENT_LOG, "{\"data\":{}}"), "");
    cr_expect_str_eq(text_of(ctx, EVENT_LOG, "not JSON"), "");
    talloc_free(ctx);
}

Test(log_text, a_gap_is_told)
{
    void *ctx = talloc_new(NULL);
    cr_expect_str_eq(
        text_of(ctx, EVENT_LOG, "{\"data\":{\"text\":\"one\",\"truncated\":true,\"omitted_bytes\":70}}"),
        "one\n[70 bytes are left out here]\n");
    talloc_free(ctx);
}
