#include <criterion/criterion.h>
#include <json-c/json.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "executor/db_thread/commit.h"
#include "executor/db_thread/error_text.h"
#include "json/json.h"

/* `part` n times */
static char *repeated(void *ctx, const char *part, size_t n)
{
    char *text = talloc_strdup(ctx, "");
    for (size_t i = 0; i < n; i++)
        text = talloc_strdup_append_buffer(text, part);
    return text;
}

static size_t json_size(void *ctx, const char *text)
{
    json_object *value = json_own(ctx, json_object_new_string(text));
    return strlen(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN)) - 2;
}

Test(error_text, keeps_what_fits)
{
    void *ctx = talloc_new(NULL);
    char *most = repeated(ctx, "x", ERROR_TEXT_MAX);
    cr_assert_null(error_text(ctx, NULL));
    cr_assert_str_eq(error_text(ctx, ""), "");
    cr_assert_str_eq(error_text(ctx, most), most);
    talloc_free(ctx);
}

Test(error_text, cuts_by_the_size_as_json_at_a_character)
{
    static const char *const parts[] = {"x",      "\"",         "\\",         "/",
                                        "\n",     "\x01",       "\x7f",       "\u00e9",
                                        "\u20ac", "\U0001f600", "\u00e9\x01", "a\U0001f600\x02"};
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char *text = talloc_asprintf(ctx, "%.*s%s", (int)lead, "abc", repeated(ctx, parts[i], 5000));
            const char *cut = error_text(ctx, text);
            size_t size = strlen(cut);
            cr_assert(utf8_is_valid(cut, size), "%zu", i);
            cr_assert_leq(json_size(ctx, cut), (size_t)ERROR_TEXT_MAX, "%zu", i);
            cr_assert_str_eq(cut + size - 3, "\u2026");
            cr_assert_eq(memcmp(cut, text, size - 3), 0);
        }
    }
    talloc_free(ctx);
}

Test(error_text, is_what_a_commit_stores)
{
    id run = {"00000000-0000-7000-8000-000000000001"};
    struct commit *c = commit_new(&run, &run, 0);
    char *text = repeated(c, "\u00e9\x01", 40000);
    commit_put_step(c, &(struct run_step){.error = text});
    commit_set_move(c, &(struct run_move){.move = MOVE_FAIL, .error = text});
    cr_assert_leq(strlen(c->steps[0].error), (size_t)ERROR_TEXT_MAX);
    cr_assert_str_eq(c->move.error, c->steps[0].error);
    talloc_free(c);
}
