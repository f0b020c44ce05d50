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
static void read_all(struct feed *f, int last, bool is_terminal)
{
    int after = f->sent;
    cr_assert(feed_wants_read(f));
    feed_read(f);
    cr_assert(!feed_wants_read(f));
    feed_read_done(f, last > after ? last : 0, last, is_terminal);
}

Test(feed, history_comes_first)
{
    struct feed f;
    feed_begin(&f, 0);
    cr_assert(!feed_hear(&f, 1, false), "nothing is sent before the history was read");
    read_all(&f, 3, false);
    cr_assert_eq(f.sent, 3);
    cr_assert(!feed_wants_read(&f));
}

Test(feed, live_events_follow_without_reading)
{
    struct feed f;
    feed_begin(&f, 0);
    read_all(&f, 1, false);
    cr_assert(feed_hear(&f, 2, false));
    cr_assert(!feed_hear(&f, 2, false), "a double");
    cr_assert(!feed_hear(&f, 1, false), "an old one");
    cr_assert(feed_hear(&f, 3, true));
    cr_assert(f.ended);
    cr_assert(!feed_hear(&f, 4, false), "nothing after the end");
    cr_assert(!feed_wants_read(&f));
}

Test(feed, a_gap_is_read)
{
    struct feed f;
    feed_begin(&f, 0);
    read_all(&f, 1, false);
    cr_assert(!feed_hear(&f, 3, false));
    read_all(&f, 3, false);
    cr_assert_eq(f.sent, 3);
    cr_assert(feed_hear(&f, 4, true));
}

Test(feed, what_came_during_a_read_is_read_again)
{
    struct feed f;
    feed_begin(&f, 0);
    feed_read(&f);
    cr_assert(!feed_hear(&f, 2, true), "the read may bring it");
    feed_read_done(&f, 1, 1, false);
    read_all(&f, 2, true);
    cr_assert(f.ended);
    cr_assert_eq(f.sent, 2);
}

Test(feed, an_empty_read_does_not_unsay_what_came_during_it)
{
    struct feed f;
    feed_begin(&f, 1);
    feed_read(&f);
    cr_assert(!feed_hear(&f, 2, false));
    feed_read_done(&f, 0, 1, false);
    cr_assert(feed_wants_read(&f));
}

Test(feed, a_lie_costs_one_read)
{
    struct feed f;
    feed_begin(&f, 0);
    read_all(&f, 1, false);
    cr_assert(!feed_hear(&f, 1000, true));
    feed_read(&f);
    feed_read_done(&f, 0, 1, false);
    cr_assert(!feed_wants_read(&f));
    cr_assert(feed_hear(&f, 2, false));
}

Test(feed, a_full_page_is_followed_by_the_next)
{
    struct feed f;
    feed_begin(&f, 0);
    feed_read(&f);
    feed_read_done(&f, 100, 150, true);
    cr_assert(!f.ended);
    feed_read(&f);
    feed_read_done(&f, 150, 150, true);
    cr_assert(f.ended);
}

Test(feed, a_failed_read_is_repeated)
{
    struct feed f;
    feed_begin(&f, 4);
    feed_read(&f);
    feed_read_failed(&f);
    cr_assert(!feed_hear(&f, 5, false));
    read_all(&f, 6, true);
    cr_assert(f.ended);
}

Test(feed, a_sight_fills_what_redis_lost)
{
    struct feed f;
    feed_begin(&f, 0);
    read_all(&f, 2, false);
    feed_sight(&f, 2, false);
    cr_assert(!feed_wants_read(&f));
    feed_sight(&f, 5, true);
    cr_assert(!f.ended);
    read_all(&f, 5, true);
    cr_assert(f.ended);
}

Test(feed, one_who_has_all_of_a_run_that_ended)
{
    struct feed f;
    feed_begin(&f, 7);
    feed_read(&f);
    feed_read_done(&f, 0, 7, true);
    cr_assert(f.ended);
}

/* A run commits events; some are published, late, twice or never; reads take their time. Whatever happens,
 * the subscriber gets every number once, in order. */
