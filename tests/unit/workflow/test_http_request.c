#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "programs.h"
#include "workflow/http_request.h"
#include "json/json.h"

static const char *request_secret(void *arg, const char *name, size_t *size_r)
{
    (void)arg;
    *size_r = 3;
    return strcmp(name, "K") == 0 ? "k/y" : NULL;
}

static enum err request_of(void *ctx, const char *fields, struct http_request *r, const char **why)
{
    struct template_scope scope = {
        .inputs = parse_json(
            ctx, "{'a':'x y','l':['p&q',2,null,true],'o':{'b':[1.50,null]},'n':null,'crlf':'a\\r\\nb'}"),
        .secret = request_secret};
    char *text = talloc_asprintf(ctx, "{'steps':[{'name':'r','type':'http','request':{%s}}]}", fields);
    return http_request_render(ctx, &compile_program(ctx, text)->steps[0], &scope, r, why);
}

Test(http_request, renders)
{
    static const struct {
        const char *fields, *url, *headers, *body;
    } rows[] = {
        {"'method':'GET','url':'http://h/${/inputs/a}#frag'", "http://h/x%20y", "", NULL},
        {"'method':'GET','url':'http://h','query':{'a "
         "b':'${/inputs/a}','l':'${/inputs/l}','n':'${/inputs/n}','k':"
         "'${/secrets/K}','f':1.50}",
         "http://h?a%20b=x%20y&l=p%26q&l=2&l=true&k=k%2Fy&f=1.50", "", NULL},
        {"'method':'GET','url':'http://h/?x=1','query':{'y':''}", "http://h/?x=1&y=", "", NULL},
        {"'method':'GET','url':'http://h/?','query':{'y':[]}", "http://h/?", "", NULL},
        {"'method':'GET','url':'http://h/?','query':{'y':[1]}", "http://h/?y=1", "", NULL},
        {"'method':'POST','url':'http://h/','body':'${/inputs/o}','headers':{'X':'t ${/secrets/K}'}",
         "http://h/", "X=t k/y;Content-Type=application/json;", "{\"b\":[1.50,null]}"},
        {"'method':'POST','url':'http://h/','body':'a=${/inputs/a}','headers':{'content-type':'text/x'}",
         "http://h/", "content-type=text/x;", "a=x y"},
        {"'method':'PUT','url':'http://h/','body':'${/inputs/a}'", "http://h/",
         "Content-Type=text/plain; charset=utf-8;", "x y"},
        {"'method':'PUT','url':'http://h/','body':false", "http://h/", "Content-Type=application/json;",
         "false"},
        {"'method':'PUT','url':'http://h/','body':'${/inputs/n}'", "http://h/", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        struct http_request r;
        const char *why;
        cr_assert_eq(request_of(ctx, rows[i].fields, &r, &why), OK, "%s: %s", rows[i].fields, why);
        cr_expect_str_eq(r.url, rows[i].url);
        char *headers = talloc_strdup(ctx, "");
        for (size_t j = 0; j < r.header_count; j++)
            headers = talloc_asprintf_append(headers, "%s=%s;", r.headers[j].name, r.headers[j].value);
        cr_expect_str_eq(headers, rows[i].headers);
        cr_expect_eq(r.body != NULL, rows[i].body != NULL, "%s", rows[i].fields);
        if (r.body && rows[i].body) {
            cr_expect_str_eq(r.body, rows[i].body);
            cr_expect_eq(r.body_size, strlen(rows[i].body));
        }
        talloc_free(ctx);
    }
}

Test(http_request, reports_failures)
{
    static const struct {
        const char *fields;
        enum err e;
        const char *why;
    } rows[] = {
        {"'method':'GET','url':'http://h/${/inputs/x}'", ERR_NOT_FOUND, "finds nothing"},
        {"'method':'GET','url':'http://h/','query':{'o':'${/inputs/o}'}", ERR_INVALID, "query parameter o"},
        {"'method':'GET','url':'http://h/','query':{'o':[['x']]}", ERR_INVALID, "query parameter o"},
        {"'method':'GET','url':'http://h/','headers':{'X':'${/inputs/crlf}'}", ERR_INVALID, "CR, LF or NUL"},
        {"'method':'GET','url':'http://h/','headers':{'X':'${/secrets/L}'}", ERR_NOT_FOUND, "${/secrets/L}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        struct http_request r;
        const char *why = NULL;
        cr_expect_eq(request_of(ctx, rows[i].fields, &r, &why), rows[i].e, "%s", rows[i].fields);
        cr_expect(why && strstr(why, rows[i].why), "%s: %s", rows[i].fields, why);
        talloc_free(ctx);
    }
}
