#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "stream/executor_log.h"

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

/* The frames of the entry, with the filters of the request. */
static char *frames_of(const struct internal_request *request)
{
    char *out = talloc_strdup(NULL, "");
    cr_assert_eq(executor_log_append(&out, request, &entry), *out != '\0');
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

Test(executor_log, all_lines_are_events_and_the_last_has_the_position)
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

Test(executor_log, filters)
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
