#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runner/report.h"

static void expect_text(const char *bytes, size_t size, const char *text)
{
    json_object *o = runner_report_text(bytes, size);
    cr_expect_str_eq(json_object_get_string(o), text);
    json_object_put(o);
}

Test(report, replaces_invalid_utf8)
{
    expect_text("gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f");
    expect_text("a\xff"
                "b",
                3,
                "a\xef\xbf\xbd"
                "b");
    expect_text("\xc3", 1, "\xef\xbf\xbd");
    expect_text("\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd");
    expect_text("\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    expect_text("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
    expect_text("a\0b", 3,
                "a\xef\xbf\xbd"
                "b");
}

/* The reader is slow: records are dropped, but a record that was begun is completed first. */
Test(report, drops_records_while_the_pipe_is_full)
{
    enum { PIPE_SIZE = 4096, RECORDS = 100 };
    static char received[64 * 1024];
    char text[301] = "";
    size_t size = 0;
    int p[2], sent = 0, lines = 0;
    cr_assert_eq(pipe(p), 0);
    cr_assert_geq(fcntl(p[1], F_SETPIPE_SZ, PIPE_SIZE), 0);
    memset(text, 'x', sizeof text - 1);
    runner_report_open(p[1]);
    for (int i = 0; i < RECORDS; i++) {
        json_object *record = runner_report_new("log");
        json_object_object_add(record, "text", json_object_new_string(text));
        sent += runner_report_send(record);
    }
    cr_expect_gt(sent, 5);
    cr_expect_lt(sent, 20);
    size += (size_t)read(p[0], received, sizeof received);
    cr_expect(runner_report_send_last(runner_report_new("ended")));
    close(p[1]);
    for (ssize_t n; (n = read(p[0], received + size, sizeof received - size)) > 0;)
        size += (size_t)n;
    for (char *line = received, *end; (end = memchr(line, '\n', size - (size_t)(line - received)));
         line = end + 1, lines++) {
        *end = '\0';
        json_object *record = json_tokener_parse(line);
        cr_expect_not_null(record, "%s", line);
        json_object_put(record);
    }
    cr_expect_eq(lines, sent + 1);
    close(p[0]);
}
