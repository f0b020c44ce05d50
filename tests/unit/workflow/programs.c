#include "programs.h"

#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "workflow/program_compile.h"
#include "json/json.h"

json_object *parse_json(void *ctx, const char *text)
{
    char *json = talloc_strdup(ctx, text);
    for (char *p = json; (p = strchr(p, '\''));)
        *p = '"';
    json_object *value;
    const char *why;
    enum err e = json_parse(ctx, json, strlen(json), JSON_DEPTH_MAX, &value, &why);
    cr_assert_eq(e, OK, "%s: %s", text, why);
    return value;
}

struct program *compile_program(void *ctx, const char *text)
{
    struct json_problems *problems = json_problems_new(ctx);
    struct program *program;
    enum err e = program_compile(ctx, parse_json(ctx, text), NULL, &program, problems);
    cr_assert_eq(e, OK, "%s: %s: %s", text, problems->list[0].pointer, problems->list[0].message);
    return program;
}
