#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/auth.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"

static struct request *make_request(const char *method, const char *uri, bool *ok_r)
{
    static char texts[2][8192];
    static char *params[3];
    snprintf(texts[0], sizeof texts[0], "REQUEST_METHOD=%s", method);
    snprintf(texts[1], sizeof texts[1], "REQUEST_URI=%s", uri);
    params[0] = texts[0];
    params[1] = texts[1];
    return request_new(NULL, NULL, params, ok_r);
}

static struct request *good_request(const char *uri)
{
    bool ok;
    struct request *r = make_request("GET", uri, &ok);
    cr_assert(ok, "%s", uri);
    return r;
}

static int status_of_bad(const char *uri)
{
    bool ok;
    struct request *r = make_request("GET", uri, &ok);
    int status = ok ? 200 : r->problem.status;
    talloc_free(r);
    return status;
}

Test(request, strips_each_prefix_once)
{
    static const char *const uris[] = {"/api/v1/a/b", "/v1/a/b/", "/api-proxy/v1/a/b?x=1"};
    for (size_t i = 0; i < 3; i++) {
        struct request *r = good_request(uris[i]);
        cr_assert(r->is_api);
        cr_assert_str_eq(r->raw_path, "/a/b");
        cr_assert_eq(r->segments_n, 2);
        talloc_free(r);
    }
    cr_assert_str_eq(good_request("/api/v1/v1/a")->raw_path, "/v1/a");
    cr_assert_not(good_request("/api/v11/a")->is_api);
    cr_assert_not(good_request("/healthz")->is_api);
    cr_assert(good_request("/api/v1")->is_api);
}

Test(request, decodes_segments_and_keeps_an_encoded_slash_as_data)
{
    struct request *r = good_request("/api/v1/a%2Fb/%C3%A9+x/");
    cr_assert_eq(r->segments_n, 2);
    cr_assert_str_eq(r->segments[0], "a/b");
    cr_assert_str_eq(r->segments[1], "\xc3\xa9+x");
    talloc_free(r);
}

