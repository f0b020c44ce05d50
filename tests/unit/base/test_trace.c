#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/trace.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

Test(trace, reads_and_writes_a_traceparent)
{
    struct trace_context t;
    char text[TRACE_PARENT_TEXT], trace[TRACE_ID_TEXT];
    cr_assert_eq(TRACE_CONTEXT_SIZE, 25);
    cr_assert(trace_parse("00-" TRACE "-" SPAN "-01", &t));
    cr_assert(trace_is_set(&t) && trace_has_span(&t) && !trace_is_recorded(&t));
    trace_parent_text(&t, text);
    cr_assert_str_eq(text, "00-" TRACE "-" SPAN "-01");
    trace_id_text(&t, trace);
    cr_assert_str_eq(trace, TRACE);
    cr_assert(trace_parse("00-" TRACE "-" SPAN "-00", &t));
    cr_assert_eq(t.flags, 0);
}

Test(trace, drops_flags_that_it_does_not_know)
{
    struct trace_context t;
    char text[TRACE_PARENT_TEXT];
    cr_assert(trace_parse("00-" TRACE "-" SPAN "-ff", &t));
    cr_assert(!trace_is_recorded(&t));
    trace_parent_text(&t, text);
    cr_assert_str_eq(text, "00-" TRACE "-" SPAN "-01");
    cr_assert(trace_parse("00-" TRACE "-" SPAN "-fe", &t));
    cr_assert_eq(t.flags, 0);
    t.flags = TRACE_RECORDED | TRACE_SAMPLED;
    trace_parent_text(&t, text);
    cr_assert_str_eq(text + 53, "01");
}

Test(trace, reads_later_versions_as_version_0)
{
    static const char *const later[] = {"01-" TRACE "-" SPAN "-01",
                                        "cc-" TRACE "-" SPAN "-01-what-the-future-brings",
                                        "fe-" TRACE "-" SPAN "-09-", NULL};
    char text[TRACE_PARENT_TEXT];
    for (int i = 0; later[i]; i++) {
        struct trace_context t;
        cr_assert(trace_parse(later[i], &t), "%s", later[i]);
        trace_parent_text(&t, text);
        cr_assert_str_eq(text, "00-" TRACE "-" SPAN "-01");
    }
}

Test(trace, rejects_what_is_not_a_traceparent)
{
    static const char *const wrong[] = {"",
                                        "00",
                                        "ff-" TRACE "-" SPAN "-01",
                                        "ff-" TRACE "-" SPAN "-01-more",
                                        "00-" TRACE "-" SPAN "-01-more",
                                        "00-" TRACE "-" SPAN "-01-",
                                        "00-" TRACE "-" SPAN "-011",
                                        "00-" TRACE "-" SPAN "-1",
                                        "00-" TRACE "-" SPAN "-0g",
                                        "00-" TRACE "-" SPAN "-0A",
                                        "00-" TRACE "-" SPAN,
                                        "00-" TRACE "-" SPAN "-",
                                        "00-00000000000000000000000000000000-" SPAN "-01",
                                        "00-" TRACE "-0000000000000000-01",
                                        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
                                        "00-" TRACE "-00F067AA0BA902B7-01",
                                        "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-01",
                                        "00-" TRACE "0-" SPAN "-01",
                                        "0-" TRACE "-" SPAN "-01",
                                        "0x-" TRACE "-" SPAN "-01",
                                        "00_" TRACE "-" SPAN "-01",
                                        "00-" TRACE "_" SPAN "-01",
                                        "00-" TRACE "-" SPAN "_01",
                                        " 00-" TRACE "-" SPAN "-01",
                                        "00-" TRACE "-" SPAN "-01 ",
                                        "00-" TRACE "-" SPAN "-01, 00-" TRACE "-" SPAN "-01",
                                        "01-" TRACE "-" SPAN "-01x",
                                        "01-" TRACE "-" SPAN "-01.x",
                                        NULL};
    char longest[700];
    struct trace_context t;
    for (int i = 0; wrong[i]; i++) {
        memset(&t, 7, sizeof t);
        cr_assert(!trace_parse(wrong[i], &t), "%s", wrong[i]);
        cr_assert(!trace_is_set(&t) && !trace_has_span(&t) && t.flags == 0, "%s", wrong[i]);
    }
    cr_assert(!trace_parse(NULL, &t));
    snprintf(longest, sizeof longest, "01-%s-%s-01-%0600d", TRACE, SPAN, 7);
    cr_assert(!trace_parse(longest, &t));
    longest[512] = '\0';
    cr_assert(trace_parse(longest, &t));
}

