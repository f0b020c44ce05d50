#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "executor/run/model/api_error.h"
#include "json/json.h"

Test(api_error, finds_the_reason_in_every_known_form)
{
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"{\"error\":{\"message\":\"no\",\"type\":\"x\"}}", "no"},
        {"{\"error\":\"no\"}", "no"},
        {"{\"detail\":\"no\"}", "no"},
        {"{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"no\",\"type\":\"missing\"}]}", "no"},
        {"{\"object\":\"error\",\"message\":\"no\",\"code\":400}", "no"},
        {"\xef\xbb\xbf[{\"error\":{\"code\":400,\"message\":\"no\"}}]", "no"},
        {"{\"errors\":[{\"code\":1,\"message\":\"no\"}],\"success\":false}", "no"},
        {"{\"error\":{\"error\":{\"message\":\"no\"}}}", "no"},
        {"{\"error\":{\"message\":\"\"},\"detail\":\"no\"}", "no"},
        {"{\"code\":7}", "{\"code\":7}"},
        {"<html><title>502 Bad Gateway</title></html>", "<html><title>502 Bad Gateway</title></html>"},
        {"", ""},
        {"caf\xe9", "caf\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        cr_expect_str_eq(api_error_text(ctx, cases[i].body, strlen(cases[i].body)), cases[i].text);
        talloc_free(ctx);
    }
}

Test(api_error, is_cut_after_a_character)
{
    void *ctx = talloc_new(NULL);
    char *body = talloc_strdup(ctx, "");
    for (int i = 0; i < 400; i++)
        body = talloc_strdup_append(body, "\xe2\x82\xac"); /* three bytes each */
    char *text = api_error_text(ctx, body, strlen(body));
    cr_expect_eq(strlen(text), 1023);
    cr_expect(utf8_is_valid(text, strlen(text)));
    char *json = talloc_asprintf(ctx, "{\"error\":{\"message\":\"%s\"}}", body);
    cr_expect_str_eq(api_error_text(ctx, json, strlen(json)), text);
    talloc_free(ctx);
}

Test(api_error, a_client_error_is_final)
{
    static const struct {
        const char *body;
        bool is_final;
    } cases[] = {
        {"{\"error\":{\"code\":400}}", true},
        {"{\"error\":{\"code\":\"401\"}}", true},
        {"{\"status\":422}", true},
        {"{\"error\":{\"code\":429}}", false},
        {"{\"error\":{\"code\":408}}", false},
        {"{\"error\":{\"code\":503}}", false},
        {"{\"error\":{\"code\":null}}", false},
        {"{\"error\":{\"code\":\"overloaded\"}}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *ctx = talloc_new(NULL);
        json_object *o;
        const char *why;
        cr_assert_eq(json_parse(ctx, cases[i].body, strlen(cases[i].body), 8, &o, &why), OK);
        cr_expect_eq(api_error_is_final(o), cases[i].is_final, "%s", cases[i].body);
        talloc_free(ctx);
    }
}
