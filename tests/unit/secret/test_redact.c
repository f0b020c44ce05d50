#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "secret/redact.h"
#include "json/json.h"

static json_object *parse_json(void *ctx, const char *text)
{
    json_object *value;
    const char *why;
    enum err e = json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why);
    cr_assert_eq(e, OK, "%s: %s", text, why);
    return value;
}

Test(redact, hides_every_form)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value secrets[] = {{"p/s \"w\"ord", 10}, {"abc", 3}, {"abcdef", 6}, {"", 0}};
    struct redactor *r = redactor_new(ctx, secrets, 4);
    static const struct {
        const char *text, *clean;
    } rows[] = {
        {"nothing here", "nothing here"},
        {"", ""},
        {"<p/s \"w\"ord>", "<[redacted]>"},
        {"q=p%2Fs%20%22w%22ord&x", "q=[redacted]&x"},
        {"q=p%2fs%20%22w%22ord&x", "q=[redacted]&x"},
        {"{\"a\":\"p/s \\\"w\\\"ord\"}", "{\"a\":\"[redacted]\"}"},
        {"{\"a\":\"p\\/s \\\"w\\\"ord\"}", "{\"a\":\"[redacted]\"}"},
        {"abcdefg abcd ab", "[redacted]g [redacted]d ab"},
        {"abcabc", "[redacted][redacted]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size;
        const char *clean = redact_text(ctx, r, rows[i].text, strlen(rows[i].text), &size);
        cr_expect_str_eq(clean, rows[i].clean, "%s", rows[i].text);
        cr_expect_eq(size, strlen(rows[i].clean));
    }
    talloc_free(ctx);
}

Test(redact, hides_base64_at_any_offset)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value secret_of[] = {{"hunter2hunter2", 14}};
    struct redactor *r = redactor_new(ctx, secret_of, 1);
    /* of "hunter2hunter2" alone and behind 2, 3, 5 and 6 other bytes */
    static const char *const texts[] = {
        "aHVudGVyMmh1bnRlcjI=", "dTpodW50ZXIyaHVudGVyMg==", "bWU6aHVudGVyMmh1bnRlcjIh",
        "eGE6eDpodW50ZXIyaHVudGVyMj94", "YmM6eHg6aHVudGVyMmh1bnRlcjI="};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t size;
        const char *clean = redact_text(ctx, r, texts[i], strlen(texts[i]), &size);
        cr_expect(strstr(clean, "[redacted]"), "%s", texts[i]);
        cr_expect(size < 24, "%s", clean);
    }
    talloc_free(ctx);
}

Test(redact, cleans_json_values)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value secrets[] = {{"s3cret", 6}, {"123456", 6}, {"\",\"b\":\"", 7}};
    struct redactor *r = redactor_new(ctx, secrets, 3);
    json_object *value =
        parse_json(ctx, "{\"k-s3cret\":[\"my s3cret\",123456,0.1234567,null,true,7],\"a\":\"x\",\"b\":\"y\","
                        "\"n\":\"a\\u0000s3cret\\u0000\"}");
    cr_expect_str_eq(json_text(redact_json(ctx, r, value), NULL),
                     "{\"k-[redacted]\":[\"my [redacted]\",123456,0.1234567,null,true,7],\"a\":\"x\","
                     "\"b\":\"y\",\"n\":\"a\\u0000[redacted]\\u0000\"}");
    json_object *clean = parse_json(ctx, "[1,\"x\",{\"y\":null}]");
    cr_expect_eq(redact_json(ctx, r, clean), clean);
    cr_expect_eq(redact_json(ctx, NULL, value), value);
    talloc_free(ctx);
}

