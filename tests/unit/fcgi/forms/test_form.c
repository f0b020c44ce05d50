#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/forms/form.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/wait.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"

static struct request *new_request(const char *body)
{
    static char method[] = "REQUEST_METHOD=POST", uri[] = "REQUEST_URI=/x";
    static char *params[] = {method, uri, NULL};
    bool ok;
    struct request *r = request_new(NULL, NULL, params, &ok);
    r->body = body;
    r->body_size = strlen(body);
    return r;
}

static bool members_are_known(const char *body, const char *known, const char **detail_r)
{
    struct request *r = new_request(body);
    json_object *object;
    cr_assert(request_json(r, &object));
    bool ok = form_members_are_known(r, object, known);
    *detail_r = r->problem.detail;
    return ok;
}

Test(form, rejects_unknown_members)
{
    const char *detail;
    cr_assert(members_are_known("{}", "inputs tags", &detail));
    cr_assert(members_are_known("{\"tags\":1,\"inputs\":null}", "inputs tags", &detail));
    static const char *const unknown[] = {"input", "inputss", "tag", "inputs tags", "", " "};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        const char *body = talloc_asprintf(NULL, "{\"%s\":1}", unknown[i]);
        cr_expect_not(members_are_known(body, "inputs tags", &detail), "%s", body);
        cr_expect_str_eq(detail, talloc_asprintf(NULL, "Unknown member: %s.", unknown[i]));
    }
}

Test(form, names_the_rejected_value)
{
    struct request *r = new_request("");
    cr_assert_not(form_reject_value(r, "limit", "small"));
    cr_assert_eq(r->problem.status, 400);
    cr_assert_str_eq(r->problem.code, "invalid_request");
    cr_assert_str_eq(r->problem.detail, "limit must be small.");
    talloc_free(r);
}

Test(form, raw_members_are_the_bytes_as_sent)
{
    struct request *r = new_request("{\"a\": {\"n\": 1.50}, \"b\": null}");
    json_object *body;
    cr_assert(request_json(r, &body));
    struct span a = form_raw_member(r, body, "a");
    cr_assert_eq(a.size, strlen("{\"n\": 1.50}"));
    cr_assert_eq(memcmp(a.at, "{\"n\": 1.50}", a.size), 0);
    cr_assert_null(form_raw_member(r, body, "b").at);
    cr_assert_null(form_raw_member(r, body, "c").at);
    talloc_free(r);
}

Test(run_form, checks_each_member)
{
    static const struct {
        const char *body;
        bool ok;
    } cases[] = {
        {"", true},
        {"{}", true},
        {"{\"inputs\":{},\"tags\":[\"a\"],\"metadata\":{},\"chat\":{}}", true},
        {"{\"tags\":\"a\"}", false},
        {"{\"tags\":[\"\"]}", false},
        {"{\"tags\":[1]}", false},
        {"{\"metadata\":[]}", false},
        {"{\"chat\":1}", false},
        {"{\"chat\":{\"thread_id\":\"\"}}", false},
        {"{\"chat\":{\"thread_id\":\"t\",\"message_id\":\"0192f0c1-2345-7abc-8def-0123456789ab\"}}", true},
        {"{\"chat\":{\"message_id\":\"m\"}}", false},
        {"{\"other\":1}", false},
        {"[]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = new_request(cases[i].body);
        struct run_request req = {0};
        cr_expect_eq(run_form_read(r, &req), cases[i].ok, "%s", cases[i].body);
        cr_expect_eq(r->problem.status, cases[i].ok ? 0 : 400, "%s", cases[i].body);
        talloc_free(r);
    }
}

Test(run_form, keeps_each_tag_once)
{
    struct request *r = new_request("{\"tags\":[\"a\",\"b\",\"a\"]}");
    struct run_request req = {0};
    cr_assert(run_form_read(r, &req));
    cr_assert_str_eq(talloc_strndup(r, req.tags.at, req.tags.size), "[\"a\",\"b\"]");
    talloc_free(r);
}

Test(wait, reads_the_prefer_header)
{
    static const struct {
        const char *field;
        int seconds;
    } cases[] = {
        {"wait=10", 10},
        {"respond-async, wait=10", 10},
        {"WAIT = \"7\"", 7},
        {"wait=61", WAIT_MAX_S},
        {"wait=99999999999999999999", WAIT_MAX_S},
        {"wait=5;x=y", 5},
        {"wait=0", 0},
        {"wait=-1", 0},
        {"wait=1.5", 0},
        {"wait", 0},
        {"waiting=3", 0},
        {"", 0},
        {"wait=x, wait=3", 3},
        {"foo=\"a, wait=9, b\"", 0},
        {"foo=\"a, wait=9, b\", wait=2", 2},
        {"foo; wait=9", 0},
        {"wait=\"", 0},
        {"wait=", 0},
        {"wait=5 5", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = new_request("");
        char *params[] = {talloc_asprintf(r, "HTTP_PREFER=%s", cases[i].field), NULL};
        r->params = params;
        cr_expect_eq(wait_from_prefer_header(r), cases[i].seconds, "%s", cases[i].field);
        talloc_free(r);
    }
}
