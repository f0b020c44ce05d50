#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "webhook/body.h"
#include "webhook/delivery.h"
#include "webhook/endpoint.h"
#include "webhook/event.h"

Test(endpoint, urls)
{
    static const char *const right[] = {"http://a", "https://example.com/x?y=z@w", "http://127.0.0.1:8080/",
                                        "http://[::1]:80/", "https://a?b"};
    static const char *const wrong[] = {"",
                                        "http://",
                                        "https:///x",
                                        "ftp://a",
                                        "HTTP://a",
                                        "http://:80",
                                        "http://u@a/",
                                        "http://u:p@a",
                                        "http://a/#f",
                                        "http://a/ b",
                                        "http://a/\tb",
                                        "http://a\\b",
                                        "http://a/\x7f",
                                        "http://a/\xc3\xa9",
                                        "http://a/<b>",
                                        "http://a/\"",
                                        "//a",
                                        "a"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        cr_assert(webhook_url_fits(right[i]), "%s", right[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(webhook_url_fits(wrong[i]), "%s", wrong[i]);
    char longest[WEBHOOK_URL_MAX + 2];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "http://", 7);
    longest[WEBHOOK_URL_MAX] = '\0';
    cr_assert(webhook_url_fits(longest));
    longest[WEBHOOK_URL_MAX] = 'a';
    longest[WEBHOOK_URL_MAX + 1] = '\0';
    cr_assert_not(webhook_url_fits(longest));
}

Test(endpoint, hosts)
{
    void *ctx = talloc_new(NULL);
    cr_assert_str_eq(webhook_host(ctx, "https://Example.COM:8443/A?b"), "example.com:8443");
    cr_assert_str_eq(webhook_host(ctx, "http://a?b"), "a");
    talloc_free(ctx);
}

Test(endpoint, events_are_found_by_name_among_those_that_are_allowed)
{
    uint32_t bit;
    for (int i = WEBHOOK_STARTED; webhook_event_name((enum webhook_event)i); i++) {
        const char *name = webhook_event_name((enum webhook_event)i);
        bool allowed = i != WEBHOOK_TEST;
        cr_assert_eq(webhook_event_find(name, WEBHOOK_EVENTS_ALL, &bit), allowed, "%s", name);
        cr_assert(!allowed || bit == webhook_event_bit((enum webhook_event)i));
    }
    cr_assert_not(webhook_event_find("webhook.disabled", WEBHOOK_EVENTS_OF_RUNS, &bit));
    cr_assert_not(webhook_event_find("execution", WEBHOOK_EVENTS_ALL, &bit));
    cr_assert_not(webhook_event_find("", WEBHOOK_EVENTS_ALL, &bit));
}

Test(endpoint, names_of_a_set_of_events)
{
    void *ctx = talloc_new(NULL);
    cr_assert_str_eq(webhook_event_names(ctx, WEBHOOK_EVENTS_DEFAULT),
                     "execution.succeeded, execution.failed, execution.stopped");
    cr_assert_str_eq(webhook_event_names(ctx, webhook_event_bit(WEBHOOK_TEST)), "webhook.test");
    cr_assert_str_eq(webhook_event_names(ctx, 0), "");
    talloc_free(ctx);
}

Test(endpoint, body_of_an_event_without_a_run)
{
    void *ctx = talloc_new(NULL);
    struct webhook_message m = {.event = WEBHOOK_DISABLED, .at_ms = 1795750274561};
    size_t size;
    m.data = "{\"a\":[1]} and what follows";
    m.data_size = strlen("{\"a\":[1]}");
    cr_assert_str_eq(webhook_body(ctx, &m, &size),
                     "{\"type\":\"webhook.disabled\",\"timestamp\":\"2026-11-27T03:31:"
                     "14.561+00:00\",\"data\":{\"a\":[1]}}");
    m.data = NULL;
    cr_assert(strstr(webhook_body(ctx, &m, &size), "\"data\":{\"webhook_id\":null}}"));
    talloc_free(ctx);
}

Test(endpoint, body_of_an_end)
{
    void *ctx = talloc_new(NULL);
    struct webhook_message m = {.event = WEBHOOK_FAILED,
                                .at_ms = 1795750274561,
                                .kind = KIND_SKILL,
                                .reason = REASON_TIMEOUT,
                                .cost = 3000000,
                                .refunded = 1000000,
                                .ended_ms = 1795750274561};
    size_t size;
    (void)id_parse("01a21b0e-a5f1-7a73-930e-41f8ffefced2", ID_LENGTH, &m.execution_id);
    m.root_id = m.execution_id;
    (void)id_parse("01a21b0e-a5df-74e5-91a4-15967c63ebef", ID_LENGTH, &m.responder_id);
    const char *body = webhook_body(ctx, &m, &size);
    cr_assert_eq(size, strlen(body));
    static const char *const parts[] = {
        "{\"type\":\"execution.failed\",\"timestamp\":\"2026-11-27T03:31:14.561+00:00\",\"data\":{",
        "\"skill_id\":\"01a21b0e-a5df-74e5-91a4-15967c63ebef\"",
        "\"failure_reason\":\"timeout\"",
        "\"parent_id\":null",
        "\"started_at\":null",
        "\"credits_used\":2}}"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        cr_assert(strstr(body, parts[i]), "%s is missing in %s", parts[i], body);
    cr_assert_str_eq(webhook_message_id(ctx, &m.execution_id), "msg_01a21b0ea5f17a73930e41f8ffefced2");
    talloc_free(ctx);
}

/* The run may have ended by the time the message of its start is written. */
Test(endpoint, body_of_a_start_does_not_tell_the_end)
{
    void *ctx = talloc_new(NULL);
    struct webhook_message m = {.event = WEBHOOK_STARTED,
                                .at_ms = 1,
                                .reason = REASON_TIMEOUT,
                                .cost = 1,
                                .refunded = 1,
                                .ended_ms = 9};
    size_t size;
    m.execution_id = m.root_id = m.responder_id = id_new();
    const char *body = webhook_body(ctx, &m, &size);
    cr_assert(strstr(body, "\"status\":\"running\"") && strstr(body, "\"failure_reason\":null") &&
              strstr(body, "\"ended_at\":null") && strstr(body, "\"credits_used\":0.000001"));
    talloc_free(ctx);
}