static void check_story(unsigned seed)
{
    enum { LAST = 40 };
    struct feed f;
    int committed = 1, snapshot = 0, expected = 0, steps = 0, heard;
    feed_begin(&f, 0);
    while (!f.ended && ++steps < 10000) {
        int before = f.sent;
        switch (rand_r(&seed) % 5) {
        case 0:
            committed += committed < LAST;
            break;
        case 1: /* published: usually the newest, sometimes an old one */
            heard = rand_r(&seed) % 4 ? committed : 1 + rand_r(&seed) % committed;
            feed_hear(&f, heard, heard == LAST);
            break;
        case 2:
            if (feed_wants_read(&f)) {
                feed_read(&f);
                snapshot = committed;
            }
            break;
        case 3:
            if (f.reading && rand_r(&seed) % 8 == 0) {
                feed_read_failed(&f);
            } else if (f.reading) {
                int until = snapshot < f.sent + 3 ? snapshot : f.sent + 3; /* pages of three */
                feed_read_done(&f, until > f.sent ? until : 0, snapshot, snapshot == LAST);
                expected = f.sent; /* the page was sent as a whole */
            }
            break;
        default:
            if (rand_r(&seed) % 4 == 0)
                feed_sight(&f, committed, committed == LAST);
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

Test(feed, any_story_is_told_once_and_whole)
{
    for (unsigned seed = 1; seed <= 2000; seed++)
        check_story(seed);
}

/* --- bytes --- */

Test(sse, an_event)
{
    char *out = talloc_strdup(NULL, "");
    sse_append_event(&out, 12, EVENT_STEP_STARTED, "{\"a\":1}trailing", 7);
    cr_assert_str_eq(out, "id: 12\nevent: step.started\ndata: {\"a\":1}\n\n");
    talloc_free(out);
}

Test(sse, line_ends_in_the_data)
{
    char *out = talloc_strdup(NULL, "");
    const char text[] = "{\n\"a\":\r\n1\r}";
    sse_append_event(&out, 1, EVENT_LOG, text, sizeof text - 1);
    cr_assert_str_eq(out, "id: 1\nevent: log\ndata: {\ndata: \"a\":\ndata: 1\ndata: }\n\n");
    talloc_free(out);
}

Test(sse, retry_and_chunks)
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

static bool reads(const char *text, int *seq_r, enum event_type *type_r)
{
    id run;
    cr_assert(id_parse(RUN, ID_LENGTH, &run));
    return event_text_read(text, strlen(text), &run, seq_r, type_r);
}

Test(event_text, is_read_as_it_was_written)
{
    void *ctx = talloc_new(NULL);
    id run;
    int seq;
    enum event_type type;
    cr_assert(id_parse(RUN, ID_LENGTH, &run));
    for (int t = EVENT_QUEUED; t <= EVENT_STOPPED; t++) {
        char *text =
            event_text(ctx, &run, t * 7, (enum event_type)t, 1736937000123, t % 2 ? "{\"x\":[]}" : NULL);
        cr_assert(reads(text, &seq, &type), "%s", text);
        cr_assert_eq(seq, t * 7);
        cr_assert_eq((int)type, t);
    }
    cr_assert_str_eq(event_text(ctx, &run, 1, EVENT_QUEUED, 1736937000123, NULL),
                     "{\"execution_id\":\"" RUN "\",\"seq\":1,\"type\":\"execution.queued\","
                     "\"at\":\"2025-01-15T10:30:00.123Z\",\"data\":{}}");
    talloc_free(ctx);
}

Test(event_text, other_texts_are_hints)
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
        cr_assert(!reads(texts[i], &seq, &type), "%s", texts[i]);
}

/* --- what nginx asks --- */

static bool asks(const char *target, struct ask *a)
{
    char head[2048];
    int size = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\nx-request-id: abc\r\n\r\n", target);
    return ask_read(head, (size_t)size, a);
}

Test(ask, events_and_waits)
{
    struct ask a;
    cr_assert(
        asks("/internal/stream/events?execution=" RUN "&workspace=" WORKSPACE "&key=" KEY "&after=12", &a));
    cr_assert_eq(a.what, ASK_EVENTS);
    cr_assert_str_eq(a.execution.text, RUN);
    cr_assert_str_eq(a.workspace.text, WORKSPACE);
    cr_assert_str_eq(a.key.text, KEY);
    cr_assert_eq(a.after, 12);
    cr_assert_str_eq(a.request_id, "abc");
    cr_assert(
        asks("/internal/stream/wait?execution=" RUN "&workspace=" WORKSPACE "&seconds=60&form=run", &a));
    cr_assert_eq(a.what, ASK_WAIT);
    cr_assert_eq(a.seconds, 60);
    cr_assert_str_eq(a.query, "execution=" RUN "&workspace=" WORKSPACE "&seconds=60&form=run");
}

Test(ask, everything_else_is_refused)
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
    struct ask a;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        cr_assert(!asks(targets[i], &a), "%s", targets[i]);
    cr_assert(!ask_read("", 0, &a));
    cr_assert(!ask_read("GET", 3, &a));
    cr_assert(!ask_read("POST / HTTP/1.1\r\n\r\n", 19, &a));
}