Test(request, rejects_undecodable_input)
{
    static const char *const bad[] = {"/a%",     "/a%4",       "/a%zz",   "/%00",
                                      "/%ff",    "/%c0%af",    "/?a=%f",  "/?%00=1",
                                      "/?a=%ff", "/%ed%a0%80", "/?a=%c3", "/%f5%80%80%80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(status_of_bad(bad[i]), 400, "%s", bad[i]);
    cr_expect_eq(status_of_bad("/%f0%9f%98%80?a=%2525"), 200);
}

Test(request, parses_the_query)
{
    struct request *r = good_request("/x?a=1&b=c+d%26&&c&a=2&=e");
    cr_assert_eq(r->query_n, 5);
    cr_assert_str_eq(request_query(r, "a"), "1");
    cr_assert_str_eq(request_query(r, "b"), "c d&");
    cr_assert_str_eq(request_query(r, "c"), "");
    cr_assert_str_eq(request_query(r, ""), "e");
    cr_assert_null(request_query(r, "d"));
    talloc_free(r);
}

Test(request, limits_the_number_of_parameters)
{
    char uri[4096] = "/x?";
    for (int i = 0; i < QUERY_MAX + 4; i++)
        strcat(uri, "a=1&");
    bool ok;
    make_request("GET", uri, &ok);
    cr_assert_not(ok);
}

Test(request, checks_numbers)
{
    static const struct {
        const char *query;
        bool ok;
        int64_t value;
    } cases[] = {{"", true, 20},
                 {"n=1", true, 1},
                 {"n=100", true, 100},
                 {"n=0", false, 0},
                 {"n=101", false, 0},
                 {"n=", false, 0},
                 {"n=1x", false, 0},
                 {"n=-1", false, 0},
                 {"n=+1", false, 0},
                 {"n=1.0", false, 0},
                 {"n=%201", false, 0},
                 {"n=007", true, 7},
                 {"n=18446744073709551617", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = good_request(talloc_asprintf(NULL, "/x?%s", cases[i].query));
        int64_t value;
        bool ok = request_query_int(r, "n", 1, 100, 20, &value);
        cr_expect_eq(ok, cases[i].ok, "%s", cases[i].query);
        if (cases[i].ok)
            cr_expect_eq(value, cases[i].value);
        else
            cr_expect(r->problem.status == 400 && strstr(r->problem.detail, "n must be"));
    }
}

Test(request, accepts_bare_and_quoted_idempotency_keys)
{
    static const struct {
        /* key NULL: the field is rejected. */
        const char *field, *key;
    } cases[] = {
        {"abc", "abc"},
        {"abc \t", "abc"},
        {"\"abc\"", "abc"},
        {"\"a\\\"b\\\\\"", "a\"b\\"},
        {"", NULL},
        {"\"\"", NULL},
        {"\"abc", NULL},
        {"\"", NULL},
        {"\"a\"b", NULL},
        {"\"a\\b\"", NULL},
        {"\"a\\", NULL},
        {"\"\xc3\xa9\"", NULL},
        {"\xc3\xa9", "\xc3\xa9"},
        {"a\"b", "a\"b"},
        {"a b", "a b"},
        {"\"a\x01\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];
        size_t n;
        bool ok = request_parse_idempotency_key(cases[i].field, out, &n);
        cr_expect_eq(ok, cases[i].key != NULL, "%s", cases[i].field);
        if (ok)
            cr_expect(n == strlen(cases[i].key) && memcmp(out, cases[i].key, n) == 0);
    }
}

static bool fingerprint(const char *method, const char *uri, const char *body, uint8_t out[32])
{
    bool ok;
    struct request *r = make_request(method, uri, &ok);
    char *params[] = {r->params[0], r->params[1], strdup("HTTP_IDEMPOTENCY_KEY=k"), NULL};
    struct span key;
    r->params = params;
    r->body = body;
    r->body_size = strlen(body);
    return request_idempotency(r, &key, out) && key.size == 1;
}

Test(request, fingerprint_covers_method_path_query_and_body)
{
    uint8_t a[32], b[32];
    cr_assert(fingerprint("POST", "/api/v1/x/run", "{}", a));
    static const char *const same[] = {"/v1/x/run", "/api-proxy/v1/x/run/", "/v1/%78/r%75n"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        cr_assert(fingerprint("POST", same[i], "{}", b));
        cr_expect_eq(memcmp(a, b, 32), 0, "%s", same[i]);
    }
    static const char *const other[][3] = {{"PUT", "/v1/x/run", "{}"},    {"POST", "/v1/x/runs", "{}"},
                                           {"POST", "/v1/x/run?a", "{}"}, {"POST", "/v1/x/run", "{ }"},
                                           {"POST", "/v1/x/run?", "{}x"}, {"POST", "/v1/x", "/run{}"}};
    for (size_t i = 0; i < 6; i++) {
        cr_assert(fingerprint(other[i][0], other[i][1], other[i][2], b));
        cr_expect_neq(memcmp(a, b, 32), 0, "%s %s %s", other[i][0], other[i][1], other[i][2]);
    }
    /* an id has one meaning in either case; an encoded slash is part of its segment */
    cr_assert(fingerprint("POST", "/v1/x/019bc1a0-7b50-7000-8000-00000000000a", "", a));
    cr_assert(fingerprint("POST", "/v1/x/019BC1A0-7b50-7000-8000-00000000000%41", "", b));
    cr_expect_eq(memcmp(a, b, 32), 0);
    cr_assert(fingerprint("POST", "/v1/a/b", "", a));
    cr_assert(fingerprint("POST", "/v1/a%2Fb", "", b));
    cr_expect_neq(memcmp(a, b, 32), 0);
}

static int api_key_of(const char *first, const char *second, const char **key_r)
{
    char *params[] = {strdup(first), second ? strdup(second) : NULL, NULL};
    bool ok;
    struct request *r = make_request("GET", "/x", &ok);
    r->params = params;
    return auth_find_key(r, key_r);
}

Test(request, finds_the_api_key)
{
    static const struct {
        const char *first, *second;
        int found;
    } cases[] = {
        {"A=b", NULL, 0},
        {"HTTP_AUTHORIZATION=Bearer k", NULL, 1},
        {"HTTP_AUTHORIZATION=bearer  k", NULL, 1},
        {"HTTP_AUTHORIZATION=k", NULL, 1},
        {"HTTP_X_API_KEY=k", NULL, 1},
        {"HTTP_X_API_KEY=k", "HTTP_AUTHORIZATION=Bearer k", 1},
        {"HTTP_X_API_KEY=k", "HTTP_AUTHORIZATION=Bearer l", -1},
        {"HTTP_X_API_KEY=k", "HTTP_X_API_KEY=k", -1},
        {"HTTP_AUTHORIZATION=k", "HTTP_AUTHORIZATION=k", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *key;
        cr_expect_eq(api_key_of(cases[i].first, cases[i].second, &key), cases[i].found, "case %zu", i);
        if (cases[i].found == 1)
            cr_expect_str_eq(key, "k");
    }
}

/* The status of a request whose body of this type is read as JSON. */
static int status_of_type(const char *type, bool by_header, const char *body)
{
    char text[128];
    char *params[] = {text, NULL};
    json_object *object = NULL;
    struct request *r = good_request("/x");
    snprintf(text, sizeof text, "CONTENT_TYPE=%s", type);
    r->params = params;
    r->access.by_header = by_header;
    r->body = body;
    r->body_size = strlen(body);
    int status = request_json(r, &object) ? 200 : r->problem.status;
    cr_expect(status != 200 || (object != NULL) == (*body != '\0'));
    talloc_free(r);
    return status;
}

Test(request, accepts_the_form_type_only_with_a_key_header)
{
    static const struct {
        const char *type;
        int with_header, without;
    } cases[] = {
        {"application/json", 200, 200},
        {"Application/JSON; charset=utf-8", 200, 200},
        {"", 200, 200},
        {"application/x-www-form-urlencoded", 200, 415},
        {"application/X-WWW-Form-Urlencoded; charset=utf-8", 200, 415},
        {"application/x-www-form-urlencoded2", 415, 415},
        {"application/x-www-form", 415, 415},
        {"multipart/form-data; boundary=x", 415, 415},
        {"text/plain", 415, 415},
        {"application/jsonp", 415, 415},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(status_of_type(cases[i].type, true, "{}"), cases[i].with_header, "%s", cases[i].type);
        cr_expect_eq(status_of_type(cases[i].type, false, "{}"), cases[i].without, "%s", cases[i].type);
        cr_expect_eq(status_of_type(cases[i].type, false, ""), 200, "%s, empty", cases[i].type);
    }
    static const char form[] = "application/x-www-form-urlencoded";
    cr_expect_eq(status_of_type(form, true, "inputs=1"), 400);
    cr_expect_eq(status_of_type(form, true, "[]"), 400);
}
