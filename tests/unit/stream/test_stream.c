#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "run/event_json.h"
#include "stream/event_merge.h"
#include "stream/internal_request.h"
#include "stream/sse.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"
#define WORKSPACE "0190a5d4-7c3a-7000-8000-000000000002"
#define KEY "0190a5d4-7c3a-7000-8000-000000000003"

/* --- feed --- */

/* A whole read of a run that stands at `last`. */
static void complete_read(struct event_merge *f, int last, bool is_terminal)
{
    int after = f->sent;
    cr_assert(merge_needs_read(f));
    merge_read_begin(f);
    cr_assert(!merge_needs_read(f));
    merge_read_done(f, last > after ? last : 0, last, is_terminal);
}

Test(event_merge, reads_history_before_live_events)
{
    struct event_merge f;
    merge_init(&f, 0);
    cr_assert(!merge_on_event(&f, 1, false), "nothing is sent before the history was read");
    complete_read(&f, 3, false);
    cr_assert_eq(f.sent, 3);
    cr_assert(!merge_needs_read(&f));
}

Test(event_merge, live_events_follow_without_reading)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 1, false);
    cr_assert(merge_on_event(&f, 2, false));
    cr_assert(!merge_on_event(&f, 2, false), "a double");
    cr_assert(!merge_on_event(&f, 1, false), "an old one");
    cr_assert(merge_on_event(&f, 3, true));
    cr_assert(f.ended);
    cr_assert(!merge_on_event(&f, 4, false), "nothing after the end");
    cr_assert(!merge_needs_read(&f));
}

Test(event_merge, a_gap_triggers_a_read)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 1, false);
    cr_assert(!merge_on_event(&f, 3, false));
    complete_read(&f, 3, false);
    cr_assert_eq(f.sent, 3);
    cr_assert(merge_on_event(&f, 4, true));
}

Test(event_merge, events_during_a_read_trigger_another_read)
{
    struct event_merge f;
    merge_init(&f, 0);
    merge_read_begin(&f);
    cr_assert(!merge_on_event(&f, 2, true), "the read may bring it");
    merge_read_done(&f, 1, 1, false);
    complete_read(&f, 2, true);
    cr_assert(f.ended);
    cr_assert_eq(f.sent, 2);
}

Test(event_merge, an_empty_read_keeps_events_received_during_it)
{
    struct event_merge f;
    merge_init(&f, 1);
    merge_read_begin(&f);
    cr_assert(!merge_on_event(&f, 2, false));
    merge_read_done(&f, 0, 1, false);
    cr_assert(merge_needs_read(&f));
}

Test(event_merge, a_false_hint_costs_one_read)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 1, false);
    cr_assert(!merge_on_event(&f, 1000, true));
    merge_read_begin(&f);
    merge_read_done(&f, 0, 1, false);
    cr_assert(!merge_needs_read(&f));
    cr_assert(merge_on_event(&f, 2, false));
}

Test(event_merge, reads_the_next_page_after_a_full_one)
{
    struct event_merge f;
    merge_init(&f, 0);
    merge_read_begin(&f);
    merge_read_done(&f, 100, 150, true);
    cr_assert(!f.ended);
    merge_read_begin(&f);
    merge_read_done(&f, 150, 150, true);
    cr_assert(f.ended);
}

Test(event_merge, a_failed_read_is_repeated)
{
    struct event_merge f;
    merge_init(&f, 4);
    merge_read_begin(&f);
    merge_read_failed(&f);
    cr_assert(!merge_on_event(&f, 5, false));
    complete_read(&f, 6, true);
    cr_assert(f.ended);
}

Test(event_merge, progress_reveals_events_that_redis_lost)
{
    struct event_merge f;
    merge_init(&f, 0);
    complete_read(&f, 2, false);
    merge_on_progress(&f, 2, false);
    cr_assert(!merge_needs_read(&f));
    merge_on_progress(&f, 5, true);
    cr_assert(!f.ended);
    complete_read(&f, 5, true);
    cr_assert(f.ended);
}

Test(event_merge, ends_for_a_subscriber_that_has_all_events)
{
    struct event_merge f;
    merge_init(&f, 7);
    merge_read_begin(&f);
    merge_read_done(&f, 0, 7, true);
    cr_assert(f.ended);
}

/* A run commits events; some are published, late, twice or never; reads take their time. Whatever happens,
 * the subscriber gets every number once, in order. */
