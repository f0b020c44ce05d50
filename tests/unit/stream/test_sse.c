#include <criterion/criterion.h>
#include <talloc.h>

#include "stream/sse.h"

Test(sse, formats_an_event)
{
    char *out = talloc_strdup(NULL, "");
    sse_append_event(&out, 12, EVENT_STEP_STARTED, "{\"a\":1}trailing", 7);
    cr_assert_str_eq(out, "id: 12\nevent: step.started\ndata: {\"a\":1}\n\n");
    talloc_free(out);
}

Test(sse, splits_data_at_line_ends)
{
    char *out = talloc_strdup(NULL, "");
    const char text[] = "{\n\"a\":\r\n1\r}";
    sse_append_event(&out, 1, EVENT_LOG, text, sizeof text - 1);
    cr_assert_str_eq(out, "id: 1\nevent: log\ndata: {\ndata: \"a\":\ndata: 1\ndata: }\n\n");
    talloc_free(out);
}

Test(sse, formats_retry_and_chunks)
{
    char *out = talloc_strdup(NULL, "");
    char head[CHUNK_HEAD_SIZE];
    sse_append_retry(&out, 1500);
    cr_assert_str_eq(out, "retry: 1500\n\n");
    cr_assert_eq(chunk_head(head, 300), 5);
    cr_assert_str_eq(head, "12c\r\n");
    talloc_free(out);
}

Test(sse, formats_empty_and_ending_lines)
{
    char *out = talloc_strdup(NULL, "");
    sse_append_event(&out, 1, EVENT_LOG, "", 0);
    cr_assert_str_eq(out, "id: 1\nevent: log\ndata: \n\n");
    talloc_free(out);
    out = talloc_strdup(NULL, "");
    sse_append_event(&out, 2, EVENT_LOG, "a\n", 2);
    cr_assert_str_eq(out, "id: 2\nevent: log\ndata: a\ndata: \n\n", "the client joins them to a\\n");
    talloc_free(out);
}

Test(sse, appends_events)
{
    char *out = talloc_strdup(NULL, "");
    sse_append_event(&out, 1, EVENT_QUEUED, "{}", 2);
    sse_append_event(&out, 2, EVENT_STOPPED, "{}", 2);
    cr_assert_str_eq(out, "id: 1\nevent: execution.queued\ndata: {}\n\n"
                          "id: 2\nevent: execution.stopped\ndata: {}\n\n");
    talloc_free(out);
}

/* Some clients split the stream at every line end of Unicode. */
Test(sse, line_ends_of_unicode_are_escaped)
{
    char *out = talloc_strdup(NULL, "");
    const char text[] = "{\"a\":\"x\u2028\u2029y\xc2\x85z\u2027\xc2\x84\"}";
    sse_append_event(&out, 1, EVENT_LOG, text, sizeof text - 1);
    cr_assert_str_eq(out, "id: 1\nevent: log\ndata: {\"a\":\"x\\u2028\\u2029y\\u0085z\u2027\xc2\x84\"}\n\n");
    talloc_free(out);
}
