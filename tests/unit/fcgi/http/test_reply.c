#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "json/json.h"
#include "json/json_write.h"

static struct request *new_request(const char *method, const char *etag)
{
    static char texts[3][256];
    static char *params[4];
    bool ok;
    snprintf(texts[0], sizeof texts[0], "REQUEST_METHOD=%s", method);
    snprintf(texts[1], sizeof texts[1], "REQUEST_URI=/api/v1/x");
    snprintf(texts[2], sizeof texts[2], "HTTP_IF_NONE_MATCH=%s", etag ? etag : "");
    for (int i = 0; i < 3; i++)
        params[i] = texts[i];
    params[2] = etag ? texts[2] : NULL;
    struct request *r = request_new(NULL, NULL, params, &ok);
    cr_assert(ok);
    return r;
}

/* The rendered reply; `r` keeps it. */
static const char *render(struct request *r)
{
    size_t size;
    const char *text = reply_render(r, &size);
    cr_assert_eq(strlen(text), size);
    return text;
}

static json_object *body_of(struct request *r)
{
    json_object *body;
    const char *why;
    cr_assert_eq(json_parse(r, r->reply.body, r->reply.size, JSON_DEPTH_MAX, &body, &why), OK);
    return body;
}

Test(reply, renders_status_headers_and_body)
{
    struct request *r = new_request("POST", NULL);
    r->id = "abc";
    reply_header(r, "X-Number", "%d", 7);
    cr_assert_eq(reply_json(r, 201, "{}", 2), 201);
    cr_assert_str_eq(render(r), "Status: 201 Created\r\nX-Number: 7\r\nX-Request-Id: abc\r\n"
                                "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    talloc_free(r);
}

Test(reply, headers_may_be_of_any_length)
{
    struct request *r = new_request("POST", NULL);
    char value[3000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    reply_header(r, "X-Long", "%s", value);
    reply_header(r, "X-Next", "%s", "next");
    reply_empty(r, 204);
    const char *text = render(r);
    cr_assert_not_null(strstr(text, value));
    cr_assert_not_null(strstr(text, "\r\nX-Next: next\r\n"));
    cr_assert_null(strstr(text, "Content-Length"));
    talloc_free(r);
}

Test(reply, an_etag_that_the_client_has_becomes_304)
{
    struct request *r = new_request("GET", NULL);
    reply_json(r, 200, "{\"a\":1}", 7);
    const char *etag = strstr(render(r), "ETag: ");
    cr_assert_not_null(etag);
    etag = talloc_strndup(NULL, etag + strlen("ETag: "), strcspn(etag, "\r") - strlen("ETag: "));

    struct request *same = new_request("GET", etag);
    reply_json(same, 200, "{\"a\":1}", 7);
    cr_assert_eq(strncmp(render(same), "Status: 304 ", 12), 0);
    cr_assert_eq(same->reply.size, 0);

    struct request *changed = new_request("GET", etag);
    reply_json(changed, 200, "{\"a\":2}", 7);
    cr_assert_eq(strncmp(render(changed), "Status: 200 ", 12), 0);

    struct request *post = new_request("POST", etag);
    reply_json(post, 200, "{\"a\":1}", 7);
    cr_assert_null(strstr(render(post), "ETag"));
}

Test(reply, adds_rate_headers_if_the_limit_is_known)
{
    struct request *r = new_request("GET", NULL);
    r->rate = (struct rate_state){.verdict = RATE_GRANTED, .limit = 60, .remaining = 9, .reset_s = 5};
    reply_empty(r, 204);
    const char *text = render(r);
    cr_assert_not_null(
        strstr(text, "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 9\r\nX-RateLimit-Reset: 5\r\n"));
    cr_assert_not_null(
        strstr(text, "RateLimit-Policy: \"default\";q=60;w=60\r\nRateLimit: \"default\";r=9;t=5\r\n"));
    talloc_free(r);
}

Test(reply, a_problem_has_code_detail_and_errors)
{
    struct request *r = new_request("POST", NULL);
    struct json_problems *p = json_problems_new(r);
    json_problems_add(p, "/a", "is required");
    cr_assert_eq(reply_problems(r, 422, "invalid_inputs", p, "%d problem.", 1), 422);
    cr_assert_str_eq(r->reply.type, "application/problem+json");
    json_object *body = body_of(r);
    cr_expect_str_eq(json_get_text(body, "code"), "invalid_inputs");
    cr_expect_str_eq(json_get_text(body, "detail"), "1 problem.");
    cr_expect_str_eq(json_get_text(body, "error"), "1 problem.");
    cr_expect_str_eq(json_get_text(body, "title"), "Unprocessable Content");
    cr_expect_str_eq(json_get_text(body, "request_id"), r->id);
    json_object *error = json_object_array_get_idx(json_get(body, "errors"), 0);
    cr_expect_str_eq(json_get_text(error, "pointer"), "/a");
    cr_expect_str_eq(json_get_text(error, "message"), "is required");
    talloc_free(r);
}

/* A client's text may stand in a problem at any length. */
Test(reply, a_problem_is_cut_after_a_character)
{
    for (int shift = 0; shift < 4; shift++) {
        struct request *r = new_request("POST", NULL);
        struct json_problems *p = json_problems_new(r);
        char *name = talloc_strdup(r, &"xxx"[3 - shift]);
        for (int i = 0; i < 2000; i++)
            name = talloc_strdup_append(name, "\u00e9");
        json_problems_add(p, name, "%s", name);
        reply_problems(r, 422, "invalid_inputs", p, "Unknown member: %s.", name);
        json_object *body = body_of(r);
        cr_expect_leq(json_span(json_get(body, "detail")).size, 1024U);
        cr_expect_gt(json_span(json_get(body, "detail")).size, 1000U);
        reply_problem(r, 400, "invalid_request", "Bad octets: \xff\xc3.");
        cr_expect_str_eq(json_get_text(body_of(r), "detail"), "Bad octets: \ufffd\ufffd.");
        talloc_free(r);
    }
}

Test(reply, if_none_match_is_a_list)
{
    struct request *first = new_request("GET", NULL);
    reply_json(first, 200, "{}", 2);
    const char *at = strstr(render(first), "ETag: ") + strlen("ETag: ");
    const char *etag = talloc_strndup(first, at, strcspn(at, "\r"));
    const struct {
        const char *field;
        int status;
    } rows[] = {
        {talloc_asprintf(first, "\"a,b\", W/%s", etag), 304},
        {talloc_asprintf(first, "%s ,\"x\"", etag), 304},
        {"\"x\", *", 304},
        {talloc_asprintf(first, "\"x%s\"", etag + 1), 200},
        {talloc_asprintf(first, "\"\\%s", etag), 200},
        {"\"*\"", 200},
        {"", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request *r = new_request("GET", rows[i].field);
        reply_json(r, 200, "{}", 2);
        render(r);
        cr_expect_eq(r->reply.status, rows[i].status, "%s", rows[i].field);
        talloc_free(r);
    }
    talloc_free(first);
}

Test(reply, maps_library_errors_to_statuses)
{
    static const struct {
        enum err e;
        int status;
        const char *code;
    } cases[] = {
        {ERR_NOT_FOUND, 404, "not_found"}, {ERR_UNAVAILABLE, 503, "unavailable"},
        {ERR_RETRY, 503, "unavailable"},   {ERR_UNCERTAIN, 504, "outcome_unknown"},
        {ERR_INTERNAL, 500, "internal"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = new_request("GET", NULL);
        cr_expect_eq(reply_err(r, cases[i].e), cases[i].status);
        cr_expect_str_eq(json_get_text(body_of(r), "code"), cases[i].code);
        cr_expect_eq(strstr(render(r), "Retry-After: 1\r\n") != NULL, cases[i].status == 503);
        talloc_free(r);
    }
}

Test(reply, a_rejected_request_gets_its_problem_unless_a_reply_is_set)
{
    struct request *r = new_request("GET", NULL);
    cr_assert_eq(reply_rejected(r), 0);
    cr_assert_not(request_reject(r, 413, "body_too_large", "At most %d.", 3));
    cr_assert_eq(reply_rejected(r), 413);
    cr_assert_str_eq(json_get_text(body_of(r), "detail"), "At most 3.");

    struct request *replied = new_request("GET", NULL);
    reply_empty(replied, 204);
    (void)request_reject(replied, 400, "invalid_request", "No.");
    cr_assert_eq(reply_rejected(replied), 204);
}

Test(reply, written_json_is_the_body)
{
    struct request *r = new_request("GET", NULL);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_int(w, "n", 1);
    json_write_close(w, '}');
    cr_assert_eq(reply_written(r, 200, w), 200);
    cr_assert_str_eq(r->reply.body, "{\"n\":1}");
    cr_assert_str_eq(r->reply.type, "application/json");
    talloc_free(r);
}
