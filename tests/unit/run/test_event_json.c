#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "run/event_json.h"

static const id execution = {"01890000-0000-7000-8000-000000000001"};
static const id other = {"01890000-0000-7000-8000-000000000002"};

Test(event_json, writes_the_object_that_clients_receive)
{
    char *text = event_json_make(NULL, &execution, 3, EVENT_PROGRESS, 0, "{\"percent\":5}");
    cr_assert_str_eq(text, "{\"execution_id\":\"01890000-0000-7000-8000-000000000001\",\"seq\":3,"
                           "\"type\":\"progress\",\"at\":\"1970-01-01T00:00:00.000Z\","
                           "\"data\":{\"percent\":5}}");
    talloc_free(text);
}

Test(event_json, reads_what_it_has_written)
{
    for (int t = EVENT_QUEUED; t <= EVENT_STOPPED; t++) {
        char *text = event_json_make(NULL, &execution, 100 + t, (enum event_type)t, 0, NULL);
        int seq = 0;
        enum event_type type = 0;
        cr_assert(event_json_read(text, strlen(text), &execution, &seq, &type), "%s", text);
        cr_expect_eq(seq, 100 + t);
        cr_expect_eq((int)type, t);
        talloc_free(text);
    }
}

Test(event_json, rejects_another_execution_and_texts_cut_short)
{
    char *text = event_json_make(NULL, &execution, 7, EVENT_FAILED, 0, NULL);
    int seq;
    enum event_type type;
    cr_expect_not(event_json_read(text, strlen(text), &other, &seq, &type));
    for (size_t size = 0; size < strlen(text); size++) {
        if (size == 0 || text[size - 1] != '}')
            cr_expect_not(event_json_read(text, size, &execution, &seq, &type), "%zu bytes", size);
    }
    talloc_free(text);
}

Test(event_json, rejects_numbers_and_types_that_do_not_exist)
{
    static const char *const texts[] = {
        "{\"execution_id\":\"01890000-0000-7000-8000-000000000001\",\"seq\":0,\"type\":\"log\",}",
        "{\"execution_id\":\"01890000-0000-7000-8000-000000000001\",\"seq\":-1,\"type\":\"log\",}",
        "{\"execution_id\":\"01890000-0000-7000-8000-000000000001\",\"seq\":1234567890,\"type\":\"log\",}",
        "{\"execution_id\":\"01890000-0000-7000-8000-000000000001\",\"seq\":1,\"type\":\"logs\",}",
        "{\"execution_id\":\"01890000-0000-7000-8000-000000000001\",\"seq\":1,\"type\":\"lo\",}",
        "{\"seq\":1}",
        "}",
    };
    int seq;
    enum event_type type;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_not(event_json_read(texts[i], strlen(texts[i]), &execution, &seq, &type), "%s", texts[i]);
}

Test(event_json, three_types_are_terminal)
{
    for (int t = EVENT_QUEUED; t <= EVENT_STOPPED; t++)
        cr_expect_eq(event_is_terminal((enum event_type)t),
                     t == EVENT_SUCCEEDED || t == EVENT_FAILED || t == EVENT_STOPPED, "type %d", t);
}
