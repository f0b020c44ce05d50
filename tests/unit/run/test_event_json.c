#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "run/event_json.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"
#define WORKSPACE "0190a5d4-7c3a-7000-8000-000000000002"

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
    for (int t = EVENT_QUEUED; event_is_known((enum event_type)t); t++) {
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

Test(event_json, three_types_are_terminal)
{
    for (int t = EVENT_QUEUED; t <= EVENT_STOPPED; t++)
        cr_expect_eq(event_is_terminal((enum event_type)t),
                     t == EVENT_SUCCEEDED || t == EVENT_FAILED || t == EVENT_STOPPED, "type %d", t);
}
