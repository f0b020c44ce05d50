#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/error_hash.h"

static void expect(const char *error, const char *wanted)
{
    char pattern[ERROR_PATTERN_MAX + 1];
    size_t n = error_pattern(error, pattern);
    cr_expect_str_eq(pattern, wanted, "%s: got %s", error, pattern);
    cr_expect_eq(n, strlen(wanted));
}

Test(error_hash, leaves_words_and_replaces_what_differs)
{
    expect(NULL, "");
    expect("", "");
    expect("the run timed out", "the run timed out");
    expect("item 17 of 20", "item <n> of <n>");
    expect("took 12ms, at most 1.5 s", "took <n>ms, at most <n> s");
    expect("-3 is less than 0", "<n> is less than <n>");
    expect("at 10:30:05 from 127.0.0.1:8080.", "at <n> from <n>.");
    expect("on 2026-11-27 and 2026-11-27T10:00:00.123Z", "on <n> and <id>");
    expect("run 019bc1a0-7b50-7000-8000-000000000001 failed", "run <id> failed");
    expect("commit 9fceb02d0ae5", "commit <id>");
    expect("key ord_01HZX3YF9K2QW7 is gone", "key <id> is gone");
    expect("at 0x1f", "at <id>");
    expect("shard7 of db-2", "shard<n> of db-<n>");
    expect("  a \t\n b\x01 ", "a b");
}

Test(error_hash, keeps_the_status_of_http)
{
    expect("unexpected response status 503", "unexpected response status 503");
    expect("HTTP 404: no order 404", "HTTP 404: no order <n>");
    expect("status 1503", "status <n>");
    expect("status 999", "status <n>");
    expect("status 50", "status <n>");
}

Test(error_hash, replaces_urls)
{
    expect("GET https://a.example/x?y=\xc3\xa4#z failed", "GET <url> failed");
    expect("(http://[::1", "(<url>");
    expect("see <http://a.example/1>", "see <<url>>");
    expect("a://", "<url>");
    expect("://x", "://x");
    expect("1://x", "<n>://x");
}

Test(error_hash, replaces_quoted_values)
{
    expect("no member \"a b\" in 'c'", "no member <quoted> in <quoted>");
    expect("`x`y`: z", "<quoted>: z");
    expect("it doesn't and won't", "it doesn't and won't");
    expect("5\" and 6\" long", "<n>\" and <n>\" long");
    expect("\"\"", "<quoted>");
    expect("an \"open quote 5", "an \"open quote <n>");
    char text[600] = "value \"";
    memset(text + strlen(text), 'x', 400);
    expect(text, "value <quoted>");
}

/* The 600 opening quotes after each other are looked at once, not each of them against the rest. */
Test(error_hash, is_bounded_for_long_texts, .timeout = 60)
{
    enum { LONG = 1 << 20 };
    static const char *const pieces[] = {"a",      "'a ",  "\"", "` ", "0",    "-",
                                         "http:/", "\xff", " ",  "a1", "\"'`", "a+"};
    char *text = malloc(LONG + 16), pattern[ERROR_PATTERN_MAX + 1];
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
        size_t n = strlen(pieces[k]);
        for (size_t i = 0; i + n <= LONG; i += n)
            memcpy(text + i, pieces[k], n + 1);
        size_t size = error_pattern(text, pattern);
        cr_expect_leq(size, ERROR_PATTERN_MAX);
        cr_expect_eq(strlen(pattern), size);
    }
    free(text);
}

Test(error_hash, takes_any_bytes)
{
    char text[96], pattern[ERROR_PATTERN_MAX + 1], again[ERROR_PATTERN_MAX + 1];
    unsigned seed = 1;
    static const char often[] = "\"'`:/.-0aZ \x80\xff\x01";
    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        for (; n < sizeof text - 1; n++) {
            seed = seed * 1103515245U + 12345U;
            unsigned random = seed >> 16;
            text[n] = random % 4 ? often[random / 4 % (sizeof often - 1)] : (char)(random / 4 % 255 + 1);
        }
        text[n] = '\0';
        size_t size = error_pattern(text, pattern);
        cr_assert_eq(size, error_pattern(text, again));
        cr_assert_str_eq(pattern, again);
        cr_assert_eq(strlen(pattern), size);
    }
}

Test(error_hash, distinguishes_reason_step_and_text)
{
    int64_t one = error_hash(REASON_STEP_FAILED, "pay", "order 5 is gone");
    cr_expect_eq(one, error_hash(REASON_STEP_FAILED, "pay", "order 6 is gone"));
    cr_expect_neq(one, error_hash(REASON_TIMEOUT, "pay", "order 5 is gone"));
    cr_expect_neq(one, error_hash(REASON_STEP_FAILED, "ship", "order 5 is gone"));
    cr_expect_neq(one, error_hash(REASON_STEP_FAILED, NULL, "order 5 is gone"));
    cr_expect_neq(one, error_hash(REASON_STEP_FAILED, "pay", "order 5 is late"));
    cr_expect_neq(error_hash(REASON_STEP_FAILED, "ab", "c"), error_hash(REASON_STEP_FAILED, "a", "bc"));
    /* stored hashes stay valid */
    cr_expect_eq(error_hash(REASON_TIMEOUT, NULL, NULL), error_hash(REASON_TIMEOUT, "", ""));
}