static bool fits(const char *text)
{
    return trace_state_fits(text, strlen(text));
}

Test(trace, takes_a_tracestate_that_may_be_passed_on)
{
    cr_assert(fits("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    cr_assert(fits("a=1 , b=2,\tc=3"));
    cr_assert(fits("fw529a3039@dt=FfSAfg;x:y/z,0key=v"));
    cr_assert(fits("a= leading"));
    cr_assert(fits("a=1,,b=2,"));
    static const char *const wrong[] = {"",           ",",     "a",     "=1",     "a=",      "A=1",
                                        "a=1,a=2",    "a=1=2", "a b=1", "a=\x7f", "a=1\x01", "_a=1",
                                        "a=\xc3\xa9", "@a=1",  "a=1,b", NULL};
    for (int i = 0; wrong[i]; i++)
        cr_assert(!fits(wrong[i]), "%s", wrong[i]);
    cr_assert(!trace_state_fits("a\0b=1", 5));
    cr_assert(!trace_state_fits("a=\0b", 4));
    cr_assert(!trace_state_fits(NULL, 0));
}

Test(trace, limits_a_tracestate)
{
    char text[1024] = "";
    for (int i = 0; i < TRACE_STATE_MEMBERS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sk%d=v", i ? "," : "", i);
    cr_assert(fits(text));
    strcat(text, ",one=more");
    cr_assert(!fits(text));
    memset(text, 'v', sizeof text);
    memcpy(text, "a=1,", 4);
    text[257 + 2] = ',';
    text[3] = ',';
    memcpy(text, "a=", 2);
    cr_assert(!trace_state_fits(text, 600));
    snprintf(text, sizeof text, "a=%0256d", 1);
    cr_assert(fits(text));
    snprintf(text, sizeof text, "a=%0257d", 1);
    cr_assert(!fits(text));
    snprintf(text, sizeof text, "a=%0253d,b=%0254d", 1, 2);
    cr_assert_eq(strlen(text), TRACE_STATE_MAX);
    cr_assert(fits(text));
    snprintf(text, sizeof text, "a=%0254d,b=%0254d", 1, 2);
    cr_assert(!fits(text));
}

Test(trace, an_execution_without_a_context_is_the_trace_of_its_root)
{
    id root;
    char text[TRACE_ID_TEXT];
    cr_assert(id_parse("01a21993-534b-766f-9b08-1c8e7b2ba486", 36, &root));
    struct trace_context t = trace_of_root(&root);
    trace_id_text(&t, text);
    cr_assert_str_eq(text, "01a21993534b766f9b081c8e7b2ba486");
    cr_assert(!trace_has_span(&t));
    root.text[0] = '\0';
    t = trace_of_root(&root);
    cr_assert(!trace_is_set(&t));
}

Test(trace, reads_what_is_stored)
{
    struct trace_context t, again;
    cr_assert(trace_parse("00-" TRACE "-" SPAN "-01", &t));
    again = trace_from_bytes(&t, sizeof t);
    cr_assert_eq(memcmp(&t, &again, sizeof t), 0);
    again = trace_from_bytes(&t, sizeof t - 1);
    cr_assert(!trace_is_set(&again));
    again = trace_from_bytes(NULL, 0);
    cr_assert(!trace_is_set(&again));
}

Test(trace, ids_of_spans_are_the_same_everywhere_and_differ)
{
    id a, b;
    uint8_t one[TRACE_SPAN_SIZE], other[TRACE_SPAN_SIZE];
    cr_assert(id_parse("01a21993-534b-766f-9b08-1c8e7b2ba486", 36, &a));
    cr_assert(id_parse("01a21993-534b-766f-9b08-1c8e7b2ba487", 36, &b));
    trace_span_id(&a, (struct trace_key){TRACE_SPAN_TRY, 3, -1, 2}, one);
    static const uint8_t stable[] = {0x31, 0x9b, 0xb9, 0x9c, 0x34, 0x3b, 0x70, 0x01};
    cr_assert_arr_eq(one, stable, sizeof one, "processes of two releases agree");
    static const struct trace_key keys[] = {{TRACE_SPAN_STEP, 3, -1, 2}, {TRACE_SPAN_TRY, 2, -1, 3},
                                            {TRACE_SPAN_TRY, 3, 0, 2},   {TRACE_SPAN_TRY, 3, -1, 1},
                                            {TRACE_SPAN_TRY, 4, -1, 2},  {.span = TRACE_SPAN_RUN}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        trace_span_id(&a, keys[i], other);
        cr_assert_neq(memcmp(one, other, sizeof one), 0);
    }
    trace_span_id(&b, (struct trace_key){TRACE_SPAN_TRY, 3, -1, 2}, other);
    cr_assert_neq(memcmp(one, other, sizeof one), 0);
}

Test(trace, a_callers_span_stays_the_parent_where_nothing_is_recorded)
{
    struct trace_context t, below;
    id run;
    cr_assert(id_parse("01a21993-534b-766f-9b08-1c8e7b2ba486", 36, &run));
    cr_assert(trace_parse("00-" TRACE "-" SPAN "-01", &t));
    below = trace_below(&t, &run, (struct trace_key){.span = TRACE_SPAN_TRY});
    cr_assert_eq(memcmp(&t, &below, sizeof t), 0);
    t.flags |= TRACE_RECORDED;
    below = trace_below(&t, &run, (struct trace_key){.span = TRACE_SPAN_TRY});
    cr_assert_neq(memcmp(t.span_id, below.span_id, sizeof t.span_id), 0);
    cr_assert_eq(memcmp(t.trace_id, below.trace_id, sizeof t.trace_id), 0);
    cr_assert_eq(t.flags, below.flags);
    t = trace_of_root(&run);
    below = trace_below(&t, &run, (struct trace_key){.span = TRACE_SPAN_TRY});
    cr_assert(trace_has_span(&below));
}

Test(trace, reads_ratios)
{
    static const struct {
        const char *text;
        uint32_t millionths;
    } right[] = {{"0", 0},         {"1", 1000000},  {"0.01", 10000},
                 {"1.0", 1000000}, {"0.000001", 1}, {"0.5", 500000}};
    static const char *const wrong[] = {"",         ".5",   "0.",   "2",   "1.1",  "-1", "0.0000001",
                                        "1.000001", "0.5 ", "1e-3", "nan", "00.1", NULL};
    uint32_t millionths;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        cr_assert(trace_parse_ratio(right[i].text, &millionths), "%s", right[i].text);
        cr_assert_eq(millionths, right[i].millionths, "%s", right[i].text);
    }
    for (int i = 0; wrong[i]; i++)
        cr_assert(!trace_parse_ratio(wrong[i], &millionths), "%s", wrong[i]);
}

Test(trace, a_ratio_takes_its_share_also_of_derived_ids)
{
    int taken = 0, derived = 0;
    id first = id_new();
    for (unsigned i = 0; i < 10000; i++) {
        id one = id_new(), of_batch = id_derive(&first, i);
        taken += trace_ratio_takes(&one, 100000);
        derived += trace_ratio_takes(&of_batch, 100000);
        cr_assert(trace_ratio_takes(&one, 1000000) && !trace_ratio_takes(&one, 0));
    }
    cr_assert(taken > 800 && taken < 1200, "%d", taken);
    cr_assert(derived > 800 && derived < 1200, "%d", derived);
}
