#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "stream/internal_request.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"
#define WORKSPACE "0190a5d4-7c3a-7000-8000-000000000002"
#define KEY "0190a5d4-7c3a-7000-8000-000000000003"

static bool parse_request(const char *target, struct internal_request *request)
{
    char head[INTERNAL_REQUEST_QUERY_MAX + 512];
    int size = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\nx-request-id: abc\r\n\r\n", target);
    return internal_request_parse(head, (size_t)size, request);
}

Test(internal_request, parses_events_and_waits)
{
    struct internal_request request;
    cr_assert(parse_request(
        "/internal/stream/events?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=12", &request));
    cr_assert_eq(request.kind, INTERNAL_REQUEST_EVENTS);
    cr_assert_str_eq(request.execution.text, RUN);
    cr_assert_str_eq(request.workspace.text, WORKSPACE);
    cr_assert_str_eq(request.key.text, KEY);
    cr_assert_eq(request.after, 12);
    cr_assert_eq(request.streams, INT_MAX);
    cr_assert_str_eq(request.request_id, "abc");
    cr_assert(parse_request(
        "/internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE "&seconds=60&form=run", &request));
    cr_assert_eq(request.kind, INTERNAL_REQUEST_WAIT);
    cr_assert_eq(request.seconds, 60);
    cr_assert_str_eq(request.query, "execution=" RUN "&workspace=" WORKSPACE "&seconds=60&form=run");
}

#define CALL "/internal/stream/call?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=3&progress=2&"

Test(internal_request, parses_calls)
{
    struct internal_request request;
    cr_assert(parse_request(CALL "rpc=223122&token=37&prime=1&seconds=50&streams=9", &request));
    cr_assert_eq(request.kind, INTERNAL_REQUEST_CALL);
    cr_assert_str_eq(request.rpc_id, "\"1\"");
    cr_assert_str_eq(request.token, "7");
    cr_assert(request.after == 3 && request.progress == 2 && request.prime == 1 && request.seconds == 50);
    cr_assert(parse_request(CALL "rpc=31&token=&prime=0&seconds=1&streams=9", &request));
    cr_assert_str_eq(request.token, "");
}

Test(internal_request, gauges)
{
    struct internal_request r;
    const char *head = "GET /internal/stream/gauges? HTTP/1.1\r\n\r\n",
               *more = "GET /internal/stream/gauges?a=1 HTTP/1.1\r\n\r\n";
    cr_assert(internal_request_parse(head, strlen(head), &r));
    cr_assert_eq(r.kind, INTERNAL_REQUEST_GAUGES);
    cr_assert_not(internal_request_parse(more, strlen(more), &r));
}

#define LOG "/internal/stream/executor-log?workspace=" WORKSPACE "&key=" KEY "&streams=20&"

Test(internal_request, parses_the_executors_log)
{
    struct internal_request request;
    cr_assert(parse_request(LOG "after=1764250000000-7&level=2&of=" RUN "&run=&text=6f6f6d", &request));
    cr_assert_eq(request.kind, INTERNAL_REQUEST_EXECUTOR_LOG);
    cr_assert(request.log_has_position && !request.log_from_start);
    cr_assert(request.log_after.ms == 1764250000000 && request.log_after.seq == 7);
    cr_assert_eq(request.level, 2);
    cr_assert_str_eq(request.log_workspace.text, RUN);
    cr_assert(!id_is_set(&request.log_execution));
    cr_assert_str_eq(request.log_text, "oom");
    cr_assert(parse_request(LOG "after=new&level=0&of=&run=" RUN "&text=", &request));
    cr_assert(!request.log_has_position && !request.log_from_start);
    cr_assert_str_eq(request.log_execution.text, RUN);
    cr_assert(parse_request(LOG "after=all&level=0&of=&run=&text=", &request));
    cr_assert(request.log_from_start);
    static const char *const wrong[] = {
        LOG "level=0&of=&run=&text=",           LOG "after=&level=0&of=&run=&text=",
        LOG "after=1-&level=0&of=&run=&text=",  LOG "after=old&level=0&of=&run=&text=",
        LOG "after=new&level=4&of=&run=&text=", LOG "after=new&level=0&of=x&run=&text=",
        LOG "after=new&level=0&run=&text=",     LOG "after=new&level=0&of=&run=&text=6",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect(!parse_request(wrong[i], &request), "%s", wrong[i]);
}

Test(internal_request, rejects_everything_else)
{
    static const char *const targets[] = {
        "/internal/stream/events",
        "/internal/stream/events?execution=" RUN "&workspace=" WORKSPACE "&after=0",
        "/internal/stream/events?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY,
        "/internal/stream/events?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=-1",
        "/internal/stream/events?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=1x",
        "/internal/stream/events?execution=x&workspace=" WORKSPACE "&key=" KEY "&after=1",
        "/internal/stream/events?xexecution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=1",
        "/internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE "&seconds=0",
        "/internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE "&seconds=61",
        CALL "rpc=&token=&prime=0&seconds=1&streams=9",
        CALL "rpc=3&token=&prime=0&seconds=1&streams=9",
        CALL "rpc=31&token=xx&prime=0&seconds=1&streams=9",
        CALL "rpc=31&token=&prime=2&seconds=1&streams=9",
        CALL "rpc=31&token=&prime=1&seconds=0&streams=9",
        "/internal/stream/wait/?execution=" RUN "&workspace=" WORKSPACE "&seconds=1",
    };
    struct internal_request request;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        cr_assert(!parse_request(targets[i], &request), "%s", targets[i]);
    cr_assert(!internal_request_parse("", 0, &request));
    cr_assert(!internal_request_parse("GET", 3, &request));
    cr_assert(!internal_request_parse("POST / HTTP/1.1\r\n\r\n", 19, &request));
}

Test(internal_request, ignores_other_headers_and_a_long_request_id)
{
    static const char start[] = "GET /internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE
                                "&seconds=1 HTTP/1.1\r\nX-Request: no\r\nX-Request-Id:";
    struct internal_request request;
    char head[1024], value[INTERNAL_REQUEST_ID_MAX + 2] = "";
    for (int size = INTERNAL_REQUEST_ID_MAX; size <= INTERNAL_REQUEST_ID_MAX + 1; size++) {
        memset(value, 'r', (size_t)size);
        int n = snprintf(head, sizeof head, "%s   %s\r\n\r\n", start, value);
        cr_assert(internal_request_parse(head, (size_t)n, &request));
        cr_assert_str_eq(request.request_id, size <= INTERNAL_REQUEST_ID_MAX ? value : "");
    }
    int n = snprintf(head, sizeof head, "%s\r\n\r\n", start);
    cr_assert(internal_request_parse(head, (size_t)n, &request));
    cr_assert_str_eq(request.request_id, "");
}

Test(internal_request, rejects_a_long_query_and_nul)
{
    static const char prefix[] = "execution=" RUN "&workspace=" WORKSPACE "&seconds=5&x=";
    struct internal_request request;
    char target[INTERNAL_REQUEST_QUERY_MAX + 128], query[INTERNAL_REQUEST_QUERY_MAX + 2];
    for (int size = INTERNAL_REQUEST_QUERY_MAX; size <= INTERNAL_REQUEST_QUERY_MAX + 1; size++) {
        memset(query, 'x', sizeof query);
        memcpy(query, prefix, sizeof prefix - 1);
        query[size] = '\0';
        snprintf(target, sizeof target, "/internal/stream/wait?%s", query);
        cr_assert_eq(parse_request(target, &request), size <= INTERNAL_REQUEST_QUERY_MAX);
    }
    static const char nul[] = "GET /internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE
                              "&seconds=1 HTTP/1.1\r\n\0\r\n\r\n";
    cr_assert(!internal_request_parse(nul, sizeof nul - 1, &request));
}

Test(internal_request, takes_the_quota_of_streams)
{
    struct internal_request request;
    static const char wait[] =
        "/internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE "&seconds=1&streams=";
    char target[512];
    snprintf(target, sizeof target, "%s%d", wait, 7);
    cr_assert(parse_request(target, &request));
    cr_assert_eq(request.streams, 7);
    snprintf(target, sizeof target, "%sx", wait);
    cr_assert(!parse_request(target, &request));
}

Test(internal_request, the_log_is_a_stream_of_events)
{
    struct internal_request request;
    static const char rest[] = "?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=0";
    char target[512];
    snprintf(target, sizeof target, "/internal/stream/log%s", rest);
    cr_assert(parse_request(target, &request));
    cr_expect(request.kind == INTERNAL_REQUEST_EVENTS && request.as_log);
    snprintf(target, sizeof target, "/internal/stream/events%s", rest);
    cr_assert(parse_request(target, &request));
    cr_expect(request.kind == INTERNAL_REQUEST_EVENTS && !request.as_log);
    snprintf(target, sizeof target, "/internal/stream/logs%s", rest);
    cr_expect_not(parse_request(target, &request));
}

#define FEED "/internal/stream/feed?workspace=" WORKSPACE "&key=" KEY

Test(internal_request, parses_feeds)
{
    struct internal_request request;
    cr_assert(parse_request(FEED "&after=1795752531472001&missed=1&states=56&responders=" RUN "," KEY
                                 "&tag=c3a420&streams=9",
                            &request));
    cr_assert_eq(request.kind, INTERNAL_REQUEST_FEED);
    cr_assert_eq(request.feed_after, 1795752531472001);
    cr_assert_eq(request.missed, 1);
    cr_assert_eq(request.states, 56);
    cr_assert_eq(request.responders_n, 2);
    cr_assert_str_eq(request.responders[1].text, KEY);
    cr_assert_str_eq(request.tag, "\xc3\xa4 ");
    cr_assert_eq(request.streams, 9);
    cr_assert(parse_request(FEED "&after=0&missed=0&states=8&responders=&tag=", &request));
    cr_assert_eq(request.responders_n, 0);
    cr_assert_str_eq(request.tag, "");
}

Test(internal_request, rejects_feeds_with_missing_or_bad_parameters)
{
    static const char *const rest[] = {
        "&missed=0&states=8&responders=&tag=",          "&after=&missed=0&states=8&responders=&tag=",
        "&after=-1&missed=0&states=8&responders=&tag=", "&after=1x&missed=0&states=8&responders=&tag=",
        "&after=1&missed=2&states=8&responders=&tag=",  "&after=1&missed=0&states=0&responders=&tag=",
        "&after=1&missed=0&states=8&responders=x&tag=", "&after=1&missed=0&states=8&responders=&tag=0",
        "&after=1&missed=0&states=8&responders=&tag=zz"};
    struct internal_request request;
    char target[512];
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        snprintf(target, sizeof target, FEED "%s", rest[i]);
        cr_assert(!parse_request(target, &request), "%s", rest[i]);
    }
    char many[(INTERNAL_REQUEST_RESPONDERS_MAX + 1) * sizeof RUN + 1] = "",
                                                                   long_tag[2 * INTERNAL_REQUEST_TAG_MAX + 3];
    for (int i = 0; i <= INTERNAL_REQUEST_RESPONDERS_MAX; i++)
        strcat(strcat(many, i ? "," : ""), RUN);
    snprintf(long_tag, sizeof long_tag, "%0*d", 2 * INTERNAL_REQUEST_TAG_MAX + 2, 0);
    char big[INTERNAL_REQUEST_QUERY_MAX];
    snprintf(big, sizeof big, FEED "&after=1&missed=0&states=8&responders=%s&tag=", many);
    cr_assert(!parse_request(big, &request));
    snprintf(big, sizeof big, FEED "&after=1&missed=0&states=8&responders=&tag=%s", long_tag);
    cr_assert(!parse_request(big, &request));
}