Test(redact, members_never_merge)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value secrets[] = {{"alpha", 5}, {"beta", 4}, {"2000", 4}};
    struct redactor *r = redactor_new(ctx, secrets, 3);
    static const struct {
        const char *value, *clean;
    } rows[] = {
        {"{\"alpha\":1,\"beta\":2,\"c\":3}", "{\"[redacted]\":1,\"[redacted] 2\":2,\"c\":3}"},
        {"{\"alpha\":1,\"[redacted]\":2,\"[redacted] 2\":3}",
         "{\"[redacted] 3\":1,\"[redacted]\":2,\"[redacted] 2\":3}"},
        {"{\"alphax\":1,\"betax\":{\"alpha\":2,\"beta\":3}}",
         "{\"[redacted]x\":1,\"[redacted]x 2\":{\"[redacted]\":2,\"[redacted] 2\":3}}"},
        {"{\"status\":2000,\"n\":-2000.5,\"t\":\"2000\"}",
         "{\"status\":2000,\"n\":-2000.5,\"t\":\"[redacted]\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_str_eq(json_text(redact_json(ctx, r, parse_json(ctx, rows[i].value)), NULL), rows[i].clean);
    talloc_free(ctx);
}

Test(redact, replaces_the_longest_match)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value secrets[] = {{"abcd", 4}, {"bcdefg", 6}, {"abcdef", 6}};
    struct redactor *r = redactor_new(ctx, secrets, 3);
    static const struct {
        const char *text, *clean;
    } rows[] = {
        /* the first match wins; what is left of another secret is shown */
        {"xabcdefg", "x[redacted]g"},
        {"xbcdefgx", "x[redacted]x"},
        {"abcd", "[redacted]"},
        {"abc", "abc"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size;
        cr_expect_str_eq(redact_text(ctx, r, rows[i].text, strlen(rows[i].text), &size), rows[i].clean, "%s",
                         rows[i].text);
    }
    talloc_free(ctx);
}

Test(redact, works_on_bytes)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value secrets[] = {{"gr\xc3\xbc\xc3\x9f", 6}};
    struct redactor *r = redactor_new(ctx, secrets, 1);
    static const char text[] = "\0\xff gr\xc3\xbc\xc3\x9f gr%C3%BC%C3%9F \xff\0";
    size_t size;
    const char *clean = redact_text(ctx, r, text, sizeof text - 1, &size);
    static const char expected[] = "\0\xff [redacted] [redacted] \xff\0";
    cr_assert_eq(size, sizeof expected - 1);
    cr_expect_eq(memcmp(clean, expected, size), 0);
    talloc_free(ctx);
}

/* 100 secrets that begin alike, in a response that consists of their beginning: 1,000 comparisons at each
 * byte. */
Test(redact, work_is_limited)
{
    void *ctx = talloc_new(NULL);
    struct secret_value secrets[100];
    for (int i = 0; i < 100; i++) {
        char *text = talloc_asprintf(ctx, "aaaaaaaaaaaaaaaaaaaa%03d", i);
        secrets[i] = (struct secret_value){text, strlen(text)};
    }
    struct redactor *r = redactor_new(ctx, secrets, 100);
    char *body = talloc_array(ctx, char, 200001);
    memset(body, 'a', 200000);
    body[200000] = '\0';
    json_object *value = json_own(ctx, json_object_new_string(body));
    struct budget budget = {.limit = BUDGET_EVALUATION};
    cr_expect_null(redact_json_within(ctx, r, value, &budget));
    cr_expect(budget.exceeded);
    /* what a response usually looks like passes, up to the largest */
    for (int i = 0; i < 200000; i++)
        body[i] = (char)(' ' + i * 7 % 90);
    value = json_own(ctx, json_object_new_string(body));
    budget = (struct budget){.limit = BUDGET_EVALUATION};
    cr_expect_eq(redact_json_within(ctx, r, value, &budget), value);
    memcpy(body + 100000, secrets[7].text, secrets[7].size);
    value = json_own(ctx, json_object_new_string(body));
    budget = (struct budget){.limit = BUDGET_EVALUATION};
    json_object *clean = redact_json_within(ctx, r, value, &budget);
    cr_assert_not_null(clean);
    cr_expect(strstr(json_object_get_string(clean), "[redacted]"));
    cr_expect_not(strstr(json_object_get_string(clean), secrets[7].text));
    talloc_free(ctx);
}

Test(redact, does_nothing_without_secrets)
{
    void *ctx = talloc_new(NULL);
    static const struct secret_value empty[] = {{"", 0}};
    static const char text[] = "text";
    size_t size;
    cr_expect_eq(redact_text(ctx, NULL, text, 4, &size), text);
    cr_expect_eq(redact_text(ctx, redactor_new(ctx, NULL, 0), text, 4, &size), text);
    cr_expect_eq(redact_text(ctx, redactor_new(ctx, empty, 1), text, 4, &size), text);
    cr_expect_eq(size, 4);
    talloc_free(ctx);
}
