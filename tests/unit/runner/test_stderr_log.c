#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "runner/report.h"
#include "runner/stderr_log.h"
#include "json/json.h"

/* `message_r` has 64 bytes. */
static bool parse_progress(const char *line, int *percent, char *message_r)
{
    struct span message;
    bool is_progress = stderr_log_parse_progress(line, strlen(line), percent, &message);
    if (is_progress)
        snprintf(message_r, 64, "%.*s", (int)message.size, message.at);
    return is_progress;
}

Test(stderr_log, parses_progress_lines)
{
    int percent = -1;
    char message[64];
    cr_expect(parse_progress("::progress 40 half way", &percent, message));
    cr_expect_eq(percent, 40);
    cr_expect_str_eq(message, "half way");
    cr_expect(parse_progress("::progress 7", &percent, message));
    cr_expect_eq(percent, 7);
    cr_expect_str_eq(message, "");
    cr_expect(parse_progress("::progress 99999999999999999999 a very long message", &percent, message));
    cr_expect_eq(percent, 100);
    cr_expect_str_eq(message, "a very long message");
    cr_expect(parse_progress("::progress 50% x", &percent, message));
    cr_expect_not(parse_progress("::progress", &percent, message));
    cr_expect_not(parse_progress("::progress -1 x", &percent, message));
    cr_expect_not(parse_progress("::progress 5x", &percent, message));
    cr_expect_not(parse_progress(" ::progress 5", &percent, message));
}

static struct stderr_log *new_log(void *ctx, uint64_t max)
{
    char path[] = "/tmp/runner-log-XXXXXX";
    struct stderr_log *log = talloc_zero(ctx, struct stderr_log);
    log->fd = mkstemp(path);
    unlink(path);
    log->max_bytes = max;
    return log;
}

static void expect_kept(const struct stderr_log *log, const char *text)
{
    char kept[256] = "";
    cr_assert_geq(pread(log->fd, kept, sizeof kept - 1, 0), 0);
    cr_expect_str_eq(kept, text);
}

Test(stderr_log, accepts_a_log_in_chunks)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 100);
    const char *text = "one\n::progress 5 x\ntwo";
    for (const char *c = text; *c; c++)
        stderr_log_feed(log, c, 1);
    expect_kept(log, "one\n");
    cr_expect(log->has_progress);
    stderr_log_end(log);
    expect_kept(log, "one\ntwo");
    talloc_free(ctx);
}

Test(stderr_log, a_log_stops_at_its_cap)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 6);
    stderr_log_feed(log, "one\ntwo\nthree\n", 14);
    expect_kept(log, "one\ntw");
    cr_expect(log->truncated);
    cr_expect_eq(log->kept_bytes, 6);
    talloc_free(ctx);
}

Test(stderr_log, a_long_line_is_never_progress)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 100000);
    char *line = talloc_zero_size(ctx, LOG_LINE_MAX);
    memset(line, 'x', LOG_LINE_MAX);
    stderr_log_feed(log, line, LOG_LINE_MAX);
    stderr_log_feed(log, "::progress 5 x\n", 15);
    cr_expect_not(log->has_progress);
    cr_expect_eq(log->kept_bytes, LOG_LINE_MAX + 15);
    talloc_free(ctx);
}

Test(stderr_log, sends_at_intervals)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 100);
    int p[2];
    cr_assert_eq(pipe(p), 0);
    runner_report_open(p[1]);
    cr_expect_eq(stderr_log_send(log, 1000, false), -1, "there is nothing to send");
    stderr_log_feed(log, "one\n", 4);
    cr_expect_eq(stderr_log_send(log, 1000, false), -1);
    stderr_log_feed(log, "two\n", 4);
    cr_expect_eq(stderr_log_send(log, 1100, false), LOG_INTERVAL_MS - 100);
    cr_expect_eq(stderr_log_send(log, 1100, true), -1, "the last batch does not wait");
    char text[256] = "";
    cr_assert_geq(read(p[0], text, sizeof text - 1), 0);
    cr_expect_not_null(strstr(text, "one"));
    cr_expect_not_null(strstr(text, "two"));
    talloc_free(ctx);
}

/* Reads all records that were sent, and returns the texts of the log records joined; *omitted_r is the sum.
 */
static char *received(void *ctx, int fd, int64_t *omitted_r)
{
    char *lines = talloc_zero_size(ctx, 1 << 20), *texts = talloc_strdup(ctx, ""), *rest;
    cr_assert_geq(read(fd, lines, (1 << 20) - 1), 0);
    *omitted_r = 0;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_object *o;
        const char *why;
        cr_assert_eq(json_parse(ctx, line, strlen(line), 4, &o, &why), OK, "%s", line);
        texts = talloc_strdup_append(texts, json_get_text(o, "text"));
        *omitted_r += json_object_get_int64(json_get(o, "omitted_bytes"));
    }
    return texts;
}

