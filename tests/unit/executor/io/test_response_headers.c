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

Test(response_headers, joins_repeated_names_but_cookies)
{
    void *ctx = talloc_new(NULL);
    struct response_headers h = {0};
    cr_assert_null(response_headers_json(ctx, &h, true), "no status line yet");
    cr_assert_null(add(ctx, &h, "HTTP/1.1 103 Early Hints\r\n"));
    cr_assert_null(add(ctx, &h, "Link: dropped\r\n"));
    cr_assert_null(add(ctx, &h, "HTTP/1.1 200 OK\r\n"));
    cr_assert_null(add(ctx, &h, "Set-Cookie:  a=1 \r\n"));
    cr_assert_null(add(ctx, &h, "X-List: 1\r\n"));
    cr_assert_null(add(ctx, &h, "X-Empty:\r\n"));
    cr_assert_null(add(ctx, &h, "x-list: 2\r\n"));
    cr_assert_null(add(ctx, &h, "SET-COOKIE: b=\xc3\xa9\r\n"));
    cr_assert_null(add(ctx, &h, "\r\n"));
    json_object *json = response_headers_json(ctx, &h, true);
    cr_assert_str_eq(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN),
                     "{\"set-cookie\":[\"a=1\",\"b=??\"],\"x-list\":\"1, 2\",\"x-empty\":\"\"}");
    response_headers_clear(&h);
    cr_assert_null(response_headers_json(ctx, &h, true));
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
    json_object *json = response_headers_json(ctx, &h, true);
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

static char *headers_after(void *ctx, const char *coding, bool decoded)
{
    struct response_headers h = {0};
    add(ctx, &h, "HTTP/1.1 200 OK\r\n");
    add(ctx, &h, talloc_asprintf(ctx, "Content-Encoding: %s\r\n", coding));
    add(ctx, &h, "Content-Length: 7\r\n");
    add(ctx, &h, "Transfer-Encoding: chunked\r\n");
    add(ctx, &h, "Vary: accept-encoding\r\n");
    return talloc_strdup(ctx, json_text(response_headers_json(ctx, &h, decoded), NULL));
}

Test(response_headers, drops_the_fields_of_an_encoded_body)
{
    static const char *const encoded[] = {"gzip", "GZIP",       "x-gzip",        "deflate",
                                          "br",   "gzip, gzip", "identity, gzip"};
    static const char *const plain[] = {"", "identity", "Identity , identity"};
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof encoded / sizeof *encoded; i++) {
        cr_expect_str_eq(headers_after(ctx, encoded[i], true), "{\"vary\":\"accept-encoding\"}", "%s",
                         encoded[i]);
        cr_expect_not_null(strstr(headers_after(ctx, encoded[i], false), "\"content-length\":\"7\""), "%s",
                           encoded[i]);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        char *kept = headers_after(ctx, plain[i], true);
        cr_expect_not_null(strstr(kept, "\"content-length\":\"7\""), "%s", plain[i]);
        cr_expect_null(strstr(kept, "transfer-encoding"), "%s", plain[i]);
    }
    talloc_free(ctx);
}
