#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "runner/warm_protocol.h"

enum { ANSWER_MAX = 20 };

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
static const struct warm_trace no_trace, sent = {PARENT, "a=1, b=x y;%z"};

/* Feeds the format, whose `%s` is the token, in pieces. Checks the text that comes with the answer. */
static void expect_answer(const char *format, size_t piece, enum warm_answer wanted, const char *text)
{
    void *ctx = talloc_new(NULL);
    struct warm_exchange *x = warm_exchange_new(ctx, "{}", 2, &no_trace, ANSWER_MAX);
    const char *got = NULL;
    size_t size = 0;
    enum warm_answer answer = WARM_NONE;
    const char *before = strstr(format, "%s");
    char *output =
        before ? talloc_asprintf(ctx, "%.*s%s%s", (int)(before - format), format, x->token, before + 2)
               : talloc_strdup(ctx, format);
    size_t n = strlen(output);
    for (size_t i = 0; answer == WARM_NONE && i < n; i += piece)
        answer = warm_exchange_feed(x, output + i, n - i < piece ? n - i : piece, &got, &size);
    cr_expect_eq(answer, wanted, "%s: %d", output, (int)answer);
    if (text)
        cr_expect(size == strlen(text) && memcmp(got, text, size) == 0, "%s", output);
    talloc_free(ctx);
}

Test(warm_protocol, writes_the_job_in_one_line)
{
    static const char inputs[] = "{\"a\":\r\n1,\"b\":\"x\\ny\"}\n";
    char line[200];
    void *ctx = talloc_new(NULL);
    struct warm_exchange *x = warm_exchange_new(ctx, inputs, sizeof inputs - 1, &no_trace, ANSWER_MAX);
    int n = snprintf(line, sizeof line, "run %s {\"a\":  1,\"b\":\"x\\ny\"} \n", x->token);
    cr_assert_eq(x->request_bytes, (size_t)n);
    cr_expect_arr_eq(x->request, line, (size_t)n);
    talloc_free(ctx);
}

Test(warm_protocol, has_a_new_token_for_each_job)
{
    void *ctx = talloc_new(NULL);
    const struct warm_exchange *a = warm_exchange_new(ctx, "{}", 2, &no_trace, ANSWER_MAX);
    const struct warm_exchange *b = warm_exchange_new(ctx, "{}", 2, &no_trace, ANSWER_MAX);
    cr_expect_eq(strlen(a->token), WARM_TOKEN_LENGTH);
    cr_expect_str_neq(a->token, b->token);
    talloc_free(ctx);
}

Test(warm_protocol, reads_answers_in_pieces_of_any_size)
{
    for (size_t piece = 1; piece < 50; piece++) {
        expect_answer("ok %s {\"a\": 1}\n", piece, WARM_OK, "{\"a\": 1}");
        expect_answer("ok %s \n", piece, WARM_OK, "");
        expect_answer("error %s it broke\n", piece, WARM_ERROR, "it broke");
        expect_answer("hello\n", piece, WARM_BROKEN, "hello");
        expect_answer("\n", piece, WARM_BROKEN, "");
        expect_answer("ok %s{}\n", piece, WARM_BROKEN, NULL);
        expect_answer(" ok %s {}\n", piece, WARM_BROKEN, NULL);
        expect_answer("ok 0123456789abcdef {}\n", piece, WARM_BROKEN, "ok 0123456789abcdef {}");
        expect_answer("ok %s {}", piece, WARM_NONE, NULL);
    }
}

Test(warm_protocol, limits_the_answer)
{
    expect_answer("ok %s 12345678901234567890\n", 1, WARM_OK, "12345678901234567890");
    expect_answer("ok %s 123456789012345678901\n", 100, WARM_TOO_LONG, NULL);
    expect_answer("error %s 123456789012345678901\n", 100, WARM_TOO_LONG, NULL);
    expect_answer("a line without an end that is longer than any answer can be, so that it is not kept", 7,
                  WARM_TOO_LONG, NULL);
}

Test(warm_protocol, notices_output_after_the_answer)
{
    void *ctx = talloc_new(NULL);
    const char *text;
    size_t size;
    for (int more = 0; more < 2; more++) {
        struct warm_exchange *x = warm_exchange_new(ctx, "{}", 2, &no_trace, ANSWER_MAX);
        const char *output = talloc_asprintf(ctx, "ok %s {}\n%s", x->token, more ? "x" : "");
        cr_assert_eq(warm_exchange_feed(x, output, strlen(output), &text, &size), WARM_OK);
        cr_expect_eq(x->extra_output, more == 1);
    }
    talloc_free(ctx);
}

Test(warm_protocol, puts_the_trace_into_the_word_of_the_token)
{
    char line[200];
    void *ctx = talloc_new(NULL);
    struct warm_exchange *x = warm_exchange_new(ctx, "{}", 2, &sent, ANSWER_MAX);
    int n = snprintf(line, sizeof line, "run %s;" PARENT ";a=1,%%20b=x%%20y%%3B%%25z {}\n", x->token);
    cr_assert_eq(x->request_bytes, (size_t)n);
    cr_expect_arr_eq(x->request, line, (size_t)n);
    x = warm_exchange_new(ctx, "{}", 2, &(struct warm_trace){.traceparent = PARENT}, ANSWER_MAX);
    n = snprintf(line, sizeof line, "run %s;" PARENT " {}\n", x->token);
    cr_assert_eq(x->request_bytes, (size_t)n);
    cr_expect_arr_eq(x->request, line, (size_t)n);
    x = warm_exchange_new(ctx, "{}", 2, &(struct warm_trace){.traceparent = "\x7f\xc3\n"}, ANSWER_MAX);
    n = snprintf(line, sizeof line, "run %s;%%7F%%C3%%0A {}\n", x->token);
    cr_assert_eq(x->request_bytes, (size_t)n);
    cr_expect_arr_eq(x->request, line, (size_t)n);
    talloc_free(ctx);
}

Test(warm_protocol, takes_an_answer_with_and_without_the_trace)
{
    static const struct {
        const char *after_token;
        enum warm_answer wanted;
    } answers[] = {
        {";" PARENT ";a=1,%20b=x%20y%3B%25z 12345678901234567890\n", WARM_OK},
        {" {}\n", WARM_OK},
        {";" PARENT ";a=1,%20b=x%20y%3B%25z 123456789012345678901\n", WARM_TOO_LONG},
        {";" PARENT " {}\n", WARM_BROKEN},
        {"; {}\n", WARM_BROKEN},
        {";" PARENT ";a=1,%20b=x%20y%3B%25z{}\n", WARM_BROKEN},
        {";" PARENT ";a=1,%20b=x%20y%3B%25z; {}\n", WARM_BROKEN},
    };
    void *ctx = talloc_new(NULL);
    const char *text;
    size_t size;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct warm_exchange *x = warm_exchange_new(ctx, "{}", 2, &sent, ANSWER_MAX);
        const char *output = talloc_asprintf(ctx, "ok %s%s", x->token, answers[i].after_token);
        cr_expect_eq(warm_exchange_feed(x, output, strlen(output), &text, &size), answers[i].wanted, "%s",
                     output);
    }
    talloc_free(ctx);
}