static char *many(void *ctx, const char *character, size_t n)
{
    char *text = talloc_strdup(ctx, "");
    for (size_t i = 0; i < n; i++)
        text = talloc_strdup_append_buffer(text, character);
    return text;
}

Test(stderr_log, no_batch_divides_a_character)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    int p[2];
    cr_assert_eq(pipe(p), 0);
    runner_report_open(p[1]);
    for (size_t i = 0; i < sizeof characters / sizeof *characters; i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            void *ctx = talloc_new(NULL);
            struct stderr_log *log = new_log(ctx, 1 << 20);
            char *text = talloc_asprintf(ctx, "%.*s%s", (int)shift, "abc", many(ctx, characters[i], 1500));
            int64_t omitted;
            /* a part of the line is sent while the rest has not come; 1500 characters fill LOG_LINE_MAX */
            stderr_log_feed(log, text, strlen(text));
            stderr_log_send(log, 1000, false);
            stderr_log_end(log);
            stderr_log_send(log, 2000, true);
            cr_expect_str_eq(received(ctx, p[0], &omitted), text);
            cr_expect_eq(omitted, 0);
            close(log->fd);
            talloc_free(ctx);
        }
    }
}

Test(stderr_log, what_does_not_fit_a_batch_is_counted)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 30000);
    char *text = talloc_asprintf(ctx, "%s\n", many(ctx, "\xe2\x82\xac", 13000)); /* 39,001 bytes */
    int64_t omitted;
    int p[2];
    cr_assert_eq(pipe(p), 0);
    runner_report_open(p[1]);
    stderr_log_feed(log, text, strlen(text));
    cr_expect_eq(stderr_log_send(log, 1000, false), -1);
    char *shown = received(ctx, p[0], &omitted);
    cr_expect_eq(strncmp(shown, text, strlen(shown)), 0, "the beginning, without replacement characters");
    cr_expect_gt(strlen(shown), (size_t)LOG_BATCH_MAX - 3);
    cr_expect_eq((int64_t)strlen(shown) + omitted, (int64_t)strlen(text));
    cr_expect_leq(log->kept_bytes, 30000U);
    cr_expect(log->truncated);
    /* the log is full: a later line is reported as omitted */
    stderr_log_feed(log, "more\n", 5);
    stderr_log_send(log, 2000, true);
    cr_expect_str_eq(received(ctx, p[0], &omitted), "");
    cr_expect_eq(omitted, 5);
    talloc_free(ctx);
}

/* The message of the one progress record that was sent. */
static const char *received_message(void *ctx, int fd)
{
    char *line = talloc_zero_size(ctx, 1 << 16);
    json_object *o;
    const char *why;
    cr_assert_geq(read(fd, line, (1 << 16) - 1), 0);
    cr_assert_eq(json_parse(ctx, line, strlen(line), 4, &o, &why), OK, "%s", line);
    cr_assert_str_eq(json_get_text(o, "type"), "progress");
    return json_get_text(o, "message");
}

Test(stderr_log, a_progress_message_is_sent_whole)
{
    void *ctx = talloc_new(NULL);
    struct stderr_log *log = new_log(ctx, 100);
    char *message = many(ctx, "\xe2\x82\xac", (LOG_LINE_MAX - 16) / 3);
    char *line = talloc_asprintf(ctx, "::progress 1 %s\n", message);
    int p[2];
    cr_assert_eq(pipe(p), 0);
    runner_report_open(p[1]);
    stderr_log_feed(log, line, strlen(line));
    stderr_log_send(log, 1000, true);
    cr_expect_str_eq(received_message(ctx, p[0]), message);
    static const char with_nul[] = "::progress 2 one\0two\n";
    stderr_log_feed(log, with_nul, sizeof with_nul - 1);
    stderr_log_send(log, 2000, true);
    cr_expect_str_eq(received_message(ctx, p[0]), "one\xef\xbf\xbdtwo", "the text after a NUL is not lost");
    static const char windows[] = "::progress 3 one\r\n";
    stderr_log_feed(log, windows, sizeof windows - 1);
    stderr_log_send(log, 3000, true);
    cr_expect_str_eq(received_message(ctx, p[0]), "one", "the end of a line is CR LF as well");
    cr_expect_eq(log->kept_bytes, 0);
    talloc_free(ctx);
}
