#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/console.h"
#include "fcgi/http/request.h"

/* A request with these FastCGI parameters, a list that ends with NULL. */
static struct request *request_with(const char **params)
{
    static char *all[16];
    size_t n = 0;
    bool ok;
    all[n++] = talloc_strdup(NULL, "REQUEST_METHOD=POST");
    all[n++] = talloc_strdup(NULL, "REQUEST_URI=/api/v1/session");
    for (; *params; params++)
        all[n++] = talloc_strdup(NULL, *params);
    all[n] = NULL;
    struct request *r = request_new(NULL, NULL, all, &ok);
    cr_assert(ok);
    return r;
}
#define REQUEST(...) request_with((const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static int find_cookie(struct request *r, const char *expected)
{
    const char *token;
    int n = console_find_cookie(r, &token);
    if (n == 1)
        cr_assert_str_eq(token, expected);
    talloc_free(r);
    return n;
}

Test(console, finds_its_cookie_among_others)
{
    cr_assert_eq(find_cookie(REQUEST(), ""), 0);
    cr_assert_eq(find_cookie(REQUEST("HTTP_COOKIE=millrace_session=abc"), "abc"), 1);
    cr_assert_eq(find_cookie(REQUEST("HTTP_COOKIE=a=b; millrace_session=abc; c=d"), "abc"), 1);
    cr_assert_eq(find_cookie(REQUEST("HTTP_COOKIE=a=b;millrace_session=abc"), "abc"), 1);
    cr_assert_eq(find_cookie(REQUEST("HTTP_COOKIE=a=b", "HTTP_COOKIE=millrace_session="), ""), 1);
    cr_assert_eq(
        find_cookie(REQUEST("HTTP_COOKIE=x_millrace_session=abc; millrace_sessions=d; millrace_session"), ""),
        0);
    cr_assert_eq(find_cookie(REQUEST("HTTP_COOKIE=millrace_session=a; millrace_session=b"), ""), -1);
    cr_assert_eq(find_cookie(REQUEST("HTTP_COOKIE=millrace_session=a", "HTTP_COOKIE=millrace_session=a"), ""),
                 -1);
}

/* 0: accepted; otherwise the status of the rejection */
static int status_of(struct request *r)
{
    bool ok = console_check_page(r);
    int status = r->problem.status;
    cr_assert_eq(ok, status == 0);
    talloc_free(r);
    return status;
}

#define MARK "HTTP_X_MILLRACE_CONSOLE=1"
#define SAME "HTTP_SEC_FETCH_SITE=same-origin"
#define HOST "HTTP_HOST=console.example:8443"

Test(console, accepts_only_a_page_of_the_same_origin)
{
    cr_assert_eq(status_of(REQUEST(MARK, SAME)), 0);
    cr_assert_eq(status_of(REQUEST(SAME)), 403, "a form cannot send the mark");
    cr_assert_eq(status_of(REQUEST("HTTP_X_MILLRACE_CONSOLE=0", SAME)), 403);
    cr_assert_eq(status_of(REQUEST(MARK, MARK, SAME)), 403);
    static const char *const sites[] = {"cross-site", "same-site",   "none",
                                        "",           "Same-Origin", "same-origin, same-origin"};
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "HTTP_SEC_FETCH_SITE=%s", sites[i]);
        /* what Origin says does not matter then */
        cr_assert_eq(status_of(REQUEST(MARK, text, HOST, "HTTP_ORIGIN=https://console.example:8443")), 403,
                     "%s", sites[i]);
    }
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "HTTP_SEC_FETCH_SITE=cross-site")), 403);
}

Test(console, compares_origin_and_host_where_the_browser_says_no_more)
{
    cr_assert_eq(status_of(REQUEST(MARK, HOST, "HTTP_ORIGIN=https://console.example:8443")), 0);
    cr_assert_eq(status_of(REQUEST(MARK, HOST, "HTTP_ORIGIN=https://Console.Example:8443")), 0);
    static const char *const origins[] = {"null",
                                          "https://console.example",
                                          "https://console.example:8443.evil.example",
                                          "https://evil.example",
                                          "console.example:8443",
                                          "https://",
                                          ""};
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        char text[96];
        snprintf(text, sizeof text, "HTTP_ORIGIN=%s", origins[i]);
        cr_assert_eq(status_of(REQUEST(MARK, HOST, text)), 403, "%s", origins[i]);
    }
    cr_assert_eq(status_of(REQUEST(MARK, HOST)), 403, "neither header");
    cr_assert_eq(status_of(REQUEST(MARK, "HTTP_ORIGIN=https://console.example:8443")), 403, "no Host");
    cr_assert_eq(status_of(REQUEST(MARK, "HTTP_HOST=", "HTTP_ORIGIN=https://")), 403);
    cr_assert_eq(status_of(REQUEST(MARK, HOST, "HTTP_ORIGIN=https://console.example:8443",
                                   "HTTP_ORIGIN=https://evil.example")),
                 403);
}

Test(console, accepts_a_body_only_as_json)
{
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=2", "CONTENT_TYPE=application/json")), 0);
    cr_assert_eq(
        status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=2", "CONTENT_TYPE=Application/JSON; charset=utf-8")),
        0);
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=", "CONTENT_TYPE=")), 0, "no body");
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=0")), 0);
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=2")), 415);
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=2", "CONTENT_TYPE=")), 415);
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=2", "CONTENT_TYPE=text/plain")), 415);
    cr_assert_eq(
        status_of(REQUEST(MARK, SAME, "CONTENT_LENGTH=2", "CONTENT_TYPE=application/x-www-form-urlencoded")),
        415);
    cr_assert_eq(status_of(REQUEST(MARK, SAME, "HTTP_TRANSFER_ENCODING=chunked")), 415);
}
