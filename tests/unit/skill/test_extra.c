#include <criterion/criterion.h>
#include <talloc.h>

#include "skill/extra.h"
#include "json/json.h"

Test(skill_extra, accepts_any_key)
{
    void *ctx = talloc_new(NULL);
    static const char *const names[] = {"a", "b\"c"};
    struct skill_extra e = {.slug = "s",
                            .label = "1.0.0",
                            .file_source_ids = names,
                            .file_source_ids_n = 2,
                            .idempotency_key = {"\xff\"\x01", 3}};
    json_object *o;
    const char *why;
    struct span text = skill_extra_json(ctx, &e);
    cr_assert_eq(json_parse(ctx, text.at, text.size, JSON_DEPTH_MAX, &o, &why), OK, "%s", text.at);
    cr_expect_str_eq(json_get_text(o, "idempotency_key"), "\xc3\xbf\"\x01");
    cr_expect_eq(json_object_array_length(json_get(o, "file_source_ids")), 2U);
    cr_expect_null(json_get(o, "model"));
    talloc_free(ctx);
}

Test(skill_extra, names_what_is_missing_as_null)
{
    void *ctx = talloc_new(NULL);
    struct skill_extra e = {.slug = "s", .label = "1.0.0"};
    struct span text = skill_extra_json(ctx, &e);
    cr_assert_str_eq(text.at, "{\"skill_slug\":\"s\",\"skill_version\":\"1.0.0\",\"model\":null,"
                              "\"file_source_ids\":[],\"idempotency_key\":null}");
    talloc_free(ctx);
}
