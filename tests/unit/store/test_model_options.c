#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "store/model_options.h"
#include "json/json.h"

Test(model_options, change_a_request)
{
    void *ctx = talloc_new(NULL);
    json_object *options, *request = json_tokener_parse("{\"model\":\"m\",\"messages\":[],\"max_tokens\":5,"
                                                        "\"temperature\":1,\"stream_options\":{}}");
    const char *why = NULL;
    json_own(ctx, request);
    cr_assert_eq(model_options_parse(ctx,
                                     "{\"rename\":{\"max_tokens\":\"max_completion_tokens\",\"top_p\":\"p\"},"
                                     "\"drop\":[\"temperature\",\"stream_options\",\"seed\"],"
                                     "\"add\":{\"reasoning_effort\":\"low\",\"model\":null}}",
                                     &options, &why),
                 OK, "%s", why);
    model_options_apply(options, request);
    cr_expect_str_eq(json_text(request, NULL), "{\"model\":null,\"messages\":[],\"max_completion_tokens\":5,"
                                               "\"reasoning_effort\":\"low\"}");
    model_options_apply(NULL, request);
    talloc_free(ctx);
}

Test(model_options, are_checked)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"other\":1}",
        "{\"rename\":[]}",
        "{\"rename\":{\"a\":1}}",
        "{\"rename\":{\"a\":\"\"}}",
        "{\"rename\":{\"messages\":\"m\"}}",
        "{\"rename\":{\"a\":\"messages\"}}",
        "{\"rename\":{\"a\":\"b\\u0000c\"}}",
        "{\"drop\":\"a\"}",
        "{\"drop\":[\"messages\"]}",
        "{\"drop\":[1]}",
        "{\"add\":[]}",
        "{\"add\":null}",
        "{\"add\":{\"messages\":[]}}",
        "{\"key_header\":\"\"}",
        "{\"key_header\":1}",
        "{\"key_header\":\"api key\"}",
        "{\"key_header\":\"a\\u0000b\"}",
        "{\"key_header\":\"a\\r\\nb\"}",
        "{\"key_header\":\"Content-type\"}",
        "{\"query\":\"api-version=1\"}",
        "{\"query\":{\"api-version\":1}}",
        "{\"query\":{\"\":\"1\"}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *ctx = talloc_new(NULL);
        json_object *options;
        const char *why = NULL;
        cr_expect_eq(model_options_parse(ctx, bad[i], &options, &why), ERR_INVALID, "%s", bad[i]);
        cr_expect_not_null(why, "%s", bad[i]);
        talloc_free(ctx);
    }
    void *ctx = talloc_new(NULL);
    json_object *options;
    const char *why;
    char *longest = talloc_zero_size(ctx, MODEL_OPTIONS_MAX + 2);
    memset(longest, ' ', MODEL_OPTIONS_MAX + 1);
    cr_expect_eq(model_options_parse(ctx, longest, &options, &why), ERR_INVALID);
    cr_expect_eq(model_options_parse(ctx, "{}", &options, &why), OK);
    talloc_free(ctx);
}

Test(model_options, name_the_header_of_the_key_and_the_query)
{
    void *ctx = talloc_new(NULL);
    json_object *options;
    const char *why = NULL;
    cr_assert_eq(model_options_parse(
                     ctx, "{\"key_header\":\"api-key\",\"query\":{\"api-version\":\"1\",\"a b\":\"&=?\"}}",
                     &options, &why),
                 OK, "%s", why);
    cr_expect_str_eq(model_options_key_header(options), "api-key");
    cr_expect_str_eq(model_options_query(ctx, options), "?api-version=1&a%20b=%26%3D%3F");
    cr_expect_null(model_options_key_header(NULL));
    cr_expect_str_eq(model_options_query(ctx, NULL), "");
    talloc_free(ctx);
}
