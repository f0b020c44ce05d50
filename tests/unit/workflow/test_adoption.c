#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "programs.h"
#include "workflow/adoption.h"
#include "json/json.h"

/* Steps a, b and c; c may fail. */
static const char *const three =
    "{'steps':[{'name':'a','type':'transform','value':1},{'name':'b','type':'transform','value':1},"
    "{'name':'c','type':'transform','value':1,'on_error':'continue'},{'name':'d','type':'transform',"
    "'value':1}],'on_failure':[{'name':'e','type':'transform','value':1}]}";

static const struct adopted_step old[] = {{"c", ADOPTED_FAILED},
                                          {"x", ADOPTED_ENDED},
                                          {"a", ADOPTED_ENDED},
                                          {"b", ADOPTED_FAILED},
                                          {"d", ADOPTED_ENDED}};

static void check_plan(const char *from, size_t old_n, const char *why, size_t n)
{
    void *ctx = talloc_new(NULL);
    struct adoption a;
    const char *found = adoption_plan(ctx, old, old_n, compile_program(ctx, three), from, &a);
    if (why)
        cr_assert(found && strstr(found, why), "from %s: %s", from, found ? found : "possible");
    else
        cr_assert(!found && a.n == n, "from %s: %s", from, found ? found : "another number of steps");
    talloc_free(ctx);
}

Test(adoption, plans_by_names_and_ends)
{
    check_plan("a", 5, NULL, 0);
    check_plan("b", 5, NULL, 1);
    check_plan("failed", 5, NULL, 1); /* b failed, and may not */
    check_plan("failed", 0, NULL, 0);
    check_plan("c", 5, "step b, which is earlier", 0);
    check_plan("d", 5, "step b, which is earlier", 0);
    check_plan("b", 2, "step a, which is earlier", 0);
    check_plan("e", 5, "no step e", 0); /* of on_failure */
    check_plan("nothing", 5, "no step nothing", 0);
}

Test(adoption, is_read_as_it_was_written)
{
    void *ctx = talloc_new(NULL);
    struct adoption a = {.n = 2, .items = true, .steps = (int[]){3, 0}};
    struct adoption b;
    cr_assert(id_parse("01a21984-fd9c-7850-bc78-13d231ea7a13", 36, &a.of));
    json_object *extra = json_own(ctx, json_object_new_object());
    json_object_object_add(extra, "adopt", adoption_json(&a));
    cr_assert(adoption_read(ctx, json_text(extra, NULL), &b));
    cr_assert(id_equal(&a.of, &b.of) && b.n == 2 && b.steps[0] == 3 && b.steps[1] == 0 && b.items);
    static const char *const others[] = {
        NULL, "", "{}", "[]", "{\"adopt\":{}}", "{\"adopt\":{\"of\":\"x\",\"steps\":[]}}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(adoption_read(ctx, others[i], &b));
    talloc_free(ctx);
}
