#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "executor/io/response_headers.h"
#include "json/json.h"

static const char *add(void *ctx, struct response_headers *h, const char *line)
{
    return response_headers_add(ctx, h, line, strlen(line));
}

Test(response_headers, joins_repeated_names_in_lower_case)
{
    void *ctx = talloc_new(NULL);
    struct response_headers h = {0};
    cr_assert_null(response_headers_json(ctx, &h), "no status line yet");
    cr_assert_null(add(ctx, &h, "HTTP/1.1 103 Early Hints\r\n"));
    cr_assert_null(add(ctx, &h, "Link: dropped\r\n"));
    cr_assert_null(add(ctx, &h, "HTTP/1.1 200 OK\r\n"));
    cr_assert_null(add(ctx, &h, "Set-Cookie:  a=1 \r\n"));
    cr_assert_null(add(ctx, &h, "X-Empty:\r\n"));
    cr_assert_null(add(ctx, &h, "SET-COOKIE: b=\xc3\xa9\r\n"));
    cr_assert_null(add(ctx, &h, "\r\n"));
    json_object *json = response_headers_json(ctx, &h);
    cr_assert_str_eq(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN),
                     "{\"set-cookie\":\"a=1, b=??\",\"x-empty\":\"\"}");
    response_headers_clear(&h);
    cr_assert_null(response_headers_json(ctx, &h));
    talloc_free(ctx);
}

Test(response_headers, bounds_the_number_of_lines_and_their_bytes)
{
    void *ctx = talloc_new(NULL);
    struct response_headers h = {0};
    char line[1024];
    add(ctx, &h, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < HTTP_HEADER_LINES_MAX; i++)
        cr_assert_null(add(ctx, &h, "a:b\r\n"));
    json_object *json = response_headers_json(ctx, &h);
    cr_assert_eq(strlen(json_get_text(json, "a")), 3U * HTTP_HEADER_LINES_MAX - 2);
    cr_assert_not_null(add(ctx, &h, "a:b\r\n"));

    response_headers_clear(&h);
    add(ctx, &h, "HTTP/1.1 200 OK\r\n");
    memset(line, 'x', sizeof line);
    line[1] = ':';
    for (int i = 0; i < HTTP_HEADERS_MAX / 1024 - 1; i++)
        cr_assert_null(response_headers_add(ctx, &h, line, sizeof line));
    cr_assert_not_null(response_headers_add(ctx, &h, line, sizeof line));
    cr_assert_leq(talloc_total_size(ctx), (size_t)(4 * HTTP_HEADERS_MAX));
    talloc_free(ctx);
}

Test(response_headers, interim_responses_count)
{
    void *ctx = talloc_new(NULL);
    struct response_headers h = {0};
    const char *why = NULL;
    for (int i = 0; i < 2 * HTTP_HEADER_LINES_MAX && !why; i++) {
        why = add(ctx, &h, "HTTP/1.1 103 Early Hints\r\n");
        if (!why)
            why = add(ctx, &h, "a:b\r\n");
    }
    cr_assert_not_null(why, "interim responses without end");
    talloc_free(ctx);
}