static void check_random_history(unsigned seed)
{
    enum { LAST = 40 };
    struct event_merge f;
    int committed = 1, snapshot = 0, expected = 0, steps = 0, heard;
    merge_init(&f, 0);
    while (!f.ended && ++steps < 10000) {
        int before = f.sent;
        switch (rand_r(&seed) % 5) {
        case 0:
            committed += committed < LAST;
            break;
        case 1: /* published: usually the newest, sometimes an old one */
            heard = rand_r(&seed) % 4 ? committed : 1 + rand_r(&seed) % committed;
            merge_on_event(&f, heard, heard == LAST);
            break;
        case 2:
            if (merge_needs_read(&f)) {
                merge_read_begin(&f);
                snapshot = committed;
            }
            break;
        case 3:
            if (f.reading && rand_r(&seed) % 8 == 0) {
                merge_read_failed(&f);
            } else if (f.reading) {
                int until = snapshot < f.sent + 3 ? snapshot : f.sent + 3; /* pages of three */
                merge_read_done(&f, until > f.sent ? until : 0, snapshot, snapshot == LAST);
                expected = f.sent; /* the page was sent as a whole */
            }
            break;
        default:
            if (rand_r(&seed) % 4 == 0)
                merge_on_progress(&f, committed, committed == LAST);
        }
        cr_assert(f.sent <= committed && f.sent >= before);
        if (f.sent != expected) {
            cr_assert_eq(f.sent, expected + 1, "a live event follows the one before");
            expected = f.sent;
        }
    }
    cr_assert(f.ended, "the story ends");
    cr_assert_eq(f.sent, LAST);
}

Test(event_merge, any_history_is_sent_once_and_completely)
{
    for (unsigned seed = 1; seed <= 2000; seed++)
        check_random_history(seed);
}

/* --- bytes --- */

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

/* --- what Redis brings --- */

static bool parse_event(const char *text, int *seq_r, enum event_type *type_r)
{
    id run;
    cr_assert(id_parse(RUN, ID_LENGTH, &run));
    return event_json_read(text, strlen(text), &run, seq_r, type_r);
}

Test(event_json, round_trips)
{
    void *ctx = talloc_new(NULL);
    id run;
    int seq;
    enum event_type type;
    cr_assert(id_parse(RUN, ID_LENGTH, &run));
    for (int t = EVENT_QUEUED; t <= EVENT_STOPPED; t++) {
        char *text =
            event_json_make(ctx, &run, t * 7, (enum event_type)t, 1736937000123, t % 2 ? "{\"x\":[]}" : NULL);
        cr_assert(parse_event(text, &seq, &type), "%s", text);
        cr_assert_eq(seq, t * 7);
        cr_assert_eq((int)type, t);
    }
    cr_assert_str_eq(event_json_make(ctx, &run, 1, EVENT_QUEUED, 1736937000123, NULL),
                     "{\"execution_id\":\"" RUN "\",\"seq\":1,\"type\":\"execution.queued\","
                     "\"at\":\"2025-01-15T10:30:00.123Z\",\"data\":{}}");
    talloc_free(ctx);
}

Test(event_json, rejects_other_texts)
{
    static const char *const texts[] = {
        "",
        "{}",
        "wake up",
        "{\"execution_id\":\"" WORKSPACE "\",\"seq\":1,\"type\":\"log\",\"at\":\"\",\"data\":{}}",
        "{\"execution_id\":\"" RUN "\",\"seq\":0,\"type\":\"log\",\"at\":\"\",\"data\":{}}",
        "{\"execution_id\":\"" RUN "\",\"seq\":-1,\"type\":\"log\",\"at\":\"\",\"data\":{}}",
        "{\"execution_id\":\"" RUN "\",\"seq\":99999999999,\"type\":\"log\",\"at\":\"\",\"data\":{}}",
        "{\"execution_id\":\"" RUN "\",\"seq\":1,\"type\":\"logs\",\"at\":\"\",\"data\":{}}",
        "{\"execution_id\":\"" RUN "\",\"seq\":1,\"type\":\"log\",\"at\":\"\",\"data\":{",
        "{\"execution_id\":\"" RUN "\",\"seq\":1",
    };
    int seq;
    enum event_type type;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert(!parse_event(texts[i], &seq, &type), "%s", texts[i]);
}

/* --- what nginx asks --- */

static bool parse_request(const char *target, struct internal_request *request)
{
    char head[2048];
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
    cr_assert_str_eq(request.request_id, "abc");
    cr_assert(parse_request(
        "/internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE "&seconds=60&form=run", &request));
    cr_assert_eq(request.kind, INTERNAL_REQUEST_WAIT);
    cr_assert_eq(request.seconds, 60);
    cr_assert_str_eq(request.query, "execution=" RUN "&workspace=" WORKSPACE "&seconds=60&form=run");
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
        "/internal/stream/wait/?execution=" RUN "&workspace=" WORKSPACE "&seconds=1",
    };
    struct internal_request request;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        cr_assert(!parse_request(targets[i], &request), "%s", targets[i]);
    cr_assert(!internal_request_parse("", 0, &request));
    cr_assert(!internal_request_parse("GET", 3, &request));
    cr_assert(!internal_request_parse("POST / HTTP/1.1\r\n\r\n", 19, &request));
}
