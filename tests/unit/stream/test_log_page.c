#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "stream/log_page.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"
#define WORKSPACE "0190a5d4-7c3a-7000-8000-000000000002"

static const char lines[] =
    "{\"at\":\"t1\",\"level\":\"info\",\"process\":\"executor[1]\",\"event\":\"run.claimed\",\"execution\":"
    "\"" RUN "\",\"workspace\":\"" WORKSPACE "\",\"attempt\":1}\n"
    "{\"at\":\"t2\",\"level\":\"warn\",\"process\":\"executor[1]\",\"event\":\"redis.unreachable\","
    "\"message\":"
    "\"execution=" RUN " \\\"Größe\\\"\"}\n"
    "not JSON\n"
    "{\"level\":null}\n"
    "{\"level\":3,\"event\":\"a\"}\n"
    " {\"level\":\"info\",\"event\":\"after a blank\"}\n"
    "[]\n"
    "{\"none\":null,\"at\":\"t3\",\"level\":\"error\",\"process\":\"executor[2]\",\"event\":\"run.lost\","
    "\"workspace\":"
    "\"" WORKSPACE "\"}\n";
static const struct log_entry entry = {
    .at = {1764250000000, 7}, .host = "host-\"1\"", .lines = lines, .size = sizeof lines - 1};

static const struct log_position before = {0, 0};

/* The frames of the entry, with the filters of the request. */
static char *frames_of(const struct internal_request *request)
{
    char *out = talloc_strdup(NULL, "");
    struct log_page *page = log_page_new(NULL, &entry, 1, false);
    struct log_position told = before;
    log_page_append(&out, page, request, before, &told);
    cr_assert_eq(log_position_compare(told, before) > 0, *out != '\0');
    talloc_free(page);
    return out;
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;
    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

Test(log_page, all_lines_are_events_and_the_last_has_the_position)
{
    char *out = frames_of(&(struct internal_request){0});
    cr_assert_eq(count_of(out, "event: executor.line\n"), 3);
    cr_assert_eq(count_of(out, "id: "), 1);
    cr_assert(strstr(out, "data: {\"host\":\"host-\\\"1\\\"\",\"at\":\"t1\",\"level\":\"info\""));
    cr_assert(
        strstr(out, "\"event\":\"run.lost\",\"workspace\":\"" WORKSPACE "\"}\nid: 1764250000000-7\n\n"));
    cr_assert_eq(count_of(out, "\n\n"), 3);
    talloc_free(out);
}

static void set_text(struct internal_request *request, const char *text)
{
    (void)snprintf(request->log_text, sizeof request->log_text, "%s", text);
}

Test(log_page, filters)
{
    struct internal_request by_level = {.level = 2}, by_run = {0}, by_workspace = {.level = 3}, by_text = {0};
    char *out = frames_of(&by_level);
    cr_assert_eq(count_of(out, "data: "), 2);
    talloc_free(out);
    /* by the member: the text of the warning holds the id as well */
    cr_assert(id_parse(RUN, strlen(RUN), &by_run.log_execution));
    out = frames_of(&by_run);
    cr_assert(count_of(out, "data: ") == 1 && strstr(out, "run.claimed"));
    talloc_free(out);
    cr_assert(id_parse(WORKSPACE, strlen(WORKSPACE), &by_workspace.log_workspace));
    out = frames_of(&by_workspace);
    cr_assert(count_of(out, "data: ") == 1 && strstr(out, "run.lost"));
    talloc_free(out);
    set_text(&by_text, "\"grÖße\"");
    out = frames_of(&by_text);
    cr_assert_str_eq(out, ""); /* ASCII letters alone have no case here */
    talloc_free(out);
    set_text(&by_text, "\"GrößE\"");
    out = frames_of(&by_text);
    cr_assert(count_of(out, "data: ") == 1 && strstr(out, "redis.unreachable"));
    talloc_free(out);
}

static const char second[] = "{\"level\":\"info\",\"event\":\"b\"}\n",
                  third[] = "{\"level\":\"warn\",\"event\":\"c\"}\n";
static const struct log_entry entries[] = {
    {.at = {1764250000000, 7}, .host = "host-\"1\"", .lines = lines, .size = sizeof lines - 1},
    {.at = {1764250000000, 8}, .host = "h", .lines = "nothing\n", .size = 8},
    {.at = {1764250000001, 0}, .host = "h", .lines = second, .size = sizeof second - 1},
    {.at = {1764250000002, 0}, .host = "h", .lines = third, .size = sizeof third - 1}};

static char *text_of(const struct shared_text *text)
{
    struct evbuffer *out = evbuffer_new();
    shared_text_send(text, out, &(struct gzip_stream){0});
    size_t size = evbuffer_get_length(out);
    char *copy = talloc_strndup(NULL, (const char *)evbuffer_pullup(out, -1), size);
    evbuffer_free(out);
    return copy;
}

/* The shared text equals what log_page_append gives a reader without filters. */
Test(log_page, whole_is_what_a_reader_without_filters_gets)
{
    struct log_page *page = log_page_new(NULL, entries, 4, true);
    struct internal_request all = {0};
    struct log_position told;
    char *out = talloc_strdup(NULL, "");
    log_page_append(&out, page, &all, before, &told);
    cr_assert_eq(count_of(out, "event: "), 5);
    cr_assert_eq(count_of(out, "id: "), 3);
    cr_assert_eq(log_position_compare(told, log_page_last(page)), 0);
    const struct shared_text *whole = log_page_whole(page, &all, before);
    cr_assert_not_null(whole);
    char *chunk = text_of(whole), *expected = talloc_asprintf(NULL, "%zx\r\n%s\r\n", strlen(out), out);
    cr_assert_str_eq(chunk, expected);
    talloc_free(chunk);
    talloc_free(expected);
    talloc_free(out);
    talloc_free(page);
}

Test(log_page, whole_is_for_nobody_who_wants_less)
{
    struct log_page *page = log_page_new(NULL, entries, 4, false),
                    *empty = log_page_new(NULL, entries + 1, 1, false);
    struct internal_request info = {.level = 1}, warn = {.level = 2}, run = {0}, text = {0};
    cr_assert(id_parse(RUN, strlen(RUN), &run.log_execution));
    set_text(&text, "b");
    cr_assert_not_null(log_page_whole(page, &info, before), "no line is below that level");
    cr_assert_null(log_page_whole(page, &warn, before));
    cr_assert_null(log_page_whole(page, &run, before));
    cr_assert_null(log_page_whole(page, &text, before));
    cr_assert_null(log_page_whole(page, &info, entries[0].at), "some were sent");
    cr_assert_null(log_page_whole(empty, &info, before));
    talloc_free(page);
    talloc_free(empty);
}

Test(log_page, continues_after_what_was_sent)
{
    struct log_page *page = log_page_new(NULL, entries, 4, false);
    struct internal_request all = {0};
    struct log_position told = entries[0].at;
    char *out = talloc_strdup(NULL, "");
    log_page_append(&out, page, &all, entries[0].at, &told);
    cr_assert_eq(count_of(out, "event: "), 2);
    cr_assert_eq(log_position_compare(told, entries[3].at), 0);
    TALLOC_FREE(out);
    out = talloc_strdup(NULL, "");
    log_page_append(&out, page, &all, entries[3].at, &told);
    cr_assert_str_eq(out, "");
    talloc_free(out);
    talloc_free(page);
}
