#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "programs.h"
#include "workflow/program_eval.h"
#include "json/json.h"

Test(program_eval, backoff_doubles_and_stays_within_an_hour)
{
    struct program_step s = {.backoff_ms = 2000};
    int64_t expected_ms = 2000;
    for (int attempt = 1; attempt <= 9; attempt++, expected_ms *= 2) {
        for (int i = 0; i < 100; i++) {
            int64_t ms = program_backoff_ms(&s, attempt);
            cr_assert(ms >= expected_ms * 8 / 10 && ms <= expected_ms * 12 / 10, "attempt %d: %lld ms",
                      attempt, (long long)ms);
        }
    }
    s.backoff_ms = 3600000;
    cr_expect_eq(program_backoff_ms(&s, 9), 3600000);
    s.backoff_ms = 0;
    cr_expect_eq(program_backoff_ms(&s, 9), 0);
}

Test(program_eval, outputs_and_the_scope_of_steps)
{
    static const struct {
        const char *outputs, *result;
    } rows[] = {
        {"", "[1,2]"},
        {",'outputs':null", "null"},
        {",'outputs':{'a':'${/steps/a}','s':'${/steps/b/status}'}",
         "{\"a\":{\"result\":null,\"status\":\"failed\",\"error\":\"it broke\"},\"s\":\"completed\"}"},
        {",'outputs':'${/steps/b/result/1}'", "2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        struct program *p =
            compile_program(ctx, talloc_asprintf(ctx,
                                                 "{'steps':[{'name':'a','type':'fail','message':'m',"
                                                 "'on_error':'continue'},{'name':'b','type':'transform',"
                                                 "'value':1}]%s}",
                                                 rows[i].outputs));
        json_object *steps = json_own(ctx, json_object_new_object());
        program_scope_put(steps, "a", "failed", NULL, "it broke");
        program_scope_put(steps, "b", "completed", parse_json(ctx, "[1,2]"), NULL);
        struct template_scope scope = {.steps = steps};
        json_object *value;
        const char *why;
        cr_assert_eq(program_outputs(ctx, p, &scope, &value, &why), OK, "%s", why);
        cr_expect_str_eq(json_text(value, NULL), rows[i].result);
        talloc_free(ctx);
    }
}

Test(program_eval, items_delays_and_child_inputs)
{
    void *ctx = talloc_new(NULL);
    struct program *p = compile_program(
        ctx, "{'steps':[{'name':'a','type':'delay','for_each':'${/inputs/l}','seconds':'${/inputs/s}'},"
             "{'name':'b','type':'delay','for_each':[1,'${/inputs/s}'],'seconds':0.3},"
             "{'name':'c','type':'workflow','workflow_id':'0190abcd-0000-7000-8000-000000000001','inputs':"
             "'${/inputs/i}'},{'name':'d','type':'skill','slug':'s'}]}");
    struct template_scope scope = {.inputs = parse_json(ctx, "{'l':[1,2,3],'s':1.5,'i':{'x':1}}")};
    json_object *value;
    int64_t ms;
    const char *why;
    cr_assert_eq(program_items(ctx, &p->steps[0], &scope, &value, &why), OK);
    cr_expect_eq(json_object_array_length(value), 3);
    cr_assert_eq(program_items(ctx, &p->steps[1], &scope, &value, &why), OK);
    cr_expect_str_eq(json_text(value, NULL), "[1,1.5]");
    json_object *again;
    cr_assert_eq(program_items(ctx, &p->steps[1], &scope, &again, &why), OK);
    cr_expect(value != again && json_object_array_get_idx(value, 0) != json_object_array_get_idx(again, 0),
              "runs of one program share no value of it");
    cr_assert_eq(program_delay_ms(ctx, &p->steps[0], &scope, &ms, &why), OK);
    cr_expect_eq(ms, 1500);
    cr_assert_eq(program_delay_ms(ctx, &p->steps[1], &scope, &ms, &why), OK);
    cr_expect_eq(ms, 300);
    cr_assert_eq(program_child_inputs(ctx, &p->steps[2], &scope, &value, &why), OK);
    cr_expect_str_eq(json_text(value, NULL), "{\"x\":1}");
    cr_assert_eq(program_child_inputs(ctx, &p->steps[3], &scope, &value, &why), OK);
    cr_expect_str_eq(json_text(value, NULL), "{}");
    scope.inputs = parse_json(ctx, "{'l':{},'s':-1,'i':[1]}");
    cr_expect_eq(program_items(ctx, &p->steps[0], &scope, &value, &why), ERR_INVALID);
    cr_expect_eq(program_delay_ms(ctx, &p->steps[0], &scope, &ms, &why), ERR_INVALID);
    cr_expect_eq(program_child_inputs(ctx, &p->steps[2], &scope, &value, &why), ERR_INVALID);
    scope.inputs = parse_json(ctx, "{'l':null,'s':'1'}");
    cr_expect_eq(program_items(ctx, &p->steps[0], &scope, &value, &why), ERR_INVALID);
    cr_expect_eq(program_delay_ms(ctx, &p->steps[0], &scope, &ms, &why), ERR_INVALID);
    cr_expect_eq(program_child_inputs(ctx, &p->steps[2], &scope, &value, &why), ERR_NOT_FOUND);
    json_object *many = json_object_new_array();
    for (int i = 0; i <= PROGRAM_ITEMS_MAX; i++)
        json_object_array_add(many, NULL);
    json_object_object_add(scope.inputs, "l", many);
    cr_expect_eq(program_items(ctx, &p->steps[0], &scope, &value, &why), ERR_LIMIT);
    json_object_array_del_idx(many, 0, 1);
    cr_expect_eq(program_items(ctx, &p->steps[0], &scope, &value, &why), OK);
    talloc_free(ctx);
}

Test(program_eval, expects_2xx_or_what_the_step_lists)
{
    void *ctx = talloc_new(NULL);
    struct program *p = compile_program(
        ctx, "{'steps':[{'name':'a','type':'http','request':{'method':'GET','url':'http://h/'}},"
             "{'name':'b','type':'http','request':{'method':'GET','url':'http://h/'},"
             "'expect_status':[404,'500-502']}]}");
    static const struct {
        int status;
        bool by_default, by_list;
    } rows[] = {
        {100, false, false}, {199, false, false}, {200, true, false}, {299, true, false},
        {300, false, false}, {403, false, false}, {404, false, true}, {405, false, false},
        {499, false, false}, {500, false, true},  {502, false, true}, {503, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(program_status_expected(&p->steps[0], rows[i].status), rows[i].by_default, "%d",
                     rows[i].status);
        cr_expect_eq(program_status_expected(&p->steps[1], rows[i].status), rows[i].by_list, "%d",
                     rows[i].status);
    }
    talloc_free(ctx);
}

Test(program_eval, delays_end_at_a_day)
{
    void *ctx = talloc_new(NULL);
    struct program *p =
        compile_program(ctx, "{'steps':[{'name':'a','type':'delay','seconds':'${/inputs/s}'}]}");
    static const struct {
        const char *inputs;
        enum err e;
        int64_t ms;
    } rows[] = {
        {"{'s':0}", OK, 0},       {"{'s':86400}", OK, 86400000},    {"{'s':86400.001}", ERR_INVALID, 0},
        {"{'s':0.0001}", OK, 1},  {"{'s':-0.001}", ERR_INVALID, 0}, {"{'s':null}", ERR_INVALID, 0},
        {"{}", ERR_NOT_FOUND, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct template_scope scope = {.inputs = parse_json(ctx, rows[i].inputs)};
        int64_t ms = 0;
        const char *why = NULL;
        cr_expect_eq(program_delay_ms(ctx, &p->steps[0], &scope, &ms, &why), rows[i].e, "%s", rows[i].inputs);
        cr_expect_eq(ms, rows[i].ms, "%s", rows[i].inputs);
        cr_expect_eq(why != NULL, rows[i].e != OK, "%s", rows[i].inputs);
    }
    talloc_free(ctx);
}
