#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "executor/io/response_body.h"
#include "json/json.h"

static const char *body_of(void *ctx, const char *type, const char *body, const char **why_r)
{
    return json_text(json_own(ctx, response_body_value(ctx, type, body, strlen(body), why_r)), NULL);
}

Test(response_body, json_is_parsed_whatever_its_type_is_called)
{
    static const char *const types[] = {
        "application/json",         "Application/JSON; charset=utf-8",    "text/json",
        "application/problem+json", "application/json, application/json", " application/json\t;a=b"};
    void *ctx = talloc_new(NULL);
    const char *why;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        cr_expect_str_eq(body_of(ctx, types[i], "\xef\xbb\xbf{\"a\": 18446744073709551615}", &why),
                         "{\"a\":18446744073709551615}", "%s", types[i]);
        cr_expect_null(why, "%s", types[i]);
    }
    cr_expect_str_eq(body_of(ctx, "text/html", "{}", &why), "\"{}\"");
    cr_expect_null(why);
    cr_expect_str_eq(body_of(ctx, "", "\xff", &why), "\"\xef\xbf\xbd\"");
    cr_expect_not_null(why, "a text that is changed says so");
    cr_expect_null(response_body_value(ctx, "application/json", "", 0, &why));
    cr_expect_null(why, "an empty body is no error");
    talloc_free(ctx);
}

Test(response_body, a_text_in_another_charset_is_converted)
{
    static const struct {
        const char *type, *body, *value;
    } cases[] = {
        {"text/plain; charset=iso-8859-1", "\xe9", "\"\xc3\xa9\""},
        {"text/plain;Charset=\"windows-1252\"", "\x80", "\"\xe2\x82\xac\""},
        {"application/json; charset=latin1", "{\"a\":\"\xe9\"}", "{\"a\":\"\xc3\xa9\"}"},
        {"text/plain; charset=shift_jis", "\x82\xa0", "\"\xe3\x81\x82\""},
        {"text/plain; charset=koi8-r", "\xc1", "\"\xd0\xb0\""},
        {"text/plain; charset=utf8", "\xc3\xa9", "\"\xc3\xa9\""},
        {"text/plain; charset=us-ascii", "\xc3\xa9", "\"\xc3\xa9\""},
        {"text/plain; charset=no-such", "\xc3\xa9", "\"\xc3\xa9\""},
        {"text/plain; charset=\"../../iso-8859-1\"", "\xc3\xa9", "\"\xc3\xa9\""},
        {"text/plain; charset=\"iso-8859-1,version=1\"", "\xc3\xa9", "\"\xc3\xa9\""},
        {"text/plain; charset", "a", "\"a\""},
        {"text/plain; charset=", "a", "\"a\""},
        {"text/plain; charset=utf-7", "+AOk-", "\"\xc3\xa9\""},
    };
    void *ctx = talloc_new(NULL);
    const char *why;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_str_eq(body_of(ctx, cases[i].type, cases[i].body, &why), cases[i].value, "%s",
                         cases[i].type);
        cr_expect_null(why, "%s", cases[i].type);
    }
    cr_expect_str_eq(body_of(ctx, "text/plain; charset=shift_jis", "\x82", &why), "\"\xef\xbf\xbd\"");
    cr_expect_not_null(why, "half of a character");
    talloc_free(ctx);
}

static char *nested(void *ctx, int levels)
{
    char *text = talloc_zero_array(ctx, char, (size_t)levels * 2 + 1);
    memset(text, '[', (size_t)levels);
    memset(text + levels, ']', (size_t)levels);
    return text;
}

Test(response_body, the_reason_stands_beside_a_body_that_is_no_json)
{
    static const char *const bad[] = {"{\"a\":1,}",
                                      "123456789012345678901234",
                                      "{\"n\":1e999}",
                                      "{} {}",
                                      "NaN",
                                      "[1",
                                      "\xef\xbb\xbf\xef\xbb\xbf{}",
                                      " "};
    void *ctx = talloc_new(NULL);
    const char *why;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_object *value = response_body_value(ctx, "application/json", bad[i], strlen(bad[i]), &why);
        cr_expect_str_eq(json_object_get_string(value), bad[i]);
        cr_expect_not_null(why, "%s", bad[i]);
        json_object_put(value);
    }
    cr_expect_str_eq(body_of(ctx, "application/json", nested(ctx, RESPONSE_DEPTH_MAX), &why),
                     nested(ctx, RESPONSE_DEPTH_MAX));
    cr_expect_null(why);
    body_of(ctx, "application/json", nested(ctx, RESPONSE_DEPTH_MAX + 1), &why);
    cr_expect_not_null(why);
    talloc_free(ctx);
}

Test(response_body, a_body_of_too_many_values_stays_a_text)
{
    void *ctx = talloc_new(NULL);
    const char *why;
    const size_t n = JSON_VALUES_MAX / (JSON_OBJECT_WEIGHT + 1) + 1;
    char *body = talloc_size(ctx, 3 * n + 2);
    for (size_t i = 0; i < n; i++)
        memcpy(body + 3 * i, i ? ",{}" : "[{}", 3);
    memcpy(body + 3 * n, "]", 2);
    json_object *value = response_body_value(ctx, "application/json", body, strlen(body), &why);
    cr_expect_str_eq(json_object_get_string(value), body);
    cr_expect(why && strstr(why, "300000 values"), "%s", why);
    json_object_put(value);
    talloc_free(ctx);
}
