#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/event_stream.h"

static void note_event(void *arg, const char *type, const char *data, size_t size)
{
    char **text = arg;
    cr_assert_eq(strlen(data), size);
    *text = talloc_asprintf_append(*text, "%s=%s;", type, data);
}

/* The events of the text, fed in pieces of `piece` bytes, as "type=data;". */
static char *events_of(void *ctx, const char *text, size_t piece)
{
    char *out = talloc_strdup(ctx, "");
    struct event_stream *s = event_stream_new(ctx, note_event, &out);
    size_t size = strlen(text);
    for (size_t at = 0; at < size; at += piece)
        event_stream_feed(s, text + at, size - at < piece ? size - at : piece);
    event_stream_finish(s);
    return out;
}

Test(event_stream, follows_the_standard_however_it_is_cut)
{
    static const struct {
        const char *text, *events;
    } cases[] = {
        {"data: a\n\ndata:b\r\rdata:  c\r\n\r\n", "message=a;message=b;message= c;"},
        {"\xef\xbb\xbf"
         "data: a\n\n\xef\xbb\xbf"
         "data: b\n\n",
         "message=a;"},
        {"data: a\ndata\ndata: b\n\n", "message=a\n\nb;"},
        {"data\n\n", "message=;"},
        {"data:\n\n", "message=;"},
        {": a comment\n:\ndata: a\n: another\n\n", "message=a;"},
        {"event: error\ndata: a\n\ndata: b\n\n", "error=a;message=b;"},
        {"event: dropped\n\ndata: a\n\n", "message=a;"},
        {"id: 1\nretry: 10\nother: x\ndatax: y\n data: z\ndata: a\n\n", "message=a;"},
        {"data: a:b : c\n\n", "message=a:b : c;"},
        {"\r\n\r\n\n\rdata: a\r\ndata: b\r\r\n", "message=a\nb;"},
        /* without its empty line: passed on at the end */
        {"data: a\n\ndata: b", "message=a;message=b;"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
            void *ctx = talloc_new(NULL);
            cr_expect_str_eq(events_of(ctx, cases[i].text, piece), cases[i].events, "case %zu, pieces of %zu",
                             i, piece);
            talloc_free(ctx);
        }
    }
}

Test(event_stream, a_type_with_a_nul_counts_as_none)
{
    static const char text[] = "event: error\0x\ndata: a\n\n";
    void *ctx = talloc_new(NULL);
    char *out = talloc_strdup(ctx, "");
    struct event_stream *s = event_stream_new(ctx, note_event, &out);
    event_stream_feed(s, text, sizeof text - 1);
    cr_expect_str_eq(out, "message=a;");
    talloc_free(ctx);
}

static bool recognized(const char *text)
{
    void *ctx = talloc_new(NULL);
    char *out = talloc_strdup(ctx, "");
    struct event_stream *s = event_stream_new(ctx, note_event, &out);
    event_stream_feed(s, text, strlen(text));
    event_stream_finish(s);
    bool is = event_stream_is_recognized(s);
    talloc_free(ctx);
    return is;
}

Test(event_stream, is_recognized_by_a_comment_or_a_field)
{
    cr_expect(recognized(": ping\n"));
    cr_expect(recognized("\xef\xbb\xbf"
                         "event: x\n"));
    cr_expect(recognized("data"));
    cr_expect_not(recognized("{\n\"data\": 1,\n\"a\":\"data: b\"}"));
    cr_expect_not(recognized("<html>\n"));
    cr_expect_not(recognized(""));
}
